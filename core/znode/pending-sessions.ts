/** The sessions as they will be once everything prepared is applied. */
import { compareZxid, type Zxid } from "../zab/zxid.ts";
import type { TreeView } from "./overlay.ts";
import { NO_SESSION, type SessionId, type TxnHeader } from "./types.ts";

/** What the leader knows of a session beyond the tree. */
interface PendingSession {
  lastXid: number;
  closing: boolean;
  /** the last txn of the session that was prepared */
  zxid: Zxid;
}

/** Pending sessions are swept when there are this many more than when last swept. */
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

  /** Does the session exist, and is no closing of it outstanding? Openings that are outstanding count. */
  isOpen(session: SessionId): boolean {
    const pending = this.#get(session);
    return pending === undefined ? this.#tree.sessions.has(session) : !pending.closing;
  }

  /** Is a closing of the session outstanding? */
  isClosing(session: SessionId): boolean {
    return this.#get(session)?.closing === true;
  }

  /** A txn opens the session, or gives it another timeout. */
  open({ session, zxid }: TxnHeader): void {
    this.#pending.set(session, { lastXid: this.lastXidOf(session), closing: false, zxid });
  }

  /** A txn closes the session: from here on its writes are refused. */
  close({ session, zxid }: TxnHeader): void {
    this.#pending.set(session, { lastXid: this.lastXidOf(session), closing: true, zxid });
  }

  /** Remembers a write's number. Nothing is remembered of sessions that do not exist, and of writes without a number. */
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

  /** The tree has applied everything up to `zxid`. */
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

  /** A closing that has been applied is nothing any more. */
  #get(id: SessionId): PendingSession | undefined {
    const pending = this.#pending.get(id);
    const isOver = pending?.closing === true && compareZxid(pending.zxid, this.#tree.lastApplied) <= 0;
    return isOver ? undefined : pending;
  }
}
