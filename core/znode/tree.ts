/**
 * The znode tree: the state machine that the ensemble replicates.
 * @source ZooKeeper `DataTree`
 */
import type { Chain } from "../hash/chain.ts";
import { compareZxid, type Zxid } from "../zab/zxid.ts";
import { type ApplyContext, failure, type ReadOp, type WriteOp } from "./ops/op.ts";
import { PART_OPS, READ_OPS, WRITE_OPS } from "./ops/table.ts";
import type { SessionRow, SessionTable } from "./session.ts";
import { statOf, type Znode, type ZnodeRow } from "./stat.ts";
import { type StoredTree, type TreeChanges, TreeState } from "./tree-state.ts";
import type {
  ChangeResult,
  ReadOutcome,
  ReadRequest,
  SessionId,
  Stat,
  Txn,
  TxnHeader,
  WatchEvent,
  WatchOfRead,
  WriteResult,
} from "./types.ts";
import type { ZnodeStore } from "./znode-store.ts";

/**
 * Applies committed txns and answers reads.
 *
 * Invariant: `apply` is total (no decodable txn makes it throw), deterministic (it reads nothing but the txn and the tree)
 * and idempotent (txns carry results, not steps). So members that have applied the same txns have equal trees and digests.
 */
export class ZnodeTree {
  readonly #state: TreeState;
  readonly #context: ApplyContext;

  constructor(state = new TreeState()) {
    this.#state = state;
    this.#context = { state, applyPart: (header, part) => this.#applyPart(header, part) };
  }

  /**
   * A tree of what checkpoints kept, in any order. It has the digest of the tree that the rows came from.
   * @throws AssertionError when a znode lacks its parent or an ephemeral its session: the rows are not a whole tree
   */
  static load(rows: Iterable<ZnodeRow>, sessions: Iterable<SessionRow>, lastApplied: Zxid): ZnodeTree {
    return new ZnodeTree(TreeState.load(rows, sessions, lastApplied));
  }

  /** A tree whose znodes are read from `store` on demand. */
  static open(store: ZnodeStore, stored: StoredTree): ZnodeTree {
    return new ZnodeTree(TreeState.open(store, stored));
  }

  /** number of znodes, the built-in ones included */
  get size(): number {
    return this.#state.size;
  }

  get sessions(): SessionTable {
    return this.#state.sessions;
  }

  /** Watch events of the txns applied, in order. The caller drains the array. */
  get events(): WatchEvent[] {
    return this.#state.events;
  }

  /** the last applied txn; never decreases */
  get lastApplied(): Zxid {
    return this.#state.lastApplied;
  }

  get(path: string): Znode | undefined {
    return this.#state.get(path);
  }

  /** The znode of this path, without loading it; see {@link TreeState.peek}. */
  peek(path: string): Readonly<Znode> | undefined {
    return this.#state.peek(path);
  }

  stat(node: Znode): Stat {
    return statOf(node);
  }

  /** All znodes, in no particular order; reads those that are not in memory. */
  znodes(): IterableIterator<Znode> {
    return this.#state.znodes();
  }

  /** Paths of the ephemerals that the session owns. */
  ephemeralsOf(session: SessionId): ReadonlySet<string> {
    return this.#state.ephemeralsOf(session);
  }

  /** Names of the children in code unit order; undefined when there is no such znode. */
  children(path: string): readonly string[] | undefined {
    const node = this.#state.get(path);
    return node === undefined ? undefined : this.#state.childNames(node).sorted();
  }

