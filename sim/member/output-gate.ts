/** The platform's output gate, and the syncs that open it. */
import type { SimDisk } from "../disk.ts";
import type { Engine, Range } from "../engine.ts";

/** Whose gate it is. */
export interface GateOwner {
  readonly alive: boolean;
  /** Writes became durable. */
  onSynced(): void;
  /** {@link OutputGate.open} may let something out; not while the owner is paused. */
  onDurable(): void;
}

/**
 * What leaves a member waits for the writes before it. One sync at a time: it covers what was written when it began.
 * Invariant: what waits ascends by group of writes.
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

  /** Lets something out once everything written before it is durable. */
  let(run: () => void): void {
    if (this.#waiting.length === 0 && this.#disk.pending === 0) run();
    else this.#waiting.push({ number: this.#disk.written, run });
  }

  /** The writes of a persist effect are written. @param seq number of the effect */
  persisted(seq: number): void {
    this.#persists.push({ number: this.#disk.commit(), seq });
  }

  /** Syncs what is written, unless a sync is under way: it is followed by another. */
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

  /** Lets out what waited for durable writes only. @returns the last persist effect that is durable now; undefined: none */
  open(): number | undefined {
    while ((this.#waiting[0]?.number ?? Number.POSITIVE_INFINITY) <= this.#durable)
      this.#waiting.shift()?.run();
    let seq: number | undefined;
    while ((this.#persists[0]?.number ?? Number.POSITIVE_INFINITY) <= this.#durable)
      seq = this.#persists.shift()?.seq;
    return seq;
  }

  /** Its owner is over: what waits never leaves. */
  close(): void {
    this.#waiting.length = 0;
  }
}
