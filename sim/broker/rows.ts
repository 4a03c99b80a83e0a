/**
 * The storage of a simulated partition. Writes are visible at once, and durable once {@link SimRows.sync} has reached them,
 * in order. A crash keeps a prefix of the transactions that are not durable, like SQLite under the platform's output gate.
 */
import type { PartitionBackend, PartitionWrite } from "../../core/broker/partition-backend.ts";
import { MemoryPartition } from "./memory-partition.ts";

type Change = (rows: MemoryPartition) => void;

/** Invariant: the live state is the durable one with the pending transactions applied in order. */
export class SimRows {
  #live = new MemoryPartition();
  #durable = new MemoryPartition();
  #pending: Change[] = [];
  #written = 0;
  #synced = 0;
  /** number of transactions that fail from now on */
  failures = 0;

  /** The storage as the replica of this life reads it. */
  get backend(): PartitionBackend {
    return this.#live;
  }

  /** Number of the last transaction. */
  get written(): number {
    return this.#written;
  }

  /** Number of the last transaction that is durable. */
  get synced(): number {
    return this.#synced;
  }

  /** @throws Error if the disk is full; then nothing has changed */
  write(writes: readonly PartitionWrite[]): void {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error("disk full");
    }
    this.#change((rows) => rows.write(writes));
  }

  removeAll(): void {
    this.#change((rows) => rows.clear());
  }

  #change(change: Change): void {
    change(this.#live);
    this.#pending.push(change);
    this.#written += 1;
  }

  /** Makes everything up to transaction `number` durable. */
  sync(number: number): void {
    const done = Math.max(0, number - this.#synced);
    for (const change of this.#pending.splice(0, done)) change(this.#durable);
    this.#synced = Math.max(this.#synced, number);
  }

  /** Drops writes in a crash. @param keep transactions that survive although they were not known to be durable */
  crash(keep: number): void {
    this.sync(Math.min(this.#written, this.#synced + keep));
    this.#pending = [];
    this.#written = this.#synced;
    this.#live = this.#durable.clone();
  }
}
