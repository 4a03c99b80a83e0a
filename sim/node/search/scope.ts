/** What a search explores, and how much of it a state has used. */

/** What is explored. */
export interface Scope {
  readonly servers: number;
  readonly crashes: number;
  /** elections that each member may take part in, its first one included */
  readonly elections: number;
  readonly txns: number;
  /** links that break, or learners that fall silent, without a crash */
  readonly breaks: number;
  readonly checkpoints: number;
}

/** Scope and limits of a search. */
export interface SearchOptions extends Scope {
  readonly states: number;
  readonly minutes: number;
  /** "depth": by the number of steps; "deviations": by how often a step was not the most ordinary one */
  readonly order: "depth" | "deviations";
  /** "at once": a vote arrives as soon as nothing is on its way before it, in the same step; "free": like any other message */
  readonly votes: "free" | "at once";
}

/** Where the counters of what was used of the scope are in their number; the elections of each member follow. */
export const CRASHES = 0;
export const BREAKS = 3;
export const TXNS = 6;
export const CHECKPOINTS = 9;
export const ELECTIONS = 12;

/** A counter: three bits of the number. */
export const used = (counters: number, shift: number): number => (counters >> shift) & 7;
