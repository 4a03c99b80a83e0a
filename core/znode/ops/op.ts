/**
 * What an op of the tree is. One op is one file beside this one, and one line in `table.ts`.
 *
 * Methods, not properties: TypeScript then accepts an op of one request where the table is called with any, as long as the
 * table is typed by the type of the request.
 */
import type { ZooErrorCode } from "../../errors.ts";
import type { Overlay, TreeView } from "../overlay.ts";
import type { PendingSessions } from "../pending-sessions.ts";
import type { TreeState } from "../tree-state.ts";
import type {
  ChangeResult,
  MultiRequestOp,
  ReadOutcome,
  ReadRequest,
  SessionId,
  Txn,
  TxnHeader,
  WatchOfRead,
  WriteRequest,
  WriteResult,
} from "../types.ts";

/** What prep decides by: the tree, and over it what is prepared and not applied. */
export interface PrepContext {
  readonly tree: TreeView;
  readonly overlay: Overlay;
  readonly sessions: PendingSessions;
  /** Prepares one operation of a multi. */
  prepPart(header: TxnHeader, part: MultiRequestOp): Txn;
}

/** What a txn is applied to. */
export interface ApplyContext {
  readonly state: TreeState;
  /** Applies one txn of a multi. */
  applyPart(header: TxnHeader, part: Txn): ChangeResult;
}

/** An op that changes the tree. */
export interface WriteOp<
  Request extends WriteRequest | MultiRequestOp = WriteRequest | MultiRequestOp,
  T extends Txn = Txn,
  Result extends WriteResult = WriteResult,
> {
  /**
   * The leader's part: checks the request, notes in the overlay how its txn leaves the tree, and returns the txn, which
   * shares the request's data. A refusal is an `error` txn and leaves the overlay as it was. The order of the checks decides
   * which error a client sees, and follows ZooKeeper's.
   */
  prep(context: PrepContext, header: TxnHeader, request: Request): Txn;
  /** Every member's part: total, deterministic, and idempotent. */
  apply(context: ApplyContext, header: TxnHeader, txn: T): Result;
}

/** An op that reads the tree. */
export interface ReadOp<Request extends ReadRequest = ReadRequest> {
  /** @param session of the client that asks; NO_SESSION: it has none */
  read(state: TreeState, session: SessionId, request: Request): ReadOutcome<Request["type"]>;
  /** The watch that the read leaves, whether or not it found a znode; undefined when it leaves none. */
  watchOf(request: Request, isFound: boolean): WatchOfRead | undefined;
  /** Bytes that the answer would have now, about: names count one byte for each code unit. */
  answerBytes(state: TreeState, session: SessionId, request: Request): number;
}

/** Bytes of a packet with a reply's header and a Stat. */
export const STAT_ANSWER_BYTES = 88;

/** The txn of a request that is refused. */
export const refuse = (code: ZooErrorCode): Txn => ({ type: "error", code, ops: 0, at: 0 });

/** The outcome of a change that a txn, or the state that it meets, does not allow. */
export const failure = (code: ZooErrorCode): ChangeResult => ({ type: "error", code });

/** Is `version` what the client expected? −1 expects anything. */
export const matches = (expected: number, version: number): boolean =>
  expected === -1 || expected === version;
