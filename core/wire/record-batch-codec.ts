/**
 * Kafka's RecordBatch, magic 2: the only form in which records are stored, sent and read.
 *
 * | at | field | type | |
 * |---|---|---|---|
 * | 0 | baseOffset | i64 | stamped by the partition, outside the CRC |
 * | 8 | batchLength | i32 | bytes after this field |
 * | 12 | partitionLeaderEpoch | i32 | stamped by the partition, outside the CRC |
 * | 16 | magic | i8 | 2 |
 * | 17 | crc | u32 | CRC-32C of the bytes from 21 to the end |
 * | 21 | attributes | i16 | bits 0–2 codec, 3 timestamp type, 4 transactional, 5 control |
 * | 23 | lastOffsetDelta | i32 | |
 * | 27 | baseTimestamp | i64 | ms |
 * | 35 | maxTimestamp | i64 | ms |
 * | 43 | producerId | i64 | −1 none |
 * | 51 | producerEpoch | i16 | |
 * | 53 | baseSequence | i32 | |
 * | 57 | recordCount | i32 | records start at 61 |
 *
 * Record: varint length, i8 attributes, varlong timestampDelta, varint offsetDelta, varint keyLength (−1 null), key,
 * varint valueLength (−1 null, a tombstone), value, varint headers, each varint keyLength, key, varint valueLength, value.
 * Varints are zigzag.
 *
 * @source Kafka documentation, "Message format"; KIP-98
 */
import { assert } from "../assert.ts";
import type { KafkaErrorCode } from "../errors.ts";
import { crc32c } from "../hash/crc32c.ts";
import { readUtf8, utf8Length, writeUtf8 } from "./utf8.ts";

/** bytes before the first record */
export const BATCH_HEADER_BYTES = 61;
/** batchLength counts from here */
const LENGTH_BASE = 12;
const CRC_FROM = 21;
const MAGIC = 2;
const HIGH = 2 ** 32;

/** A header of a record. */
export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** A record before it has an offset. */
export interface BrokerRecord {
  readonly key: Uint8Array | null;
  /** null: a tombstone */
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
  /** ms since 1970 */
  readonly timestampMs: number;
}

/** A record as it is read. Key and value are views of the batch. */
export interface OffsetRecord extends BrokerRecord {
  readonly offset: number;
}

/** The header of one batch within bytes that may hold several. */
export interface BatchHeader {
  /** where the batch starts, and one past its end */
  readonly at: number;
  readonly end: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly leaderEpoch: number;
  /** codec of the records: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd */
  readonly codec: number;
  readonly control: boolean;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: number;
  readonly recordCount: number;
}

/** Size limits of {@link validateBatches}. */
export interface BatchLimits {
  /** bytes of one batch, header included */
  readonly batchBytesMax: number;
  /** bytes of all batches together */
  readonly totalBytesMax: number;
}

/** Outcome of a check of bytes: the headers of their batches and the number of records, or why they are refused. */
export type BatchCheck =
  | { readonly ok: true; readonly batches: readonly BatchHeader[]; readonly records: number }
  | { readonly ok: false; readonly code: KafkaErrorCode; readonly message: string };

/** Bytes of a zigzag varint. */
function varintLength(value: number): number {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  let size = 1;
  while (rest >= 128) {
    rest = Math.floor(rest / 128);
    size += 1;
  }
  return size;
}

