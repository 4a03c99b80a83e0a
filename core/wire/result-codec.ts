/**
 * The outcome of a write as bytes, for a session's last result in a checkpoint.
 *
 * | tag | body |
 * |---|---|
 * | 0 none, 2 delete, 4 check, 8 closeSession, 9 sync | – |
 * | 1 create | ustring path, bool hasStat, Stat if so |
 * | 3 setData | Stat |
 * | 5 error | i32 code |
 * | 6 multi | vector of results (no multi among them) |
 * | 7 createSession | i32 timeoutMs |
 */
import { ZOO_ERRORS, zooErrorOf } from "../errors.ts";
import type { ChangeResult, WriteResult } from "../znode/types.ts";
import { readStat, writeStat } from "./jute/stat.ts";
import { type ByteReader, WireError } from "./reader.ts";
import { MULTI_OPS_MAX } from "./txn-body.ts";
import type { ByteWriter } from "./writer.ts";

const Tag = {
  NONE: 0,
  CREATE: 1,
  DELETE: 2,
  SET_DATA: 3,
  CHECK: 4,
  ERROR: 5,
  MULTI: 6,
  CREATE_SESSION: 7,
  CLOSE_SESSION: 8,
  SYNC: 9,
} as const;

/** null: the session has not written yet. */
export function writeResult(writer: ByteWriter, result: WriteResult | null): void {
  if (result === null) {
    writer.u8(Tag.NONE);
    return;
  }
  switch (result.type) {
    case "create":
      writer.u8(Tag.CREATE);
      writer.string(result.path);
      writer.bool(result.stat !== null);
      if (result.stat !== null) writeStat(writer, result.stat);
      return;
    case "delete":
      writer.u8(Tag.DELETE);
      return;
    case "setData":
      writer.u8(Tag.SET_DATA);
      writeStat(writer, result.stat);
      return;
    case "check":
      writer.u8(Tag.CHECK);
      return;
    case "error":
      writer.u8(Tag.ERROR);
      writer.i32(ZOO_ERRORS[result.code].number);
      return;
    case "multi":
      writer.u8(Tag.MULTI);
      writer.i32(result.results.length);
      for (const each of result.results) writeResult(writer, each);
      return;
    case "createSession":
      writer.u8(Tag.CREATE_SESSION);
      writer.i32(result.timeoutMs);
      return;
    case "closeSession":
      writer.u8(Tag.CLOSE_SESSION);
      return;
    case "sync":
      writer.u8(Tag.SYNC);
      return;
  }
}

/** @throws WireError */
export function readResult(reader: ByteReader): WriteResult | null {
  const tag = reader.u8();
  switch (tag) {
    case Tag.NONE:
      return null;
    case Tag.MULTI:
      return { type: "multi", results: readResults(reader) };
    case Tag.CREATE_SESSION:
      return { type: "createSession", timeoutMs: reader.i32() };
    case Tag.CLOSE_SESSION:
      return { type: "closeSession" };
    case Tag.SYNC:
      return { type: "sync" };
    default:
      return readChangeResult(reader, tag);
  }
}

function readChangeResult(reader: ByteReader, tag: number): ChangeResult {
  switch (tag) {
    case Tag.CREATE:
      return { type: "create", path: reader.string(), stat: reader.bool() ? readStat(reader) : null };
    case Tag.DELETE:
      return { type: "delete" };
    case Tag.SET_DATA:
      return { type: "setData", stat: readStat(reader) };
    case Tag.CHECK:
      return { type: "check" };
    case Tag.ERROR:
      return { type: "error", code: zooErrorOf(reader.i32()) };
    default:
      throw new WireError(`there is no result with tag ${tag}`);
  }
}

function readResults(reader: ByteReader): ChangeResult[] {
  const count = reader.count(1);
  if (count > MULTI_OPS_MAX) throw new WireError(`a multi of ${count} results`);
  const results: ChangeResult[] = [];
  for (let i = 0; i < count; i++) results.push(readChangeResult(reader, reader.u8()));
  return results;
}
