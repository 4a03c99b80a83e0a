/** What a seeded bug is. */
import type { SearchOptions } from "../search/scope.ts";

/** A text of a file of the core, which must be there once, and what stands in its place. */
export interface Patch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** What a run of the simulator simulates. */
export type Profile = "members" | "broker";

/** A bug: a patch of the source, and what is expected to find it. */
export interface SeededBug {
  readonly name: string;
  /** what is wrong, in one line */
  readonly what: string;
  /** where it was once, or what thought of it */
  readonly source: string;
  readonly patches: readonly Patch[];
  /** what runs the seeds: members alone, or brokers and partitions on them; absent: members */
  readonly profile?: Profile;
  /** what it needs is too rare in the simulator: the search finds it, within this scope */
  readonly search?: Partial<SearchOptions>;
  /** found by its seed and within `SEEDS_MAX` others, but not within 30 */
  readonly rare?: boolean;
}
