/**
 * Appends that wait for a group commit. Alone, an append is flushed at once; while the storage is busy, or when the last
 * flushes held more than `gatherMin`, the next flush waits for one turn of I/O and takes all that have arrived.
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

/** Share of the length of earlier flushes that remains after each one. */
const FADE = 0.7;

/** What is to be done about the appends that wait: flush them now, or after a turn of I/O; undefined: they wait. */
export type Dispatch = "flush" | "gather" | undefined;

/** The appends of one partition that wait for a flush, oldest first. @see the invariant above */
export class AppendQueue {
  readonly #config: PartitionConfig;
  #waiting: WaitingAppend[] = [];
  #bytes = 0;
  /** length of recent flushes, fading */
  #recent = 0;
  /** a flush is announced or under way */
  #isBusy = false;

  constructor(config: PartitionConfig) {
    this.#config = config;
  }

  /** Has the queue no room for so many bytes? */
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

  /** All that wait, for a flush. */
  take(): readonly WaitingAppend[] {
    assert(this.#isBusy, "a flush was announced");
    const batch = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    this.#recent = Math.max(batch.length, this.#recent * FADE);
    return batch;
  }

  /** What was flushed is on disk. */
  synced(): Dispatch {
    this.#isBusy = false;
    return this.#waiting.length > 0 ? this.#dispatch() : undefined;
  }
}
