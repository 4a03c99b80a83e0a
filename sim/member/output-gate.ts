/** The platform's output gate, and the syncs that open it. */
import type { SimDisk } from "../disk.ts";
import type { Engine, Range } from "../engine.ts";

/** The owner of a gate. */
export interface GateOwner {
  readonly alive: boolean;
  /** Writes became durable. */
  onSynced(): void;
  /** Called when {@link OutputGate.open} may release outputs; not while the owner is paused. */
  onDurable(): void;
}

/**
 * Outputs of a member wait for all earlier writes. One sync runs at a time, and covers the writes made before it began.
 * Invariant: waiting outputs ascend by group of writes.
 */
export class OutputGate {
  readonly #engine: Engine;
  readonly #disk: SimDisk;
  readonly #fsyncMs: Range;
  readonly #owner: GateOwner;
  readonly #waiting: { readonly number: number; readonly run: () => void }[] = [];
  /** persist effects whose writes are not known to be durable: the group of writes, and the effect's number */
  readonly #persists: { readonly number: number; readonly seq: number }[] = [];
  #durable = 0;
  #syncing = false;

  constructor(engine: Engine, disk: SimDisk, fsyncMs: Range, owner: GateOwner) {
    this.#engine = engine;
    this.#disk = disk;
    this.#fsyncMs = fsyncMs;
    this.#owner = owner;
  }

  /** group of writes up to which all is durable */
  get durable(): number {
    return this.#durable;
  }

  /** Whether nothing waits. */
  get isOpen(): boolean {
    return this.#waiting.length === 0;
  }

  /** Runs an output once everything written before it is durable. */
  let(run: () => void): void {
    if (this.#waiting.length === 0 && this.#disk.pending === 0) run();
    else this.#waiting.push({ number: this.#disk.written, run });
  }

  /** Records that the writes of a persist effect are made. @param seq number of the effect */
  persisted(seq: number): void {
    this.#persists.push({ number: this.#disk.commit(), seq });
  }

  /** Starts a sync, unless one is running, after which another one follows. */
  syncSoon(): void {
    const disk = this.#disk;
    if (this.#syncing || disk.pending === 0 || disk.fenced) return;
    this.#syncing = true;
    const number = disk.written;
    this.#engine.after(this.#engine.between(this.#fsyncMs), () => {
      this.#syncing = false;
      if (!this.#owner.alive || disk.fenced) return;
      disk.sync(number);
      this.#durable = number;
      this.#owner.onSynced();
      this.syncSoon();
      this.#owner.onDurable();
    });
  }

  /**
   * Releases the outputs whose writes are durable.
   * @returns the last persist effect that is now durable; undefined if there is none
   */
  open(): number | undefined {
    while ((this.#waiting[0]?.number ?? Number.POSITIVE_INFINITY) <= this.#durable)
      this.#waiting.shift()?.run();
    let seq: number | undefined;
    while ((this.#persists[0]?.number ?? Number.POSITIVE_INFINITY) <= this.#durable)
      seq = this.#persists.shift()?.seq;
    return seq;
  }

  /** Drops the waiting outputs, because the owner has ended. */
  close(): void {
    this.#waiting.length = 0;
  }
}