function writeVarint(out: Uint8Array, at: number, value: number): number {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  let end = at;
  while (rest >= 128) {
    out[end++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  out[end++] = rest;
  return end;
}

const bytesLength = (value: Uint8Array | null): number =>
  value === null ? 1 : varintLength(value.length) + value.length;

function writeBytes(out: Uint8Array, at: number, value: Uint8Array | null): number {
  if (value === null) return writeVarint(out, at, -1);
  const start = writeVarint(out, at, value.length);
  out.set(value, start);
  return start + value.length;
}

function recordLength(record: BrokerRecord, index: number, baseTimestamp: number): number {
  let size = 1 + varintLength(record.timestampMs - baseTimestamp) + varintLength(index);
  size += bytesLength(record.key) + bytesLength(record.value) + varintLength(record.headers.length);
  for (const header of record.headers) {
    const key = utf8Length(header.key);
    size += varintLength(key) + key + bytesLength(header.value);
  }
  return size;
}

/**
 * Encodes records as one uncompressed batch with base offset 0 and leader epoch −1, which the partition stamps.
 * @param records at least one
 */
export function encodeRecordBatch(records: readonly BrokerRecord[]): Uint8Array<ArrayBuffer> {
  const first = records[0];
  assert(first !== undefined, "a batch holds at least one record");
  const baseTimestamp = first.timestampMs;
  const lengths = records.map((record, index) => recordLength(record, index, baseTimestamp));
  const size = lengths.reduce((sum, length) => sum + varintLength(length) + length, BATCH_HEADER_BYTES);
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  let maxTimestamp = baseTimestamp;
  let at = BATCH_HEADER_BYTES;
  records.forEach((record, index) => {
    maxTimestamp = Math.max(maxTimestamp, record.timestampMs);
    at = writeVarint(out, at, lengths[index] ?? 0);
    out[at++] = 0;
    at = writeVarint(out, at, record.timestampMs - baseTimestamp);
    at = writeVarint(out, at, index);
    at = writeBytes(out, at, record.key);
    at = writeBytes(out, at, record.value);
    at = writeVarint(out, at, record.headers.length);
    for (const header of record.headers) {
      const key = utf8Length(header.key);
      at = writeUtf8(header.key, out, writeVarint(out, at, key));
      at = writeBytes(out, at, header.value);
    }
  });
  assert(at === size, "the records take the bytes that were counted");
  view.setInt32(8, size - LENGTH_BASE);
  view.setInt32(12, -1);
  out[16] = MAGIC;
  view.setInt32(23, records.length - 1);
  setI64(view, 27, baseTimestamp);
  setI64(view, 35, maxTimestamp);
  setI64(view, 43, -1);
  view.setInt16(51, -1);
  view.setInt32(53, -1);
  view.setInt32(57, records.length);
  view.setUint32(17, crc32c(out, CRC_FROM, size));
  return out;
}

function setI64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / HIGH));
  view.setUint32(at + 4, value >>> 0);
}

const getI64 = (view: DataView, at: number): number => view.getInt32(at) * HIGH + view.getUint32(at + 4);

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Writes base offset and leader epoch into the batch that starts at `at`. The CRC does not cover them. */
export function stampBatch(bytes: Uint8Array, at: number, baseOffset: number, leaderEpoch: number): void {
  const view = viewOf(bytes);
  setI64(view, at, baseOffset);
  view.setInt32(at + 12, leaderEpoch);
}

function headerAt(bytes: Uint8Array, view: DataView, at: number): BatchHeader | undefined {
  if (at + BATCH_HEADER_BYTES > bytes.length) return undefined;
  const end = at + LENGTH_BASE + view.getInt32(at + 8);
  if (end < at + BATCH_HEADER_BYTES || end > bytes.length) return undefined;
  const baseOffset = getI64(view, at);
  const attributes = view.getInt16(at + 21);
  return {
    at,
    end,
    baseOffset,
    lastOffset: baseOffset + view.getInt32(at + 23),
    leaderEpoch: view.getInt32(at + 12),
    codec: attributes & 7,
    control: (attributes & 32) !== 0,
    baseTimestamp: getI64(view, at + 27),
    maxTimestamp: getI64(view, at + 35),
    producerId: getI64(view, at + 43),
    recordCount: view.getInt32(at + 57),
  };
}

/** The header of the batch that starts at `at`; undefined when there is no whole one. */
export const batchAt = (bytes: Uint8Array, at: number): BatchHeader | undefined =>
  bytes[at + 16] === MAGIC ? headerAt(bytes, viewOf(bytes), at) : undefined;

/** Whether the CRC of a batch matches its bytes. */
export const isIntact = (bytes: Uint8Array, { at, end }: BatchHeader): boolean =>
  crc32c(bytes, at + CRC_FROM, end) === viewOf(bytes).getUint32(at + 17);

/** Walks the batches of bytes that {@link validateBatches} accepted; stops where no whole batch is left. */
export function* batchesOf(bytes: Uint8Array): Generator<BatchHeader> {
  const view = viewOf(bytes);
  let at = 0;
  for (;;) {
    const header = headerAt(bytes, view, at);
    if (header === undefined) return;
    yield header;
    at = header.end;
  }
}

/**
 * Checks what a producer sent: one or more whole batches of magic 2, right lengths and CRC, as many records as the
 * offsets say. Records of uncompressed batches are walked too, so that no reader ever meets one it cannot read.
 * Control and transactional batches are refused: only a coordinator may write them.
 * Codes: CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_RECORD.
 */
