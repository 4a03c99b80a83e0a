/**
 * A disk that can lose what it was not yet asked to keep. Writes show at once; they are durable once {@link sync} has come
 * past them, in order. A crash keeps a prefix of what is not durable, as SQLite under the platform's output gate does.
 */
import { assert, must } from "../core/assert.ts";
import type { Meta, OnDamage, StorageBackend, TableId, TablePage } from "../core/server/storage-backend.ts";
import type { LogRow } from "../core/zab/txn-log.ts";
import type { SessionRow } from "../core/znode/session.ts";
import type { SessionId } from "../core/znode/types.ts";
import type { ChangedZnode, StoredZnode } from "../core/znode/znode-store.ts";
import { MemoryBackend, type StoredState } from "./memory-backend.ts";

type Write = (backend: MemoryBackend) => void;

/** What a write meets for which there is no room: SQLITE_FULL. */
export class DiskFullError extends Error {}

/** What a write meets that the platform no longer lets through. */
export class FencedError extends Error {}

/** The disk of one member. Invariant: durable writes are a prefix of all writes. */
export class SimDisk implements StorageBackend {
  /** what a reader sees */
  #live = new MemoryBackend();
  /** what a crash leaves at least */
  #durable = new MemoryBackend();
  /** groups of writes that are not durable; each is one transaction */
  #pending: { readonly number: number; readonly writes: Write[] }[] = [];
  #open: Write[] = [];
  #inTransaction = false;
  #written = 0;
  /** it was changed behind the member's back, once at least */
  isTampered = false;
  /** another instance of the member lives: writes of this one fail */
  fenced = false;
  /** writes that succeed before one fails, and with it the transaction that it is in */
  writesLeft = Number.POSITIVE_INFINITY;
  /** writes keep failing once {@link writesLeft} is used up; else there is room again after the first */
  full = false;

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
    let done = 0;
    for (const group of this.#pending) {
      if (group.number > number) break;
      done += 1;
      for (const write of group.writes) write(this.#durable);
    }
    if (done > 0) this.#pending.splice(0, done);
  }

  /** The power fails: `keep` groups that are not durable survive, the rest is gone. */
  crash(keep: number): void {
    this.#open = [];
    const last = this.#pending[Math.min(keep, this.#pending.length) - 1];
    if (last !== undefined) this.sync(last.number);
    this.#pending = [];
    this.#live = this.#durable.clone();
  }

  /** What another instance finds that starts now. @param keep groups that survive beyond what is durable */
  successor(keep: number): SimDisk {
    const disk = new SimDisk();
    disk.#durable = this.#durable.clone();
    for (const { writes } of this.#pending.slice(0, keep)) for (const write of writes) write(disk.#durable);
    disk.#live = disk.#durable.clone();
    disk.isTampered = this.isTampered;
    return disk;
  }

  /** Damages rows of the log that are durable; only while nobody uses the disk. @returns whether there was something to damage */
  damage(kind: DamageKind, pick: (n: number) => number): boolean {
    const rows = this.#durable.logRows();
    if (rows.length === 0) return false;
    this.isTampered = true;
    const row = must(rows[pick(rows.length)], "a row that was picked");
    const batch = this.#durable.read(row.seq);
    if (kind === "bit-flip") {
      const copy = batch.slice();
      const at = pick(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << pick(8));
      this.#durable.replace(row, copy);
    } else if (kind === "truncation") {
      this.#durable.replace(row, batch.slice(0, pick(batch.length)));
    } else {
      const other = must(rows[pick(rows.length)], "a row that was picked");
      if (other.seq === row.seq) return false;
      const theirs = this.#durable.read(other.seq);
      this.#durable.replace(row, theirs);
      this.#durable.replace(other, batch);
    }
    this.#live = this.#durable.clone();
    return true;
  }

  /** Changes what is durable behind the member's back; only while nobody uses the disk. */
  tamper(change: (state: StoredState) => void): void {
    this.isTampered = true;
    this.#durable.tamper(change);
    this.#live = this.#durable.clone();
  }

  /** Changes what a member that runs reads next, and what it will find when it starts. */
  tamperLive(change: (state: StoredState) => void): void {
    this.isTampered = true;
    this.#live.tamper(change);
    this.#durable.tamper(change);
  }

  /** What a crash that keeps nothing would leave. */
  durableCopy(): MemoryBackend {
    return this.#durable.clone();
  }

  /** Goes back to an older copy. */
  restore(copy: MemoryBackend): void {
    assert(this.#pending.length === 0, "only a disk that nobody uses is rolled back");
    this.isTampered = true;
    this.#durable = copy.clone();
    this.#live = copy.clone();
  }

  #write(write: Write): void {
    if (this.fenced) throw new FencedError("another instance of this member is alive");
    if (this.writesLeft <= 0) {
      if (!this.full) this.writesLeft = Number.POSITIVE_INFINITY;
      throw new DiskFullError("database or disk is full");
    }
    this.writesLeft -= 1;
    write(this.#live);
    this.#open.push(write);
    if (!this.#inTransaction) this.commit();
  }

  transaction(body: () => void): void {
    this.#inTransaction = true;
    try {
      body();
    } catch (error) {
      // What a reader sees of it goes with the member, which a write that fails ends.
      this.#open = [];
      throw error;
    } finally {
      this.#inTransaction = false;
    }
    this.commit();
  }

  readMeta(onDamage?: OnDamage): Meta {
    return this.#live.readMeta(onDamage);
  }

  writeMeta(meta: Meta): void {
    this.#write((backend) => backend.writeMeta(meta));
  }

  logRows(onDamage?: (seq: number) => void): LogRow[] {
    return this.#live.logRows(onDamage);
  }

  insert(row: LogRow, batch: Uint8Array): void {
    let bytes = batch;
    this.#write((backend) => {
      backend.insert(row, bytes);
      bytes = backend.read(row.seq); // the giver's may change before they are written to the other copy
    });
  }

  replace(row: LogRow, batch: Uint8Array): void {
    let bytes = batch;
    this.#write((backend) => {
      backend.replace(row, bytes);
      bytes = backend.read(row.seq); // the giver's may change before they are written to the other copy
    });
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

  putRows(table: TableId, znodes: readonly ChangedZnode[], sessions: readonly SessionRow[]): void {
    this.#write((backend) => backend.putRows(table, znodes, sessions));
  }

  deleteRows(table: TableId, paths: readonly string[], sessions: readonly SessionId[]): void {
    this.#write((backend) => backend.deleteRows(table, paths, sessions));
  }

  clearTable(table: TableId): void {
    this.#write((backend) => backend.clearTable(table));
  }

  get isQuarantined(): boolean {
    return this.#live.isQuarantined;
  }

  quarantine(replaces: boolean): void {
    this.#write((backend) => backend.quarantine(replaces));
  }

  dropQuarantine(): void {
    this.#write((backend) => backend.dropQuarantine());
  }

  readTable(table: TableId, cursor: string, bytesMax: number): TablePage {
    return this.#live.readTable(table, cursor, bytesMax);
  }

  readZnode(table: TableId, path: string): StoredZnode | undefined {
    return this.#live.readZnode(table, path);
  }

  readChildren(table: TableId, path: string, after: string, limit: number): readonly string[] {
    return this.#live.readChildren(table, path, after, limit);
  }

  readEphemerals(table: TableId, session: SessionId): readonly string[] {
    return this.#live.readEphemerals(table, session);
  }

  countZnodes(table: TableId): number {
    return this.#live.countZnodes(table);
  }
}

/** How a row of the log goes bad. */
export type DamageKind = "bit-flip" | "truncation" | "misplaced";
