/**
 * Txns as bytes. A batch is records one after the other; the same bytes are the row of the log and the
 * message to a peer, so a txn is encoded once in its life.
 *
 * Record:
 * | bytes | field | |
 * |---|---|---|
 * | 4 | length | of what follows |
 * | 8 | session | i64, a safe integer |
 * | 4 | xid | i32 |
 * | 4 + 4 | epoch, counter | two u32, the zxid |
 * | 8 | timeMs | i64 |
 * | 4 | type | i32, ZooKeeper's opcode |
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
import { assertNever } from "../assert.ts";
import { ZOO_ERRORS, zooErrorOf } from "../errors.ts";
import { asEpoch, compareZxid, type Zxid, zxid } from "../zab/zxid.ts";
import type { SessionId, Txn, TxnHeader } from "../znode/types.ts";
import { readOpenAcl, writeOpenAcl } from "./jute/acl.ts";
import { ByteReader, WireError } from "./reader.ts";
import type { ByteWriter } from "./writer.ts";

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

const LENGTH_BYTES = 4;
const HEADER_BYTES = 32;
/** Bytes of a record before its body. */
const PREFIX_BYTES = LENGTH_BYTES + HEADER_BYTES;
const ZXID_AT = LENGTH_BYTES + 12;
/** Operations of one multi: its result is kept in one row, and 4,096 Stats beside 1 MiB of paths are below 2 MB. */
export const MULTI_OPS_MAX = 4_096;

/** Appends one record. */
export function appendTxn(writer: ByteWriter, header: TxnHeader, txn: Txn): void {
  const at = writer.length;
  writer.i32(0);
  writer.i64(header.session);
  writer.i32(header.xid);
  writer.u32pair(header.zxid.epoch, header.zxid.counter);
  writer.i64(header.timeMs);
  writer.i32(typeOf(txn));
  writeBody(writer, txn);
  writer.patchI32(at, writer.length - at - LENGTH_BYTES);
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
      return { type: "setData", path: reader.string(), data: reader.bufferCopy(), version: reader.i32() };
    case TxnType.CREATE:
    case TxnType.CREATE2:
      return readCreate(reader, type === TxnType.CREATE2);
    case TxnType.DELETE:
      return { type: "delete", path: reader.string() };
    case TxnType.CHECK:
      return { type: "check", path: reader.string(), version: reader.i32() };
    case TxnType.ERROR:
      return readError(reader);
  }
  if (nested) throw new WireError(`a txn of type ${type} is not part of a multi`);
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
  const data = reader.bufferCopy();
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
 * {@link header} or {@link txn} is called. All data handed out is copied: the batch may be reused or dropped.
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
    const reader = this.#reader;
    reader.at = at;
    reader.end = this.#batchEnd;
    const size = reader.i32();
    if (size < HEADER_BYTES || size > reader.left) throw new WireError(`a txn of ${size} bytes does not fit`);
    const end = at + LENGTH_BYTES + size;
    this.session = reader.i64() as SessionId;
    this.xid = reader.i32();
    this.epoch = reader.u32();
    this.counter = reader.u32();
    this.timeMs = reader.i64();
    this.type = reader.i32();
    this.start = at;
    this.end = end;
    this.#next = end;
    return true;
  }

  /** zxid of the current record. */
  zxid(): Zxid {
    return { epoch: asEpoch(this.epoch), counter: this.counter };
  }

  /** Header of the current record. */
  header(): TxnHeader {
    return { session: this.session, xid: this.xid, zxid: this.zxid(), timeMs: this.timeMs };
  }

  /** Change of the current record. @throws WireError when the body is not what its type says */
  txn(): Txn {
    const reader = this.#reader;
    reader.at = this.start + PREFIX_BYTES;
    reader.end = this.end;
    const txn = readBody(reader, this.type, false);
    if (reader.left !== 0) throw new WireError("a record is longer than its txn");
    return txn;
  }
}

/** Steps over the records of `[0, end)` with their zxids, without decoding more. `visit` returns false to stop. */
function walk(batch: Uint8Array, end: number, visit: (start: number, end: number) => boolean): void {
  let at = 0;
  while (at < end) {
    const size = at + PREFIX_BYTES <= end ? i32At(batch, at) : -1;
    const next = at + LENGTH_BYTES + size;
    if (size < HEADER_BYTES || next > end) throw new WireError("a batch does not end with a whole record");
    if (!visit(at, next)) return;
    at = next;
  }
}

const i32At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) << 24) |
  ((bytes[at + 1] ?? 0) << 16) |
  ((bytes[at + 2] ?? 0) << 8) |
  (bytes[at + 3] ?? 0);

const zxidAt = (batch: Uint8Array, record: number): Zxid =>
  zxid(i32At(batch, record + ZXID_AT) >>> 0, i32At(batch, record + ZXID_AT + 4) >>> 0);

/** zxid of the last record that ends at or before `end`; undefined for an empty batch. @throws WireError */
export function lastZxidOf(batch: Uint8Array, end = batch.length): Zxid | undefined {
  let last = -1;
  walk(batch, end, (at) => {
    last = at;
    return true;
  });
  return last === -1 ? undefined : zxidAt(batch, last);
}

/** Number of records. @throws WireError */
export function countTxns(batch: Uint8Array, end = batch.length): number {
  let count = 0;
  walk(batch, end, () => {
    count += 1;
    return true;
  });
  return count;
}

/** Offset of the first record after `after`; the batch's length when there is none. @throws WireError */
export function splitAfter(batch: Uint8Array, after: Zxid): number {
  let offset = 0;
  walk(batch, batch.length, (at, next) => {
    if (compareZxid(zxidAt(batch, at), after) > 0) return false;
    offset = next;
    return true;
  });
  return offset;
}
