/** The sessions as they will be once all prepared txns are applied. */
import { compareZxid, type Zxid } from "../zab/zxid.ts";
import type { TreeView } from "./overlay.ts";
import { NO_SESSION, type SessionId, type TxnHeader } from "./types.ts";

/** Outstanding changes of a session. */
interface PendingSession {
  lastXid: number;
  closing: boolean;
  /** the last prepared txn of the session */
  zxid: Zxid;
}

/** Pending sessions are swept once there are so many more than at the last sweep. */
const SWEEP_EVERY = 1024;

/**
 * *map session id → what is pending of it*, over the sessions of the tree.
 * Invariant: an entry is newer than the tree or equal to it.
 * @source ZooKeeper `SessionTrackerImpl`, and `ZooKeeperServer.outstandingChanges` for closings
 */
export class PendingSessions {
  readonly #tree: TreeView;
  readonly #pending = new Map<SessionId, PendingSession>();
  #sweepAt = SWEEP_EVERY;

  constructor(tree: TreeView) {
    this.#tree = tree;
  }

  /** Number of the session's last write, outstanding ones included; 0 when there is none, or no such session. */
  lastXidOf(session: SessionId): number {
    return this.#get(session)?.lastXid ?? this.#tree.sessions.get(session)?.lastXid ?? 0;
  }

  /** Whether the session exists, outstanding openings included, and no closing of it is outstanding. */
  isOpen(session: SessionId): boolean {
    const pending = this.#get(session);
    return pending === undefined ? this.#tree.sessions.has(session) : !pending.closing;
  }

  /** Whether a closing of the session is outstanding. */
  isClosing(session: SessionId): boolean {
    return this.#get(session)?.closing === true;
  }

  /** Notes a txn that opens the session or changes its timeout. */
  open({ session, zxid }: TxnHeader): void {
    this.#pending.set(session, { lastXid: this.lastXidOf(session), closing: false, zxid });
  }

  /** Notes a txn that closes the session: later writes of the session are refused. */
  close({ session, zxid }: TxnHeader): void {
    this.#pending.set(session, { lastXid: this.lastXidOf(session), closing: true, zxid });
  }

  /** Notes the number of a write. Sessions that do not exist, and writes without a number, are ignored. */
  noteXid({ session, xid, zxid }: TxnHeader): void {
    if (xid <= 0 || session === NO_SESSION) return;
    const pending = this.#get(session);
    if (pending !== undefined) {
      pending.lastXid = xid;
      pending.zxid = zxid;
    } else if (this.#tree.sessions.has(session)) {
      this.#pending.set(session, { lastXid: xid, closing: false, zxid });
    }
  }

  /** Drops what the tree has applied, up to `zxid`. */
  committed(zxid: Zxid): void {
    if (this.#pending.size < this.#sweepAt) return;
    for (const [id, pending] of this.#pending) {
      if (compareZxid(pending.zxid, zxid) <= 0) this.#pending.delete(id);
    }
    this.#sweepAt = this.#pending.size + SWEEP_EVERY;
  }

  clear(): void {
    this.#pending.clear();
    this.#sweepAt = SWEEP_EVERY;
  }

  /** A closing that has been applied is no longer pending. */
  #get(id: SessionId): PendingSession | undefined {
    const pending = this.#pending.get(id);
    const isOver = pending?.closing === true && compareZxid(pending.zxid, this.#tree.lastApplied) <= 0;
    return isOver ? undefined : pending;
  }
}
