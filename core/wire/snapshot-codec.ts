/**
 * Rows of a checkpoint and of a snapshot, packed.
 *
 * | bytes | field |
 * |---|---|
 * | 1 | format, 1 or 2 |
 * | 4 | number of znodes |
 * | each: | ustring path · buffer data · i64 czxid, mzxid, pzxid, ctime, mtime · i32 version, cversion (stored), aversion · i64 ephemeralOwner |
 * | 4 | number of sessions |
 * | each: | i64 id · i32 timeoutMs · i32 lastXid · i64 lastZxid · result (see the result codec) · in format 2 i64 fingerprint of the last request, 0: not known |
 *
 * A snapshot is any number of such chunks; the order of rows means nothing.
 */
import type { SessionRow } from "../znode/session.ts";
import type { ZnodeRow } from "../znode/stat.ts";
import type { SessionId } from "../znode/types.ts";
import { readZxid, writeZxid } from "./jute/header.ts";
import { ByteReader, WireError } from "./reader.ts";
import { readResult, writeResult } from "./result-codec.ts";
import { utf8Length } from "./utf8.ts";
import { ByteWriter } from "./writer.ts";

/** Format of a chunk: 1 is read by every version, 2 has fingerprints. */
export type ChunkFormat = 1 | 2;
/** Numbers of a znode and the lengths of its path and data. */
const ZNODE_BYTES_MIN = 68;
/** Numbers of a session and the tag of its result. */
const SESSION_BYTES_MIN = 25;

/** A chunk of a snapshot, unpacked. */
export interface Rows {
  readonly znodes: readonly ZnodeRow[];
  readonly sessions: readonly SessionRow[];
}

/** Bytes that a znode takes in a chunk. */
export const znodeRowBytes = (row: ZnodeRow): number =>
  ZNODE_BYTES_MIN + utf8Length(row.path) + (row.data?.length ?? 0);

/** Packs rows; the bytes are the caller's. */
export function encodeRows(
  znodes: readonly ZnodeRow[],
  sessions: readonly SessionRow[],
  format: ChunkFormat = 1,
): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(1024);
  writer.u8(format);
  writer.i32(znodes.length);
  for (const row of znodes) writeZnodeRow(writer, row);
  writer.i32(sessions.length);
  for (const row of sessions) {
    writeSessionRow(writer, row);
    if (format === 2) writer.i64(row.lastFingerprint ?? 0);
  }
  return writer.view();
}

/** Unpacks what {@link encodeRows} packed; the rows share no memory with it. @throws WireError */
export function decodeRows(bytes: Uint8Array): Rows {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== 1 && format !== 2) {
    throw new WireError(`a snapshot of format ${format}: this member reads formats 1 and 2`);
  }
  const znodes: ZnodeRow[] = [];
  for (let count = reader.count(ZNODE_BYTES_MIN); count > 0; count--) znodes.push(readZnodeRow(reader));
  const sessions: SessionRow[] = [];
  for (let count = reader.count(SESSION_BYTES_MIN); count > 0; count--) {
    const row = readSessionRow(reader);
    sessions.push(format === 1 ? row : { ...row, lastFingerprint: reader.i64() });
  }
  if (reader.left !== 0) throw new WireError("bytes are left behind the rows");
  return { znodes, sessions };
}

/** Writes one znode as a chunk holds it. */
export function writeZnodeRow(writer: ByteWriter, row: ZnodeRow): void {
  writer.string(row.path);
  writer.buffer(row.data);
  writeZxid(writer, row.czxid);
  writeZxid(writer, row.mzxid);
  writeZxid(writer, row.pzxid);
  writer.i64(row.ctime);
  writer.i64(row.mtime);
  writer.i32(row.version);
  writer.i32(row.cversion);
  writer.i32(row.aversion);
  writer.i64(row.ephemeralOwner);
}

function readZnodeRow(reader: ByteReader): ZnodeRow {
  const path = reader.string();
  const data = reader.bufferCopy();
  return {
    path,
    data,
    czxid: readZxid(reader),
    mzxid: readZxid(reader),
    pzxid: readZxid(reader),
    ctime: reader.i64(),
    mtime: reader.i64(),
    version: reader.i32(),
    cversion: reader.i32(),
    aversion: reader.i32(),
    ephemeralOwner: reader.i64() as SessionId,
  };
}

/** Writes one session as a chunk holds it. */
export function writeSessionRow(writer: ByteWriter, row: SessionRow): void {
  writer.i64(row.id);
  writer.i32(row.timeoutMs);
  writer.i32(row.lastXid);
  writeZxid(writer, row.lastZxid);
  writeResult(writer, row.lastResult);
}

function readSessionRow(reader: ByteReader): SessionRow {
  return {
    id: reader.i64() as SessionId,
    timeoutMs: reader.i32(),
    lastXid: reader.i32(),
    lastZxid: readZxid(reader),
    lastResult: readResult(reader),
  };
}
