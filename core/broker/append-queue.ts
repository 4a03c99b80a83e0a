/**
 * Appends that wait for a group commit. A single append is flushed at once; while the storage is busy, or if the last
 * flushes had more than `gatherMin` appends, the next flush waits for one turn of I/O and takes all that have arrived.
 *
 * Invariant: at most one flush is under way, from {@link AppendQueue.take} to {@link AppendQueue.synced}.
 */
import { assert } from "../assert.ts";
import type { PartitionConfig } from "./config.ts";
import type { AppendRequest } from "./partition.ts";

/** An append that waits. */
export interface WaitingAppend {
  /** number of the call that is answered */
  readonly id: number;
  readonly request: AppendRequest;
}

/** Weight of earlier flushes in the moving average of their lengths. */
const FADE = 0.7;

/** What to do with waiting appends: flush them now, or after a turn of I/O; undefined: keep waiting. */
export type Dispatch = "flush" | "gather" | undefined;

/** The appends of one partition that wait for a flush, oldest first. @see the invariant above */
export class AppendQueue {
  readonly #config: PartitionConfig;
  #waiting: WaitingAppend[] = [];
  #bytes = 0;
  /** moving average of the length of recent flushes */
  #recent = 0;
  /** a flush is announced or under way */
  #isBusy = false;

  constructor(config: PartitionConfig) {
    this.#config = config;
  }

  /** Whether the queue has no room for another append of so many bytes. */
  isFull(bytes: number): boolean {
    const { queueLengthMax, queueBytesMax } = this.#config;
    return this.#waiting.length >= queueLengthMax || this.#bytes + bytes > queueBytesMax;
  }

  push(append: WaitingAppend): Dispatch {
    assert(!this.isFull(append.request.batches.length), "the queue has room for the append");
    this.#waiting.push(append);
    this.#bytes += append.request.batches.length;
    return this.#isBusy ? undefined : this.#dispatch();
  }

  #dispatch(): Dispatch {
    this.#isBusy = true;
    const { gatherMin } = this.#config;
    return this.#waiting.length <= gatherMin && this.#recent <= gatherMin ? "flush" : "gather";
  }

  /** Takes all waiting appends, for a flush. */
  take(): readonly WaitingAppend[] {
    assert(this.#isBusy, "a flush was announced");
    const batch = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    this.#recent = Math.max(batch.length, this.#recent * FADE);
    return batch;
  }

  /** Handles the end of the sync of a flush. */
  synced(): Dispatch {
    this.#isBusy = false;
    return this.#waiting.length > 0 ? this.#dispatch() : undefined;
  }
}
