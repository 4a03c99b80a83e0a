/** The in-memory twin of the SQLite backend: the same contract, for the simulator and the tests. */
import { assert, must } from "../core/assert.ts";
import { DamagedError } from "../core/damaged-error.ts";
import { logRowChecksum, sessionChecksum, verifyChecksum, znodeChecksum } from "../core/server/checksums.ts";
import {
  EMPTY_META,
  META_KEYS,
  type Meta,
  type OnDamage,
  SESSION_CURSOR,
  SESSION_ROW_BYTES,
  type StorageBackend,
  type TableId,
  type TablePage,
} from "../core/server/storage-backend.ts";
import { valueChecksum } from "../core/wire/value-checksum.ts";
import type { LogRow } from "../core/zab/txn-log.ts";
import { isChildOf, nameOf } from "../core/znode/path.ts";
import type { SessionRow } from "../core/znode/session.ts";
import type { ZnodeRow } from "../core/znode/stat.ts";
import { NO_SESSION, type SessionId } from "../core/znode/types.ts";
import type { ChangedZnode, StoredZnode } from "../core/znode/znode-store.ts";

/** A row and its checksum; null: an earlier version wrote it. */
export interface Stored<R> {
  readonly row: R;
  readonly check: number | null;
}

interface Table {
  readonly znodes: Map<string, Stored<ZnodeRow>>;
  readonly sessions: Map<SessionId, Stored<SessionRow>>;
}

interface State {
  /** *map key → value as JSON* */
  readonly meta: Map<string, Stored<string>>;
  readonly log: Map<number, Stored<LogRow> & { readonly batch: Uint8Array }>;
  readonly tables: readonly [Table, Table];
}

/**
 * The stored rows, for tests that damage them. A row that is changed without a new checksum is a damaged one; the key
 * of a map is the key of the row.
 */
export type StoredState = State;

const emptyTable = (): Table => ({ znodes: new Map(), sessions: new Map() });

/**
 * A {@link StorageBackend} in memory.
 * Invariant: every row has the checksum of its columns, unless damage was injected.
 */
export class MemoryBackend implements StorageBackend {
  #state: State = { meta: new Map(), log: new Map(), tables: [emptyTable(), emptyTable()] };
  /** the state in quarantine */
  #quarantined: State | undefined;
  /** the decoded meta values; undefined until they are read */
  #meta: Meta | undefined;

  /** A copy of everything: the content of a disk at this moment. */
  clone(): MemoryBackend {
    const copy = new MemoryBackend();
    copy.#state = copyOf(this.#state);
    copy.#quarantined = this.#quarantined && copyOf(this.#quarantined);
    return copy;
  }

  /** Changes the stored rows without the member's knowledge. */
  tamper(change: (state: StoredState) => void): void {
    change(this.#state);
    this.#meta = undefined;
  }

  /** All or nothing, like SQLite's. */
  transaction(body: () => void): void {
    const before = copyOf(this.#state);
    const quarantined = this.#quarantined;
    try {
      body();
    } catch (error) {
      this.#state = before;
      this.#quarantined = quarantined;
      this.#meta = undefined;
      throw error;
    }
  }

  readMeta(onDamage?: OnDamage): Meta {
    if (this.#meta !== undefined) return this.#meta;
    let isWhole = true;
    const meta = this.#read((what) => {
      isWhole = false;
      onDamage?.(what);
    });
    if (isWhole) this.#meta = meta;
    return meta;
  }

  #read(onDamage: OnDamage): Meta {
    const { meta, log, tables } = this.#state;
    const values: Partial<Record<keyof Meta, unknown>> = {};
    for (const [key, { row, check }] of meta) {
      if (check === null || check === valueChecksum(key, row))
        values[key as keyof Meta] = JSON.parse(row) as unknown;
      else onDamage(`meta value ${key}`);
    }
    const isEmpty =
      log.size + tables[0].znodes.size + tables[1].znodes.size === 0 && this.#quarantined === undefined;
    for (const key of META_KEYS)
      if (!meta.has(key) && (meta.size > 0 || !isEmpty)) onDamage(`meta value ${key}`);
    const { digest, logged, ...others } = { ...EMPTY_META, ...(values as Partial<Meta>) };
    return { ...others, ...(digest && { digest }), ...(logged && { logged }) };
  }

  writeMeta(meta: Meta): void {
    const before = this.#meta as Readonly<Partial<Record<string, unknown>>> | undefined;
    for (const [key, value] of Object.entries({ digest: undefined, logged: undefined, ...meta })) {
      const stored = this.#state.meta.get(key);
      // Most values do not change, and need not be stored again.
      const isSame = typeof value !== "object" && before !== undefined && before[key] === value;
      if (isSame && stored !== undefined && stored.check !== null) continue;
      const text = JSON.stringify(value ?? null);
      if (stored?.row !== text || stored.check === null)
        this.#state.meta.set(key, { row: text, check: valueChecksum(key, text) });
    }
    this.#meta = meta;
  }

