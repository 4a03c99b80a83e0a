/**
 * What a member knows of the writes that sessions have numbered: a repeat gets the first answer again, and another write under
 * a used number (a false retry) is refused.
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
 * Results and fingerprints of numbered writes, from four sources: what this leader has prepared, what was applied here
 * recently, the last write of each session in the tree, and the txn log.
 *
 * Invariant: a result that it returns for (session, xid) is that of the txn with this session and xid.
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

  /** A received snapshot has become the tree: the txns it stands for were not applied one by one. */
  loadTree(tree: ZnodeTree): void {
    this.#tree = tree;
    this.#recent = new RecentResults();
    this.#prepared.clear();
  }

  // ── prepared, applied ────────────────────────────────────────────────────

  /** LEADING: a numbered write has become the txn of this header. */
  prepared(header: TxnHeader, fingerprint: Fingerprint): void {
    this.#prepared.add(header, fingerprint);
  }

  /** Forgets what was prepared and not applied: another epoch has begun. */
  forgetPrepared(): void {
    this.#prepared.clear();
  }

  /** Fingerprint of the request that became the txn at the cursor: as prepared here, or else as in the txn. */
  takeFingerprint(cursor: TxnCursor): Fingerprint {
    const prepared = this.#prepared.take(cursor);
    return prepared === NOT_KNOWN ? cursor.fingerprint : prepared;
  }

  /** A numbered write was applied. */
  applied(header: TxnHeader, result: WriteResult, fingerprint: Fingerprint): void {
    this.#recent.add(header, result, fingerprint);
  }

  /** Sets the fingerprint of a write that was applied. @param fingerprint NOT_KNOWN: the one noted may be wrong */
  noteFingerprint(session: SessionId, xid: number, fingerprint: Fingerprint): void {
    this.#recent.setFingerprint(session, xid, fingerprint);
    this.#tree.noteFingerprint(session, xid, fingerprint);
  }

  // ── answers ──────────────────────────────────────────────────────────────

  /** The answer to a write that was done before, or XID_REUSED; undefined: it has to be done. */
  answerTo(write: RawRequest, fingerprint: Fingerprint): ServerAnswer | undefined {
    const known = this.#knownOf(write);
    const isAnother = known?.ok === true && this.#isAnother(write, fingerprint, known as KnownResult);
    return isAnother ? failed(this.#tree.lastApplied, "XID_REUSED") : known;
  }

  /** LEADING: was the number of this write used for another one, which was prepared here or applied? */
  isFalseRetry(write: TakenRequest): boolean {
    const prepared = this.#prepared.find(write.session, write.xid);
    if (prepared !== NOT_KNOWN) return prepared !== write.fingerprint;
    const known = this.#knownOf(write);
    return known?.ok === true && this.#isAnother(write, write.fingerprint, known as KnownResult);
  }

  /**
   * A txn has the number of a write that waits here. Was it made of another write?
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
    // A write that has not left this member can only be a repeat. Repeats are rare, so the comparison may be slow.
    return isAnotherWrite(decodeRequest(waiting), { zxid: header.zxid, result }, txn, this.#tree);
  }

  /** Is it another write than the one that had this result under its number? False where this is not known. */
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
