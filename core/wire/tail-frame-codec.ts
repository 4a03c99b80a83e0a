/**
 * One frame of a partition's tail: record batches and the bounds of the log.
 *
 * | at | field | type | |
 * |---|---|---|---|
 * | 0 | version | u8 | 1 |
 * | 1 | nextOffset | i64 | offset behind the last record of this frame |
 * | 9 | highWatermark | i64 | |
 * | 17 | logStartOffset | i64 | |
 * | 25 | leaderEpoch | i32 | |
 * | 29 | batches | | whole record batches; the first may begin before the offset that was asked for |
 */
import { ByteReader, WireError } from "./reader.ts";
import { ByteWriter } from "./writer.ts";

const VERSION = 1;
const HEADER_BYTES = 29;

/** One frame of a tail. */
export interface TailFrame {
  readonly nextOffset: number;
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly leaderEpoch: number;
  readonly batches: Uint8Array;
}

/** A frame as bytes. */
export function encodeTailFrame(frame: TailFrame): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(HEADER_BYTES + frame.batches.length);
  writer.u8(VERSION);
  writer.i64(frame.nextOffset);
  writer.i64(frame.highWatermark);
  writer.i64(frame.logStartOffset);
  writer.i32(frame.leaderEpoch);
  writer.bytes(frame.batches);
  return writer.view();
}

/** The batches are a view of `bytes`. @throws WireError */
export function decodeTailFrame(bytes: Uint8Array): TailFrame {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== VERSION) throw new WireError(`tail frames of version ${version} are unknown`);
  return {
    nextOffset: reader.i64(),
    highWatermark: reader.i64(),
    logStartOffset: reader.i64(),
    leaderEpoch: reader.i32(),
    batches: reader.bytes(reader.left),
  };
}
