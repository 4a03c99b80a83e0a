/**
 * A disk that can lose writes that are not synced yet. Writes are visible at once, and durable once {@link sync} has
 * reached them, in order. A crash keeps a prefix of the writes that are not durable, like SQLite under the platform's
 * output gate.
 */
import { assert, must } from "../core/assert.ts";
import { StorageError } from "../core/damaged-error.ts";
import type { Meta, OnDamage, StorageBackend, TableId, TablePage } from "../core/server/storage-backend.ts";
import type { LogRow } from "../core/zab/txn-log.ts";
import type { SessionRow } from "../core/znode/session.ts";
import type { SessionId } from "../core/znode/types.ts";
import type { ChangedZnode, StoredZnode } from "../core/znode/znode-store.ts";
import { MemoryBackend, type StoredState } from "./memory-backend.ts";

type Write = (backend: MemoryBackend) => void;

/** Thrown by a write for which there is no room: SQLITE_FULL. */
export class DiskFullError extends StorageError {}

/** Thrown by a write that the platform no longer accepts. */
export class FencedError extends Error {}

/** The disk of one member. Invariant: durable writes are a prefix of all writes. */
export class SimDisk implements StorageBackend {
  /** the state that a reader sees */
  #live = new MemoryBackend();
  /** the state that a crash leaves at least */
  #durable = new MemoryBackend();
  /** groups of writes that are not durable; each is one transaction */
  #pending: { readonly number: number; readonly writes: Write[] }[] = [];
  #open: Write[] = [];
  #inTransaction = false;
  #written = 0;
  /** whether the durable state was changed from outside, once at least */
  isTampered = false;
  /** whether another instance of the member is alive, so that writes of this one fail */
  fenced = false;
  /** number of writes that succeed before one fails, with its whole transaction */
  writesLeft = Number.POSITIVE_INFINITY;
  /** whether writes keep failing once {@link writesLeft} is used up; otherwise only one fails */
  full = false;

  /** number of the last group of writes */
  get written(): number {
    return this.#written;
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** Ends a group of writes, which is kept or lost as a whole. @returns its number */
  commit(): number {
    if (this.#open.length > 0) {
      this.#written += 1;
      this.#pending.push({ number: this.#written, writes: this.#open });
      this.#open = [];
    }
    return this.#written;
  }

  /** Makes everything up to group `number` durable. */
  sync(number: number): void {
    let done = 0;
    for (const group of this.#pending) {
      if (group.number > number) break;
      done += 1;
      for (const write of group.writes) write(this.#durable);
    }
    if (done > 0) this.#pending.splice(0, done);
  }

  /** Simulates a power failure: `keep` groups that are not durable survive, the others are lost. */
  crash(keep: number): void {
    this.#open = [];
    const last = this.#pending[Math.min(keep, this.#pending.length) - 1];
    if (last !== undefined) this.sync(last.number);
    this.#pending = [];
    this.#live = this.#durable.clone();
  }

  /** The disk of another instance that starts now. @param keep number of groups that survive beyond the durable ones */
  successor(keep: number): SimDisk {
    const disk = new SimDisk();
    disk.#durable = this.#durable.clone();
    for (const { writes } of this.#pending.slice(0, keep)) for (const write of writes) write(disk.#durable);
    disk.#live = disk.#durable.clone();
    disk.isTampered = this.isTampered;
    return disk;
  }

  /** Damages durable rows of the log, while no instance uses the disk. @returns whether there was a row to damage */
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

  /** Changes the durable state, while no instance uses the disk. */
  tamper(change: (state: StoredState) => void): void {
    this.isTampered = true;
    this.#durable.tamper(change);
    this.#live = this.#durable.clone();
  }

  /** Changes the state that a running member reads next, and the state that it finds when it starts. */
  tamperLive(change: (state: StoredState) => void): void {
    this.isTampered = true;
    this.#live.tamper(change);
    this.#durable.tamper(change);
  }

  /** The state that a crash that keeps no pending group would leave. */
  durableCopy(): MemoryBackend {
    return this.#durable.clone();
  }

  /** Rolls back to an older copy. */
  restore(copy: MemoryBackend): void {
    assert(this.#pending.length === 0, "a disk is rolled back only while no instance uses it");
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
      // The partial group remains visible only to the member, which the failed write ends.
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

/** Kind of damage to a row of the log. */
export type DamageKind = "bit-flip" | "truncation" | "misplaced";
