/**
 * The storage of a simulated partition. Writes show at once; they are durable once {@link SimRows.sync} has come past them, in
 * order. A crash keeps a prefix of the transactions that are not durable, as SQLite under the platform's output gate does.
 */
import type { PartitionBackend, PartitionWrite } from "../../core/broker/partition-backend.ts";
import { MemoryPartition } from "./memory-partition.ts";

type Change = (rows: MemoryPartition) => void;

/** Invariant: what is live is what is durable and the pending transactions, applied in order. */
export class SimRows {
  #live = new MemoryPartition();
  #durable = new MemoryPartition();
  #pending: Change[] = [];
  #written = 0;
  #synced = 0;
  /** transactions that fail from now on */
  failures = 0;

  /** What the replica of this life reads. */
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

  /** @throws Error when the disk is full; nothing has changed then */
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

  /** Everything up to transaction `number` is durable. */
  sync(number: number): void {
    const done = Math.max(0, number - this.#synced);
    for (const change of this.#pending.splice(0, done)) change(this.#durable);
    this.#synced = Math.max(this.#synced, number);
  }

  /** The memory is lost. @param keep transactions that survive though they were not known to be durable */
  crash(keep: number): void {
    this.sync(Math.min(this.#written, this.#synced + keep));
    this.#pending = [];
    this.#written = this.#synced;
    this.#live = this.#durable.clone();
  }
}
