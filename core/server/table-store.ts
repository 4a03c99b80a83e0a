/** A table of znodes as the store of a tree. */
import { DamagedError, TreeDamagedError } from "../damaged-error.ts";
import type { SessionId } from "../znode/types.ts";
import type { StoredZnode, ZnodeStore } from "../znode/znode-store.ts";
import type { StorageBackend, TableId } from "./storage-backend.ts";

/**
 * Reads of one table of znodes. Invariant: it reads one table only, so a tree that a received snapshot has replaced does
 * not read the new tree's rows.
 * @source design of the tree as a cache: decision 0020
 */
export class TableStore implements ZnodeStore {
  readonly #backend: StorageBackend;
  readonly #table: TableId;
  readonly #onDamage: (error: TreeDamagedError) => void;

  /** @param onDamage receives the error of a read that finds damage, whoever made that read */
  constructor(
    backend: StorageBackend,
    table: TableId,
    onDamage: (error: TreeDamagedError) => void = () => undefined,
  ) {
    this.#backend = backend;
    this.#table = table;
    this.#onDamage = onDamage;
  }

  /** @throws TreeDamagedError */
  get(path: string): StoredZnode | undefined {
    return ofTree(() => this.#backend.readZnode(this.#table, path), this.#onDamage);
  }

  children(path: string, after: string, limit: number): readonly string[] {
    return ofTree(() => this.#backend.readChildren(this.#table, path, after, limit), this.#onDamage);
  }

  ephemerals(session: SessionId): readonly string[] {
    return ofTree(() => this.#backend.readEphemerals(this.#table, session), this.#onDamage);
  }
}

/** Reads rows of the tree. @throws TreeDamagedError for a DamagedError */
export function ofTree<T>(read: () => T, onDamage?: (error: TreeDamagedError) => void): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    const damage = new TreeDamagedError(error.message, { cause: error });
    onDamage?.(damage);
    throw damage;
  }
}
