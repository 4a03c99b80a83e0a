/**
 * Txns as bytes. A batch is records one after the other (Zab's framing, see txn-batch.ts); the same bytes are the row of
 * the log and the message to a peer, so a txn is encoded once in its life.
 *
 * Record:
 * | bytes | field | |
 * |---|---|---|
 * | 1 | format | 0 or 1; the version before this one reads 0 only |
 * | 3 | length | of what follows |
 * | 8 | session | i64, a safe integer |
 * | 4 | xid | i32 |
 * | 4 + 4 | epoch, counter | two u32, the zxid |
 * | 8 | timeMs | i64 |
 * | 4 | type | i32, ZooKeeper's opcode |
 * | 8 | fingerprint | i64, of the request (see fingerprint.ts); in format 1 only |
 * | … | body | see txn-body.ts |
 *
 * @source ZooKeeper `zookeeper.jute` module `org.apache.zookeeper.txn`
 */
import { assert } from "../assert.ts";
import { HEADER_BYTES, LENGTH_BYTES, LENGTH_MASK, ZXID_AT } from "../zab/txn-batch.ts";
import { asEpoch, type Zxid } from "../zab/zxid.ts";
import type { SessionId, Txn, TxnHeader } from "../znode/types.ts";
import { ByteReader, i64At, WireError } from "./reader.ts";
import { readBody, typeOf, writeBody } from "./txn-body.ts";
import { type ByteWriter, putI64 } from "./writer.ts";

/** The highest format that this version reads. */
const RECORD_FORMAT_MAX = 1;
/** Bytes of a record before its fingerprint or body. */
const PREFIX_BYTES = LENGTH_BYTES + HEADER_BYTES;
// Offsets in a record.
const SESSION_AT = LENGTH_BYTES;
const XID_AT = LENGTH_BYTES + 8;
const TIME_AT = LENGTH_BYTES + 20;
const TYPE_AT = LENGTH_BYTES + 28;
const FINGERPRINT_BYTES = 8;

/** Appends one record. @param fingerprint of the request; 0: none, and the record is of format 0, else of format 1 */
export function appendTxn(writer: ByteWriter, header: TxnHeader, txn: Txn, fingerprint = 0): void {
  const at = writer.claim(PREFIX_BYTES);
  const { numbers } = writer;
  putI64(numbers, at + SESSION_AT, header.session);
  numbers.setInt32(at + XID_AT, header.xid);
  numbers.setUint32(at + ZXID_AT, header.zxid.epoch);
  numbers.setUint32(at + ZXID_AT + 4, header.zxid.counter);
  putI64(numbers, at + TIME_AT, header.timeMs);
  numbers.setInt32(at + TYPE_AT, typeOf(txn));
  const format = fingerprint === 0 ? 0 : 1;
  if (format === 1) writer.i64(fingerprint);
  writeBody(writer, txn);
  const length = writer.length - at - LENGTH_BYTES;
  assert(length <= LENGTH_MASK, "a txn is shorter than 16 MiB");
  writer.patchI32(at, (format << 24) | length);
}

/**
 * Walks the records of a batch. The header's fields are plain numbers; nothing is allocated until
 * {@link header} or {@link txn} is called. Data handed out are views of the batch, which must not change.
 */
export class TxnCursor {
  readonly #reader: ByteReader;
  readonly #batchEnd: number;
  #next: number;
  /** offset of the current record's length field */
  start = 0;
  /** one past the current record */
  end = 0;
  session = 0 as SessionId;
  xid = 0;
  epoch = 0;
  counter = 0;
  timeMs = 0;
  type = 0;
  /** of the request; 0: not known */
  fingerprint = 0;
  #bodyAt = 0;
  #format = 0;

  /** @param start offset of a record, or of the batch's end */
  constructor(batch: Uint8Array, start = 0, end = batch.length) {
    this.#reader = new ByteReader(batch, start, end);
    this.#batchEnd = end;
    this.#next = start;
    this.start = start;
    this.end = start;
  }

  /**
   * Steps to the next record.
   * @returns false at the end of the batch
   * @throws WireError when what follows in the batch is not a whole record
   */
  next(): boolean {
    const at = this.#next;
    if (at === this.#batchEnd) return false;
    const { view } = this.#reader;
    const left = this.#batchEnd - at - LENGTH_BYTES;
    if (left < HEADER_BYTES) throw new WireError("a batch ends within a txn's header");
    const first = view.getInt32(at);
    const format = first >>> 24;
    const size = first & LENGTH_MASK;
    if (size < HEADER_BYTES || size > left) throw new WireError(`a txn of ${size} bytes does not fit`);
    const end = at + LENGTH_BYTES + size;
    this.session = i64At(view, at + SESSION_AT) as SessionId;
    this.xid = view.getInt32(at + XID_AT);
    this.epoch = view.getUint32(at + ZXID_AT);
    this.counter = view.getUint32(at + ZXID_AT + 4);
    this.timeMs = i64At(view, at + TIME_AT);
    this.type = view.getInt32(at + TYPE_AT);
    this.#format = format;
    this.#bodyAt = at + PREFIX_BYTES;
    this.fingerprint = 0;
    if (format === 1) this.#readFingerprint(end);
    this.start = at;
    this.end = end;
    this.#next = end;
    return true;
  }

  #readFingerprint(end: number): void {
    const at = this.#bodyAt;
    this.#bodyAt = at + FINGERPRINT_BYTES;
    if (this.#bodyAt > end) throw new WireError("a txn ends within its fingerprint");
    this.fingerprint = i64At(this.#reader.view, at);
  }

  /** zxid of the current record. */
  zxid(): Zxid {
    return { epoch: asEpoch(this.epoch), counter: this.counter };
  }

  /** Header of the current record. */
  header(): TxnHeader {
    return { session: this.session, xid: this.xid, zxid: this.zxid(), timeMs: this.timeMs };
  }

  /** Change of the current record. @throws WireError when the format is not known, or the body is not what its type says */
  txn(): Txn {
    if (this.#format > RECORD_FORMAT_MAX) {
      const known = `this member reads formats up to ${RECORD_FORMAT_MAX}`;
      throw new WireError(`a txn record of format ${this.#format}: ${known}`);
    }
    const reader = this.#reader;
    reader.at = this.#bodyAt;
    reader.end = this.end;
    const txn = readBody(reader, this.type);
    if (reader.left !== 0) throw new WireError("a record is longer than its txn");
    return txn;
  }
}

/** The change of one record. @throws WireError */
export function decodeTxn(record: Uint8Array): Txn {
  const cursor = new TxnCursor(record);
  if (!cursor.next()) throw new WireError("a record is empty");
  return cursor.txn();
}
