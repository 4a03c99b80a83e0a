/** The interface of a part of the soak. */

/** What a part has to say: its figures, and what failed, readable. */
export interface PartSummary {
  readonly figures: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
  /** more for who wants it */
  readonly notes: readonly string[];
}

/** When a part is to end, and whether somebody wants it to end before. */
export interface Until {
  /** Date.now() of the end */
  readonly deadline: number;
  readonly stopped: () => boolean;
  /** fires when somebody wants it to end */
  readonly signal: AbortSignal;
}