  /**
   * Answers a read; "" reads as the root, any other path that is not legal as a znode that is not there.
   * @param session of the client that asks; NO_SESSION: it has none
   */
  read<Request extends ReadRequest>(session: SessionId, request: Request): ReadOutcome<Request["type"]> {
    const op: ReadOp = READ_OPS[request.type];
    // the table has, by the type of each request, the op that answers it
    return op.read(this.#state, session, request) as ReadOutcome<Request["type"]>;
  }

  /** The watch that a read leaves. @param isFound whether its outcome was no error */
  watchOf(request: ReadRequest, isFound: boolean): WatchOfRead | undefined {
    const op: ReadOp = READ_OPS[request.type];
    return op.watchOf(request, isFound);
  }

  /** Approximate bytes of the current answer to a read: names count one byte per code unit. */
  answerBytes(session: SessionId, request: ReadRequest): number {
    const op: ReadOp = READ_OPS[request.type];
    return op.answerBytes(this.#state, session, request);
  }

  /** Upper half of the digest, unsigned. */
  get digestHigh(): number {
    return this.#state.digestHigh;
  }

  /** Lower half of the digest, unsigned. */
  get digestLow(): number {
    return this.#state.digestLow;
  }

  get digest(): Chain {
    return this.#state.digest;
  }

  /**
   * Carries out one committed txn. Its data may be views of a whole batch, which does not change. The outcome is the
   * answer to the client, and is stored as the last one of its session.
   */
  apply(header: TxnHeader, txn: Txn, fingerprint = 0): WriteResult {
    const op: WriteOp = WRITE_OPS[txn.type];
    const result = op.apply(this.#context, header, txn);
    if (compareZxid(header.zxid, this.#state.lastApplied) > 0) this.#state.lastApplied = header.zxid;
    if (header.xid > 0) this.#remember(header, result, fingerprint);
    return result;
  }

  /** Sessions, syncs and multis do not nest; prep and the codec ensure it, but apply is total. */
  #applyPart(header: TxnHeader, part: Txn): ChangeResult {
    const ops: Partial<Record<Txn["type"], WriteOp<never, never, ChangeResult>>> = PART_OPS;
    const op = ops[part.type] as WriteOp<never, Txn, ChangeResult> | undefined;
    return op === undefined ? failure("MARSHALLING_ERROR") : op.apply(this.#context, header, part);
  }

  /** Stores the outcome, so that a repeat of this request gets it again instead of a second application. */
  #remember(header: TxnHeader, result: WriteResult, fingerprint: number): void {
    const session = this.#state.sessions.get(header.session);
    if (session === undefined || compareZxid(header.zxid, session.lastZxid) < 0) return;
    session.lastXid = header.xid;
    session.lastZxid = header.zxid;
    session.lastResult = result;
    session.lastFingerprint = fingerprint;
    this.#state.sessionTouched(session);
  }

  /**
   * Fingerprint of the request with this number, if it is the session's last one; 0: not known. It is not part of the
   * digest.
   */
  fingerprintOf(id: SessionId, xid: number): number {
    const session = this.#state.sessions.get(id);
    return session?.lastXid === xid ? session.lastFingerprint : 0;
  }

  /** Sets the fingerprint of the request with this number. @param fingerprint 0: not known */
  noteFingerprint(id: SessionId, xid: number, fingerprint: number): void {
    const session = this.#state.sessions.get(id);
    if (session === undefined || session.lastXid !== xid || session.lastFingerprint === fingerprint) return;
    session.lastFingerprint = fingerprint;
    this.#state.sessionTouched(session);
  }

  /** number of znodes and sessions that have changed since the last {@link takeChanges} */
  get changedCount(): number {
    return this.#state.changedCount;
  }

  /** Whether the znodes in memory need a checkpoint to stay within `bytesMax`. */
  needsCheckpoint(bytesMax: number): boolean {
    return this.#state.needsCheckpoint(bytesMax);
  }

  /**
   * Returns the changes since the last call. The caller has to store all of them before the next read of the tree.
   * @param upTo see {@link TreeState.takeChanges}
   */
  takeChanges(upTo = ""): TreeChanges {
    return this.#state.takeChanges(upTo);
  }

  /** approximate bytes of the znodes in memory */
  get bytes(): number {
    return this.#state.bytes;
  }

  /** Evicts clean znodes; see {@link TreeState.trim}. */
  trim(bytesMax: number): void {
    this.#state.trim(bytesMax);
  }

  /** Evicts clean znodes and lists; see {@link TreeState.evict}. */
  evict(mayLeave: (node: Znode) => boolean): void {
    this.#state.evict(mayLeave);
  }
}