  logRows(onDamage?: (seq: number) => void): LogRow[] {
    const rows: LogRow[] = [];
    for (const [seq, { row, check }] of [...this.#state.log].sort(([a], [b]) => a - b)) {
      if (row.seq === seq && (check === null || check === logRowChecksum(row))) rows.push(row);
      else onDamage?.(seq);
    }
    return rows;
  }

  insert(row: LogRow, batch: Uint8Array): void {
    assert(!this.#state.log.has(row.seq), "a row is inserted once");
    this.#state.log.set(row.seq, { row, check: logRowChecksum(row), batch: batch.slice() });
  }

  replace(row: LogRow, batch: Uint8Array): void {
    assert(this.#state.log.has(row.seq), "only a row that exists is replaced");
    this.#state.log.set(row.seq, { row, check: logRowChecksum(row), batch: batch.slice() });
  }

  deleteAfter(seq: number): void {
    for (const key of this.#state.log.keys()) if (key > seq) this.#state.log.delete(key);
  }

  deleteUpTo(seq: number): void {
    // Numbers rise in the order of insertion.
    for (const key of this.#state.log.keys()) {
      if (key > seq) break;
      this.#state.log.delete(key);
    }
  }

  read(seq: number): Uint8Array {
    return must(this.#state.log.get(seq), "a row that is read exists").batch;
  }

  putRows(table: TableId, znodes: readonly ChangedZnode[], sessions: readonly SessionRow[]): void {
    const rows = this.#state.tables[table];
    // The number of children is counted whenever it is asked for.
    for (const { numChildren: _, ...row } of znodes)
      rows.znodes.set(row.path, { row, check: znodeChecksum(row) });
    for (const row of sessions) rows.sessions.set(row.id, { row, check: sessionChecksum(row) });
  }

  deleteRows(table: TableId, paths: readonly string[], sessions: readonly SessionId[]): void {
    for (const path of paths) this.#state.tables[table].znodes.delete(path);
    for (const id of sessions) this.#state.tables[table].sessions.delete(id);
  }

  clearTable(table: TableId): void {
    this.#state.tables[table].znodes.clear();
    this.#state.tables[table].sessions.clear();
  }

  get isQuarantined(): boolean {
    return this.#quarantined !== undefined;
  }

  /** The state in quarantine; undefined if there is none. */
  get quarantined(): StoredState | undefined {
    return this.#quarantined;
  }

  quarantine(replaces: boolean): void {
    if (replaces || this.#quarantined === undefined) this.#quarantined = copyOf(this.#state);
    this.#state = { meta: this.#state.meta, log: new Map(), tables: [emptyTable(), emptyTable()] };
  }

  dropQuarantine(): void {
    this.#quarantined = undefined;
  }

  readTable(table: TableId, cursor: string, bytesMax: number): TablePage {
    const { znodes, sessions } = this.#state.tables[table];
    const inSessions = cursor.startsWith(SESSION_CURSOR);
    const page: ZnodeRow[] = [];
    let bytes = 0;
    for (const path of inSessions ? [] : [...znodes.keys()].filter((each) => each > cursor).sort()) {
      const row = verified(path, must(znodes.get(path), "a listed row exists"));
      page.push(row);
      bytes += row.path.length + (row.data?.length ?? 0) + 100;
      if (bytes >= bytesMax) return { znodes: page, sessions: [], next: row.path };
    }
    const after = inSessions ? Number(cursor.slice(SESSION_CURSOR.length)) : 0;
    const sessionPage: SessionRow[] = [];
    for (const id of [...sessions.keys()].filter((each) => each > after).sort((a, b) => a - b)) {
      const { row, check } = must(sessions.get(id), "a listed row exists");
      if (row.id !== id) throw new DamagedError(`session ${id} holds another row`);
      if (check !== null) verifyChecksum(check, sessionChecksum(row), `session ${id}`);
      sessionPage.push(row);
      bytes += SESSION_ROW_BYTES;
      if (bytes >= bytesMax)
        return { znodes: page, sessions: sessionPage, next: `${SESSION_CURSOR}${row.id}` };
    }
    return { znodes: page, sessions: sessionPage, next: undefined };
  }

  readZnode(table: TableId, path: string): StoredZnode | undefined {
    const { znodes } = this.#state.tables[table];
    const stored = znodes.get(path);
    if (stored === undefined) return undefined;
    let numChildren = 0;
    for (const each of znodes.keys()) if (isChildOf(each, path)) numChildren += 1;
    return { row: verified(path, stored), numChildren };
  }

  readChildren(table: TableId, path: string, after: string, limit: number): readonly string[] {
    const names = [...this.#state.tables[table].znodes.keys()]
      .filter((each) => isChildOf(each, path))
      .map(nameOf);
    return names
      .filter((name) => name > after)
      .sort()
      .slice(0, limit);
  }

  readEphemerals(table: TableId, session: SessionId): readonly string[] {
    const owned: string[] = [];
    for (const [path, { row }] of this.#state.tables[table].znodes) {
      if (session !== NO_SESSION && row.ephemeralOwner === session) owned.push(path);
    }
    return owned.sort();
  }

  countZnodes(table: TableId): number {
    return this.#state.tables[table].znodes.size;
  }
}

/** The row of a znode. @throws DamagedError when it is not as it was written */
function verified(path: string, { row, check }: Stored<ZnodeRow>): ZnodeRow {
  if (row.path !== path) throw new DamagedError(`znode ${path} holds another row`);
  if (check !== null) verifyChecksum(check, znodeChecksum(row), `znode ${path}`);
  return row;
}

function copyOf(state: State): State {
  const copyTable = (table: Table): Table => ({
    znodes: new Map(table.znodes),
    sessions: new Map(table.sessions),
  });
  return {
    meta: new Map(state.meta),
    log: new Map(state.log),
    tables: [copyTable(state.tables[0]), copyTable(state.tables[1])],
  };
}
