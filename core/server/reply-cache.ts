/**
 * Reply cache of numbered writes: a repeat gets the first answer again, and another write under a used number (a false
 * retry) is refused.
 */
import type { TxnCursor } from "../wire/txn-codec.ts";
import { decodeTxn } from "../wire/txn-codec.ts";
import type { TxnLogReader } from "../zab/txn-log.ts";
import type { ZnodeTree } from "../znode/tree.ts";
import { isAnonymous, type SessionId, type Txn, type TxnHeader, type WriteResult } from "../znode/types.ts";
import { failed, type ServerAnswer } from "./answers.ts";
import { type Fingerprint, NOT_KNOWN, PreparedFingerprints } from "./fingerprint.ts";
import { decodeRequest, type RawRequest, type TakenRequest } from "./messages.ts";
import type { PendingWrite } from "./pending.ts";
import { type KnownResult, RecentResults } from "./recent-results.ts";
import { isAnotherWrite, isOfAnotherWrite } from "./reuse.ts";

/**
 * Results and fingerprints of numbered writes, from four sources: the writes prepared by this leader, those recently
 * applied here, the last write of each session in the tree, and the txn log.
 *
 * Invariant: the result returned for (session, xid) is that of the txn with this session and xid.
 *
 * @source RFC 8881 §2.10.6 (reply cache, false retry); ZooKeeper has none
 */
export class ReplyCache {
  readonly #log: TxnLogReader;
  readonly #prepared = new PreparedFingerprints();
  #recent = new RecentResults();
  #tree: ZnodeTree;

  constructor(tree: ZnodeTree, log: TxnLogReader) {
    this.#tree = tree;
    this.#log = log;
  }

  /** Handles a received snapshot: the txns that it contains were not applied one by one. */
  loadTree(tree: ZnodeTree): void {
    this.#tree = tree;
    this.#recent = new RecentResults();
    this.#prepared.clear();
  }

  // ── prepared, applied ────────────────────────────────────────────────────

  /** LEADING: records that a numbered write became the txn of this header. */
  prepared(header: TxnHeader, fingerprint: Fingerprint): void {
    this.#prepared.add(header, fingerprint);
  }

  /** Forgets the writes prepared and not applied, because another epoch has begun. */
  forgetPrepared(): void {
    this.#prepared.clear();
  }

  /** Fingerprint of the request that became the txn at the cursor: the one prepared here, or else the one in the txn. */
  takeFingerprint(cursor: TxnCursor): Fingerprint {
    const prepared = this.#prepared.take(cursor);
    return prepared === NOT_KNOWN ? cursor.fingerprint : prepared;
  }

  /** Records a numbered write that was applied. */
  applied(header: TxnHeader, result: WriteResult, fingerprint: Fingerprint): void {
    this.#recent.add(header, result, fingerprint);
  }

  /** Sets the fingerprint of a write that was applied. @param fingerprint NOT_KNOWN if the recorded one may be wrong */
  noteFingerprint(session: SessionId, xid: number, fingerprint: Fingerprint): void {
    this.#recent.setFingerprint(session, xid, fingerprint);
    this.#tree.noteFingerprint(session, xid, fingerprint);
  }

  // ── answers ──────────────────────────────────────────────────────────────

  /** The first answer to a repeated write, or XID_REUSED; undefined if the write is new. */
  answerTo(write: RawRequest, fingerprint: Fingerprint): ServerAnswer | undefined {
    const known = this.#knownOf(write);
    const isAnother = known?.ok === true && this.#isAnother(write, fingerprint, known as KnownResult);
    return isAnother ? failed(this.#tree.lastApplied, "XID_REUSED") : known;
  }

  /** LEADING: whether the number of this write was used for another write, which was prepared here or applied. */
  isFalseRetry(write: TakenRequest): boolean {
    const prepared = this.#prepared.find(write.session, write.xid);
    if (prepared !== NOT_KNOWN) return prepared !== write.fingerprint;
    const known = this.#knownOf(write);
    return known?.ok === true && this.#isAnother(write, write.fingerprint, known as KnownResult);
  }

  /**
   * Whether a txn with the number of a pending write was made of another write.
   * @param fingerprint of the txn's request
   */
  isOfAnother(
    waiting: PendingWrite,
    header: TxnHeader,
    txn: Txn,
    result: WriteResult,
    fingerprint: Fingerprint,
  ): boolean {
    if (fingerprint !== NOT_KNOWN) return fingerprint !== waiting.fingerprint;
    if (waiting.sent) return isOfAnotherWrite(waiting.opcode, waiting.body, txn);
    // The pending write was not sent in this incarnation, so it is a repeat. Repeats are rare, so the comparison may be slow.
    return isAnotherWrite(decodeRequest(waiting), { zxid: header.zxid, result }, txn, this.#tree);
  }

  /** Whether it is another write than the one with this result under its number; false if that is unknown. */
  #isAnother(write: RawRequest, fingerprint: Fingerprint, known: KnownResult): boolean {
    const { session, xid } = write;
    const first = this.#recent.fingerprintOf(session, xid) || this.#tree.fingerprintOf(session, xid);
    if (first !== NOT_KNOWN) return first !== fingerprint;
    const record = this.#log.recordAt(known.zxid);
    return isAnotherWrite(decodeRequest(write), known, record && decodeTxn(record), this.#tree);
  }

  #knownOf({ session, xid }: RawRequest): ServerAnswer | undefined {
    if (xid <= 0 || isAnonymous(session)) return undefined;
    const known = this.#tree.sessions.get(session);
    if (known === undefined || xid > known.lastXid) return undefined;
    if (xid === known.lastXid && known.lastResult !== null) {
      return { ok: true, zxid: known.lastZxid, result: known.lastResult };
    }
    const recent = this.#recent.find(session, xid);
    return recent === undefined ? failed(this.#tree.lastApplied, "XID_TOO_OLD") : { ok: true, ...recent };
  }
}
