/**
 * A disk that can lose what it was not yet asked to keep. Writes show at once; they are durable once {@link sync} has come
 * past them, in order. A crash keeps a prefix of what is not durable, as SQLite under the platform's output gate does.
 */
import { MemoryBackend } from "../../core/server/memory-backend.ts";
import type { Meta, StorageBackend, TableId, TablePage } from "../../core/server/storage.ts";
import type { LogRow } from "../../core/zab/txn-log.ts";
import type { SessionRow } from "../../core/znode/session.ts";
import type { ZnodeRow } from "../../core/znode/stat.ts";
import type { SessionId } from "../../core/znode/types.ts";

type Write = (backend: MemoryBackend) => void;

export class SimDisk implements StorageBackend {
  /** what a reader sees */
  #live = new MemoryBackend();
  /** what a crash leaves at least */
  readonly #durable = new MemoryBackend();
  /** groups of writes that are not durable; each is one transaction */
  readonly #pending: { readonly number: number; readonly writes: Write[] }[] = [];
  #open: Write[] = [];
  #inTransaction = false;
  #written = 0;

  /** number of the last group of writes */
  get written(): number {
    return this.#written;
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** Ends a group of writes that stand or fall together. @returns its number */
  commit(): number {
    if (this.#open.length > 0) {
      this.#written += 1;
      this.#pending.push({ number: this.#written, writes: this.#open });
      this.#open = [];
    }
    return this.#written;
  }

  /** Everything up to group `number` is durable. */
  sync(number: number): void {
    while ((this.#pending[0]?.number ?? Number.POSITIVE_INFINITY) <= number) {
      for (const write of this.#pending.shift()?.writes ?? []) write(this.#durable);
    }
  }

  /** The power fails: `keep` groups that are not durable survive, the rest is gone. */
  crash(keep: number): void {
    this.#open = [];
    const last = this.#pending[Math.min(keep, this.#pending.length) - 1];
    if (last !== undefined) this.sync(last.number);
    this.#pending.length = 0;
    this.#live = this.#durable.clone();
  }

  /** What a crash that keeps nothing would leave. */
  durableCopy(): MemoryBackend {
    return this.#durable.clone();
  }

  #write(write: Write): void {
    write(this.#live);
    this.#open.push(write);
    if (!this.#inTransaction) this.commit();
  }

  transaction(body: () => void): void {
    this.#inTransaction = true;
    try {
      body();
    } finally {
      this.#inTransaction = false;
    }
    this.commit();
  }

  readMeta(): Meta {
    return this.#live.readMeta();
  }

  writeMeta(meta: Meta): void {
    this.#write((backend) => backend.writeMeta(meta));
  }

  logRows(): LogRow[] {
    return this.#live.logRows();
  }

  insert(row: LogRow, batch: Uint8Array): void {
    const copy = batch.slice();
    this.#write((backend) => backend.insert(row, copy));
  }

  replace(row: LogRow, batch: Uint8Array): void {
    const copy = batch.slice();
    this.#write((backend) => backend.replace(row, copy));
  }

  deleteAfter(seq: number): void {
    this.#write((backend) => backend.deleteAfter(seq));
  }

  deleteUpTo(seq: number): void {
    this.#write((backend) => backend.deleteUpTo(seq));
  }

  read(seq: number): Uint8Array {
    return this.#live.read(seq);
  }

  putRows(table: TableId, znodes: readonly ZnodeRow[], sessions: readonly SessionRow[]): void {
    this.#write((backend) => backend.putRows(table, znodes, sessions));
  }

  deleteRows(table: TableId, paths: readonly string[], sessions: readonly SessionId[]): void {
    this.#write((backend) => backend.deleteRows(table, paths, sessions));
  }

  clearTable(table: TableId): void {
    this.#write((backend) => backend.clearTable(table));
  }

  readTable(table: TableId, cursor: string, bytesMax: number): TablePage {
    return this.#live.readTable(table, cursor, bytesMax);
  }
}
