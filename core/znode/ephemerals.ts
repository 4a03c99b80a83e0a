/** The paths that each session owns. */
import { NO_SESSION, type SessionId } from "./types.ts";
import type { ZnodeStore } from "./znode-store.ts";

const NONE: ReadonlySet<string> = new Set();

/** Limit of paths in memory for sessions that were not used recently; others are evicted, and read again on demand. */
const KEPT_PATHS_MAX = 16_384;

/** A znode that has changed since the last checkpoint. */
interface ChangedOwner {
  readonly ephemeralOwner: SessionId;
  readonly gone: boolean;
}

/**
 * The ephemerals of the sessions, a part of which is in memory; those of a session are read from the store on demand.
 *
 * Invariant: a set in memory is complete. Without a store all sets are in memory.
 * @source ZooKeeper `DataTree.ephemerals`
 */
export class Ephemerals {
  readonly #store: ZnodeStore | null;
  /** *map session → the paths that it owns* */
  readonly #known = new Map<SessionId, Set<string>>();
  #paths = 0;

  constructor(store: ZnodeStore | null) {
    this.#store = store;
  }

  /** Adds a session without ephemerals. */
  opened(session: SessionId): void {
    this.#known.set(session, new Set());
  }

  /** Removes a session. */
  closed(session: SessionId): void {
    this.#paths -= this.#known.get(session)?.size ?? 0;
    this.#known.delete(session);
  }

  /** Adds a znode to its session's set. */
  add(session: SessionId, path: string): void {
    const known = this.#known.get(session);
    if (known === undefined || known.has(path)) return;
    known.add(path);
    this.#paths += 1;
  }

  /** Removes a deleted znode. */
  delete(session: SessionId, path: string): void {
    if (this.#known.get(session)?.delete(path) === true) this.#paths -= 1;
  }

  /** The paths that a session owns. @param changed *map path → znode* since the last checkpoint; deleted ones are marked */
  of(session: SessionId, changed: ReadonlyMap<string, ChangedOwner>): ReadonlySet<string> {
    const known = this.#known.get(session);
    if (known !== undefined) return known;
    if (this.#store === null || session === NO_SESSION) return NONE;
    const paths = new Set(this.#store.ephemerals(session));
    for (const [path, { ephemeralOwner, gone }] of changed) {
      if (!gone && ephemeralOwner === session) paths.add(path);
      else paths.delete(path);
    }
    this.#known.set(session, paths);
    this.#paths += paths.size;
    return paths;
  }

  /** Evicts sets that can be read again, if they are too large. */
  trim(): void {
    if (this.#store !== null && this.#paths > KEPT_PATHS_MAX) this.forget();
  }

  /** Evicts all sets that can be read again. */
  forget(): void {
    if (this.#store === null) return;
    this.#known.clear();
    this.#paths = 0;
  }
}
