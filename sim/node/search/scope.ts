/** The scope of a search, and how much of it a state has used. */

/** Limits on the runs that a search explores. */
export interface Scope {
  readonly servers: number;
  readonly crashes: number;
  /** elections that each member may take part in, its first one included */
  readonly elections: number;
  readonly txns: number;
  /** links that break and learners that stop sending, without a crash */
  readonly breaks: number;
  readonly checkpoints: number;
}

/** Scope and limits of a search. */
export interface SearchOptions extends Scope {
  readonly states: number;
  readonly minutes: number;
  /** "depth": by the number of steps; "deviations": by how many steps were not the ordinary one */
  readonly order: "depth" | "deviations";
  /** "at once": a vote arrives in the step that sends it, if no message is in flight before it; "free": like any other message */
  readonly votes: "free" | "at once";
}

/** Bit positions of the counters of the used scope in one number; the elections of each member follow. */
export const CRASHES = 0;
export const BREAKS = 3;
export const TXNS = 6;
export const CHECKPOINTS = 9;
export const ELECTIONS = 12;

/** A counter: three bits of the number. */
export const used = (counters: number, shift: number): number => (counters >> shift) & 7;