export function validateBatches(bytes: Uint8Array, limits: BatchLimits): BatchCheck {
  const fail = (code: KafkaErrorCode, message: string): BatchCheck => ({ ok: false, code, message });
  if (bytes.length > limits.totalBytesMax)
    return fail("MESSAGE_TOO_LARGE", `${bytes.length} bytes in one request`);
  const view = viewOf(bytes);
  const batches: BatchHeader[] = [];
  let records = 0;
  let at = 0;
  while (at < bytes.length) {
    const header = headerAt(bytes, view, at);
    if (header === undefined) return fail("CORRUPT_MESSAGE", "a batch is cut short");
    if (header.end - at > limits.batchBytesMax) return fail("MESSAGE_TOO_LARGE", "a batch is too large");
    if (bytes[at + 16] !== MAGIC)
      return fail("INVALID_RECORD", "only record batches of magic 2 are accepted");
    if (crc32c(bytes, at + CRC_FROM, header.end) !== view.getUint32(at + 17))
      return fail("CORRUPT_MESSAGE", "the CRC is wrong");
    if ((view.getInt16(at + 21) & 0x30) !== 0)
      return fail("INVALID_RECORD", "control and transactional batches are refused");
    if (header.codec > 4) return fail("INVALID_RECORD", "the codec is unknown");
    if (header.recordCount < 1 || header.recordCount !== view.getInt32(at + 23) + 1)
      return fail("INVALID_RECORD", "the record count does not match the offsets");
    if (header.codec === 0) {
      const reason = walkRecords(bytes, header);
      if (reason !== undefined) return fail("INVALID_RECORD", reason);
    }
    batches.push(header);
    records += header.recordCount;
    at = header.end;
  }
  return batches.length === 0 ? fail("INVALID_RECORD", "there is no batch") : { ok: true, batches, records };
}

/** Reads varints and byte runs between two bounds; `bad` once anything did not fit. */
class RecordReader {
  readonly #bytes: Uint8Array;
  at: number;
  end: number;
  bad = false;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.at = at;
    this.end = end;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8 && this.at < this.end; i++) {
      const byte = this.#bytes[this.at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      }
      scale *= 128;
    }
    this.bad = true;
    return 0;
  }

  /** A view of a run of bytes behind its length; −1 is null. */
  run(): Uint8Array | null {
    const size = this.varint();
    if (size === -1) return null;
    if (size < 0 || this.at + size > this.end) {
      this.bad = true;
      return null;
    }
    this.at += size;
    return this.#bytes.subarray(this.at - size, this.at);
  }

  /** A header's key; null when it is not UTF-8. */
  text(): string | null {
    const bytes = this.run();
    const text = bytes === null ? undefined : readUtf8(bytes, 0, bytes.length);
    if (text === undefined) this.bad = true;
    return text ?? null;
  }
}

function walkRecords(bytes: Uint8Array, header: BatchHeader): string | undefined {
  const reader = new RecordReader(bytes, header.at + BATCH_HEADER_BYTES, header.end);
  let maxTimestamp = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < header.recordCount; index++) {
    const record = readRecord(reader, header);
    if (record === undefined) return "a record cannot be decoded";
    if (record.offset !== header.baseOffset + index) return "the offset deltas are not consecutive";
    maxTimestamp = Math.max(maxTimestamp, record.timestampMs);
  }
  if (maxTimestamp !== header.maxTimestamp) return "the max timestamp is not that of the records";
  return reader.at === header.end ? undefined : "bytes are left behind the last record";
}

function readRecord(reader: RecordReader, batch: BatchHeader): OffsetRecord | undefined {
  const size = reader.varint();
  const end = reader.at + size;
  if (reader.bad || size < 1 || end > batch.end) return undefined;
  reader.end = end;
  reader.at += 1;
  const timestampMs = batch.baseTimestamp + reader.varint();
  const offset = batch.baseOffset + reader.varint();
  const key = reader.run();
  const value = reader.run();
  const count = reader.varint();
  if (reader.bad || count < 0 || count > end - reader.at) return undefined;
  const headers: RecordHeader[] = [];
  for (let i = 0; i < count; i++) headers.push({ key: reader.text() ?? "", value: reader.run() });
  if (reader.bad || reader.at !== end || !Number.isSafeInteger(timestampMs)) return undefined;
  reader.end = batch.end;
  return { offset, key, value, headers, timestampMs };
}

/**
 * The records of one uncompressed batch that {@link validateBatches} accepted, from offset `from` on.
 * Keys and values are views of `bytes`.
 */
export function decodeRecords(bytes: Uint8Array, header: BatchHeader, from = 0): OffsetRecord[] {
  assert(header.codec === 0, "only uncompressed batches are decoded");
  const reader = new RecordReader(bytes, header.at + BATCH_HEADER_BYTES, header.end);
  const records: OffsetRecord[] = [];
  for (let index = 0; index < header.recordCount; index++) {
    const record = readRecord(reader, header);
    assert(record !== undefined, "a stored record can be decoded");
    if (record.offset >= from) records.push(record);
  }
  return records;
}

/** The records of all batches, from offset `from` on, at most `countMax`. */
export function decodeBatches(
  bytes: Uint8Array,
  from = 0,
  countMax = Number.MAX_SAFE_INTEGER,
): OffsetRecord[] {
  const records: OffsetRecord[] = [];
  for (const header of batchesOf(bytes)) {
    if (header.lastOffset < from) continue;
    for (const record of decodeRecords(bytes, header, from)) {
      if (records.length === countMax) return records;
      records.push(record);
    }
  }
  return records;
}
