/**
 * Decides when the end of the log is stored beside its rows, so that missing newest rows are detected: some time after a
 * commit, once for many commits, because it costs a row.
 */
import type { PartitionConfig } from "./config.ts";

/** Schedule of the writes of the log's end. Invariant: at most one such write is due. */
export class EndNote {
  readonly #config: PartitionConfig;
  #isDue = false;
  /** when it was last stored; ms since 1970 */
  #notedAt = 0;

  constructor(config: PartitionConfig) {
    this.#config = config;
  }

  /** Called after the log has grown. @returns the delay after which to store the end, ms; undefined if that is already scheduled */
  schedule(nowMs: number): number | undefined {
    if (this.#isDue) return undefined;
    this.#isDue = true;
    const { noteEndDelayMs, noteEndPauseMs } = this.#config;
    return Math.max(noteEndDelayMs, this.#notedAt + noteEndPauseMs - nowMs);
  }

  /** Records that the end is stored. */
  noted(nowMs: number): void {
    this.#isDue = false;
    this.#notedAt = nowMs;
  }
}
