/** The type of a seeded bug. */
import type { SearchOptions } from "../search/scope.ts";

/** A text of a file of the core, which must occur once, and its replacement. */
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
  /** where it once was, or what suggested it */
  readonly source: string;
  readonly patches: readonly Patch[];
  /** the profile of the seeds: members alone (the default), or brokers and partitions on them */
  readonly profile?: Profile;
  /** set if the bug is too rare for the simulator: the search finds it, within this scope */
  readonly search?: Partial<SearchOptions>;
  /** whether it is found by its seed and within `SEEDS_MAX` others, but not within 30 */
  readonly rare?: boolean;
}
