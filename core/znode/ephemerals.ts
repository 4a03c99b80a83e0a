/** Which paths each session owns. */
import { NO_SESSION, type SessionId } from "./types.ts";
import type { ZnodeStore } from "./znode-store.ts";

const NONE: ReadonlySet<string> = new Set();

/** Paths that are kept for sessions of which nobody has asked lately; more are forgotten, and read again when they are needed. */
const KEPT_PATHS_MAX = 16_384;

/** A znode that has changed since the last checkpoint. */
interface ChangedOwner {
  readonly ephemeralOwner: SessionId;
  readonly gone: boolean;
}

/**
 * The ephemerals of the sessions, of which a part is in memory: a session's are read from the store when somebody asks for
 * them.
 *
 * Invariant: a set that is in memory is whole. Without a store all sets are.
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

  /** A session that owns nothing is added. */
  opened(session: SessionId): void {
    this.#known.set(session, new Set());
  }

  /** A session is removed. */
  closed(session: SessionId): void {
    this.#paths -= this.#known.get(session)?.size ?? 0;
    this.#known.delete(session);
  }

  /** The session owns this znode from now on. */
  add(session: SessionId, path: string): void {
    const known = this.#known.get(session);
    if (known === undefined || known.has(path)) return;
    known.add(path);
    this.#paths += 1;
  }

  /** The znode is deleted. */
  delete(session: SessionId, path: string): void {
    if (this.#known.get(session)?.delete(path) === true) this.#paths -= 1;
  }

  /** The paths that a session owns. @param changed *map path → znode* since the last checkpoint; what is gone is marked */
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

  /** Forgets what can be read again, if that is much. */
  trim(): void {
    if (this.#store !== null && this.#paths > KEPT_PATHS_MAX) this.forget();
  }

  /** Forgets everything that can be read again. */
  forget(): void {
    if (this.#store === null) return;
    this.#known.clear();
    this.#paths = 0;
  }
}
