/**
 * When the end of the log is stored beside its rows, so that newest rows that are missing are missed: a while after a
 * commit, once for many, because the row costs as much as any other.
 */
import type { PartitionConfig } from "./config.ts";

/** When to store the end of the log. Invariant: at most one row for the end is due. */
export class EndNote {
  readonly #config: PartitionConfig;
  #isDue = false;
  /** when it was stored last, ms since 1970 */
  #notedAt = 0;

  constructor(config: PartitionConfig) {
    this.#config = config;
  }

  /** The log has grown. @returns in how many ms the end is to be stored; undefined: that is scheduled already */
  schedule(nowMs: number): number | undefined {
    if (this.#isDue) return undefined;
    this.#isDue = true;
    const { noteEndDelayMs, noteEndPauseMs } = this.#config;
    return Math.max(noteEndDelayMs, this.#notedAt + noteEndPauseMs - nowMs);
  }

  /** The time has come. */
  noted(nowMs: number): void {
    this.#isDue = false;
    this.#notedAt = nowMs;
  }
}
