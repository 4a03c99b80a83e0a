/** The in-memory twin of the SQLite backend: the same contract, for the simulator and the tests. */
import { assert, must } from "../assert.ts";
import type { LogRow } from "../zab/txn-log.ts";
import type { SessionRow } from "../znode/session.ts";
import type { ZnodeRow } from "../znode/stat.ts";
import type { SessionId } from "../znode/types.ts";
import {
  EMPTY_META,
  type Meta,
  SESSION_CURSOR,
  SESSION_ROW_BYTES,
  type StorageBackend,
  type TableId,
  type TablePage,
} from "./storage.ts";

interface Table {
  readonly znodes: Map<string, ZnodeRow>;
  readonly sessions: Map<SessionId, SessionRow>;
}

interface State {
  meta: Meta;
  readonly log: Map<number, { readonly row: LogRow; readonly batch: Uint8Array }>;
  readonly tables: readonly [Table, Table];
}

const emptyTable = (): Table => ({ znodes: new Map(), sessions: new Map() });

export class MemoryBackend implements StorageBackend {
  #state: State = { meta: EMPTY_META, log: new Map(), tables: [emptyTable(), emptyTable()] };

  /** A copy of everything: what a disk would show to whoever reads it now. */
  clone(): MemoryBackend {
    const copy = new MemoryBackend();
    copy.#state = copyOf(this.#state);
    return copy;
  }

  /** All or nothing, like SQLite's. */
  transaction(body: () => void): void {
    const before = copyOf(this.#state);
    try {
      body();
    } catch (error) {
      this.#state = before;
      throw error;
    }
  }

  readMeta(): Meta {
    return this.#state.meta;
  }

  writeMeta(meta: Meta): void {
    this.#state.meta = meta;
  }

  logRows(): LogRow[] {
    return [...this.#state.log.values()].map(({ row }) => row).sort((a, b) => a.seq - b.seq);
  }

  insert(row: LogRow, batch: Uint8Array): void {
    assert(!this.#state.log.has(row.seq), "a row is inserted once");
    this.#state.log.set(row.seq, { row, batch: batch.slice() });
  }

  replace(row: LogRow, batch: Uint8Array): void {
    assert(this.#state.log.has(row.seq), "only a row that exists is replaced");
    this.#state.log.set(row.seq, { row, batch: batch.slice() });
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

  putRows(table: TableId, znodes: readonly ZnodeRow[], sessions: readonly SessionRow[]): void {
    for (const row of znodes) this.#state.tables[table].znodes.set(row.path, row);
    for (const row of sessions) this.#state.tables[table].sessions.set(row.id, row);
  }

  deleteRows(table: TableId, paths: readonly string[], sessions: readonly SessionId[]): void {
    for (const path of paths) this.#state.tables[table].znodes.delete(path);
    for (const id of sessions) this.#state.tables[table].sessions.delete(id);
  }

  clearTable(table: TableId): void {
    this.#state.tables[table].znodes.clear();
    this.#state.tables[table].sessions.clear();
  }

  readTable(table: TableId, cursor: string, bytesMax: number): TablePage {
    const { znodes, sessions } = this.#state.tables[table];
    const inSessions = cursor.startsWith(SESSION_CURSOR);
    const page: ZnodeRow[] = [];
    let bytes = 0;
    for (const path of inSessions ? [] : [...znodes.keys()].filter((each) => each > cursor).sort()) {
      const row = must(znodes.get(path), "a listed row exists");
      page.push(row);
      bytes += row.path.length + (row.data?.length ?? 0) + 100;
      if (bytes >= bytesMax) return { znodes: page, sessions: [], next: row.path };
    }
    const after = inSessions ? Number(cursor.slice(SESSION_CURSOR.length)) : 0;
    const sessionPage: SessionRow[] = [];
    for (const row of [...sessions.values()].filter(({ id }) => id > after).sort((a, b) => a.id - b.id)) {
      sessionPage.push(row);
      bytes += SESSION_ROW_BYTES;
      if (bytes >= bytesMax)
        return { znodes: page, sessions: sessionPage, next: `${SESSION_CURSOR}${row.id}` };
    }
    return { znodes: page, sessions: sessionPage, next: undefined };
  }
}

function copyOf(state: State): State {
  const copyTable = (table: Table): Table => ({
    znodes: new Map(table.znodes),
    sessions: new Map(table.sessions),
  });
  return {
    meta: state.meta,
    log: new Map(state.log),
    tables: [copyTable(state.tables[0]), copyTable(state.tables[1])],
  };
}
