/**
 * The leader's first stage: turns a request into a txn with a fixed outcome, or into an `error` txn.
 * @source ZooKeeper `PrepRequestProcessor`
 */
import { assert } from "../assert.ts";
import { compareZxid, type Zxid } from "../zab/zxid.ts";
import { type PrepContext, refuse, type WriteOp } from "./ops/op.ts";
import { PART_OPS, WRITE_OPS } from "./ops/table.ts";
import { Overlay, type TreeView } from "./overlay.ts";
import { PendingSessions } from "./pending-sessions.ts";
import {
  isAnonymous,
  type MultiRequestOp,
  NO_SESSION,
  type SessionId,
  type Txn,
  type TxnHeader,
  type WriteRequest,
} from "./types.ts";

/**
 * Checks requests against the tree plus the txns that are prepared and not yet applied, which it keeps as an overlay.
 *
 * Invariant: if every prepared txn is committed, in the order of their zxids, each has the outcome that prep fixed.
 */
export class Prep {
  readonly #tree: TreeView;
  readonly #overlay: Overlay;
  readonly #sessions: PendingSessions;
  readonly #context: PrepContext;

  constructor(tree: TreeView) {
    this.#tree = tree;
    this.#overlay = new Overlay(tree);
    this.#sessions = new PendingSessions(tree);
    this.#context = {
      tree,
      overlay: this.#overlay,
      sessions: this.#sessions,
      prepPart: (header, part) => this.#prepPart(header, part),
    };
  }

  /**
   * Makes the txn of one request. `header.zxid` must be greater than in the previous call. The txn shares the
   * request's data.
   */
  prepare(header: TxnHeader, request: WriteRequest): Txn {
    const op: WriteOp = WRITE_OPS[request.type];
    const txn = this.#mayWrite(header.session, request)
      ? op.prep(this.#context, header, request)
      : refuse("SESSION_EXPIRED");
    this.#sessions.noteXid(header);
    return txn;
  }

  /** Number of the session's last write, outstanding ones included; 0 when there is none, or no such session. */
  lastXidOf(session: SessionId): number {
    return this.#sessions.lastXidOf(session);
  }

  /** Whether the session exists, outstanding openings included, and no closing of it is outstanding. */
  isOpen(session: SessionId): boolean {
    return this.#sessions.isOpen(session);
  }

  /** The tree has applied everything up to `zxid`: drops these changes from the overlay. */
  committed(zxid: Zxid): void {
    assert(compareZxid(zxid, this.#tree.lastApplied) <= 0, "the overlay outlives what is not applied");
    this.#overlay.dropUpTo(zxid.epoch, zxid.counter);
    this.#sessions.committed(zxid);
  }

  /** Drops all outstanding changes: this leader will not commit their txns. */
  reset(): void {
    this.#overlay.clear();
    this.#sessions.clear();
  }

  /** Number of changes whose txns are not applied yet. */
  get outstanding(): number {
    return this.#overlay.size;
  }

  /** Requests without a session may write; those of a session only while it is open. */
  #mayWrite(session: SessionId, request: WriteRequest): boolean {
    if (request.type === "createSession" || session === NO_SESSION || isAnonymous(session)) return true;
    return this.#sessions.isOpen(session);
  }

  #prepPart(header: TxnHeader, part: MultiRequestOp): Txn {
    const op: WriteOp = PART_OPS[part.type === "refused" ? "error" : part.type];
    return op.prep(this.#context, header, part);
  }
}
