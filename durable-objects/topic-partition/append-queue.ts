/**
 * Appends that wait for a group commit. Alone, an append is flushed at once; while the disk is busy, or when the last
 * flushes held more than `gatherMin`, the next one waits for one turn of the event loop and takes all that have arrived.
 */
import type { PartitionConfig } from "../../core/broker/config.ts";
import type { AppendRequest, AppendResult } from "../../core/broker/partition.ts";

export interface Waiting {
  readonly request: AppendRequest;
  readonly resolve: (result: AppendResult) => void;
}

export class AppendQueue {
  readonly #config: PartitionConfig;
  /** stores a batch and answers every one of it; never throws */
  readonly #flush: (batch: Waiting[]) => void;
  /** resolves when what was flushed is on disk */
  readonly #durable: () => Promise<void>;
  #waiting: Waiting[] = [];
  #bytes = 0;
  /** length of recent flushes, fading */
  #recent = 0;
  #busy = false;

  constructor(config: PartitionConfig, flush: (batch: Waiting[]) => void, durable: () => Promise<void>) {
    this.#config = config;
    this.#flush = flush;
    this.#durable = durable;
  }

  push(request: AppendRequest): Promise<AppendResult> {
    const { queueLengthMax, queueBytesMax } = this.#config;
    if (this.#waiting.length >= queueLengthMax || this.#bytes + request.batches.length > queueBytesMax)
      return Promise.resolve({
        ok: false,
        code: "THROTTLING_QUOTA_EXCEEDED",
        message: "too many appends are waiting for this partition",
      });
    return new Promise((resolve) => {
      this.#waiting.push({ request, resolve });
      this.#bytes += request.batches.length;
      if (!this.#busy) this.#dispatch();
    });
  }

  #dispatch(): void {
    this.#busy = true;
    const { gatherMin } = this.#config;
    if (this.#waiting.length <= gatherMin && this.#recent <= gatherMin) this.#run();
    else setTimeout(() => this.#run(), 0);
  }

  #run(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    this.#recent = Math.max(batch.length, this.#recent * 0.7);
    this.#flush(batch);
    const next = (): void => {
      this.#busy = false;
      if (this.#waiting.length > 0) this.#dispatch();
    };
    // a write that fails resets the object, and with it every caller
    this.#durable().then(next, next);
  }
}
