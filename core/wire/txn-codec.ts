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
 * | … | body | below |
 *
 * Body by type (jute):
 * | type | body |
 * |---|---|
 * | create 1, create2 15 (answers with the Stat) | path, data, vector of ACL, bool ephemeral, i32 parentCversion |
 * | delete 2 | path |
 * | setData 5 | path, data, i32 version |
 * | check 13 | path, i32 version |
 * | sync 9 (ours) | – |
 * | multi 14 | vector of (i32 type, buffer body) |
 * | createSession −10 | i32 timeoutMs |
 * | closeSession −11 | – (the tree knows what the session owns) |
 * | error −1 | i32 code, i32 ops, i32 at (the last two are ours) |
 *
 * @source ZooKeeper `zookeeper.jute` module `org.apache.zookeeper.txn`
 */
import { assert, assertNever } from "../assert.ts";
import { ZOO_ERRORS, zooErrorOf } from "../errors.ts";
import { HEADER_BYTES, LENGTH_BYTES, LENGTH_MASK, ZXID_AT } from "../zab/txn-batch.ts";
import { asEpoch, type Zxid } from "../zab/zxid.ts";
import type { SessionId, Txn, TxnHeader } from "../znode/types.ts";
import { readOpenAcl, writeOpenAcl } from "./jute/acl.ts";
import { ByteReader, i64At, WireError } from "./reader.ts";
import { type ByteWriter, putI64 } from "./writer.ts";

/** Type numbers of txns. */
export const TxnType = {
  CREATE: 1,
  DELETE: 2,
  SET_DATA: 5,
  SYNC: 9,
  CHECK: 13,
  MULTI: 14,
  CREATE2: 15,
  CREATE_SESSION: -10,
  CLOSE_SESSION: -11,
  ERROR: -1,
} as const;

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
/** Operations of one multi: its result is kept in one row, and 4,096 Stats beside 1 MiB of paths are below 2 MB. */
export const MULTI_OPS_MAX = 4_096;

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

function typeOf(txn: Txn): number {
  switch (txn.type) {
    case "setData":
      return TxnType.SET_DATA;
    case "create":
      return txn.withStat ? TxnType.CREATE2 : TxnType.CREATE;
    case "delete":
      return TxnType.DELETE;
    case "check":
      return TxnType.CHECK;
    case "sync":
      return TxnType.SYNC;
    case "multi":
      return TxnType.MULTI;
    case "createSession":
      return TxnType.CREATE_SESSION;
    case "closeSession":
      return TxnType.CLOSE_SESSION;
    case "error":
      return TxnType.ERROR;
  }
}

function writeBody(writer: ByteWriter, txn: Txn): void {
  switch (txn.type) {
    case "setData":
      writer.string(txn.path);
      writer.buffer(txn.data);
      writer.i32(txn.version);
      return;
    case "create":
      writer.string(txn.path);
      writer.buffer(txn.data);
      writeOpenAcl(writer);
      writer.bool(txn.ephemeral);
      writer.i32(txn.parentCversion);
      return;
    case "delete":
      writer.string(txn.path);
      return;
    case "check":
      writer.string(txn.path);
      writer.i32(txn.version);
      return;
    case "sync":
      return;
    case "multi":
      writeMulti(writer, txn.txns);
      return;
    case "createSession":
      writer.i32(txn.timeoutMs);
      return;
    case "closeSession":
      return;
    case "error":
      writer.i32(ZOO_ERRORS[txn.code].number);
      writer.i32(txn.ops);
      writer.i32(txn.at);
      return;
    default:
      assertNever(txn);
  }
}

function writeMulti(writer: ByteWriter, txns: readonly Txn[]): void {
  writer.i32(txns.length);
  for (const each of txns) {
    writer.i32(typeOf(each));
    const at = writer.length;
    writer.i32(0);
    writeBody(writer, each);
    writer.patchI32(at, writer.length - at - 4);
  }
}

/** Reads a body. `nested`: an element of a multi, which can be no session, sync or multi. */
function readBody(reader: ByteReader, type: number, nested: boolean): Txn {
  switch (type) {
    case TxnType.SET_DATA:
      return { type: "setData", path: reader.string(), data: reader.buffer(), version: reader.i32() };
    case TxnType.CREATE:
    case TxnType.CREATE2:
      return readCreate(reader, type === TxnType.CREATE2);
    case TxnType.DELETE:
      return { type: "delete", path: reader.string() };
    case TxnType.CHECK:
      return { type: "check", path: reader.string(), version: reader.i32() };
    case TxnType.ERROR:
      return readError(reader);
    default:
      if (nested) throw new WireError(`a txn of type ${type} is not part of a multi`);
      return readWholeBody(reader, type);
  }
}

/** A body that is no element of a multi. */
function readWholeBody(reader: ByteReader, type: number): Txn {
  switch (type) {
    case TxnType.SYNC:
      return { type: "sync" };
    case TxnType.MULTI:
      return readMulti(reader);
    case TxnType.CREATE_SESSION:
      return { type: "createSession", timeoutMs: reader.i32() };
    case TxnType.CLOSE_SESSION:
      return { type: "closeSession" };
    default:
      throw new WireError(`there is no txn of type ${type}`);
  }
}

function readCreate(reader: ByteReader, withStat: boolean): Txn {
  const path = reader.string();
  const data = reader.buffer();
  readOpenAcl(reader);
  return { type: "create", path, data, ephemeral: reader.bool(), parentCversion: reader.i32(), withStat };
}

function readError(reader: ByteReader): Txn {
  const code = zooErrorOf(reader.i32());
  const ops = reader.i32();
  const at = reader.i32();
  if (ops < 0 || ops > MULTI_OPS_MAX || at < 0 || (ops > 0 && at >= ops)) {
    throw new WireError(`an error at ${at} of ${ops} operations`);
  }
  return { type: "error", code, ops, at };
}

function readMulti(reader: ByteReader): Txn {
  const count = reader.count(8);
  if (count > MULTI_OPS_MAX) throw new WireError(`a multi of ${count} operations`);
  const outerEnd = reader.end;
  const txns: Txn[] = [];
  for (let i = 0; i < count; i++) {
    const type = reader.i32();
    const size = reader.i32();
    if (size < 0 || size > reader.left) throw new WireError("an element of a multi does not fit");
    reader.end = reader.at + size;
    txns.push(readBody(reader, type, true));
    if (reader.left !== 0) throw new WireError("an element of a multi is longer than its txn");
    reader.end = outerEnd;
  }
  return { type: "multi", txns };
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
   * Steps to the next record. @returns false at the end of the batch
   * @throws WireError when the batch does not go on with a whole record
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
    const txn = readBody(reader, this.type, false);
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
