/**
 * setWatches 101: SetWatches → nothing. What a client that has reconnected was watching: i64 relativeZxid, vectors of ustring
 * data, exist, child. The server answers each with the event that was missed, or registers it again.
 * @source ZooKeeper `zookeeper.jute`: SetWatches; `DataTree.setWatches`
 */
import type { SeenWatches } from "../../../znode/watch.ts";
import { type ByteReader, WireError } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import { readZxid, writeZxid } from "../header.ts";
import { type OpCodec, type Reply, type ReplyBody, type ReplyWriter, writeNothing } from "./op.ts";

/** setWatches */
export const setWatches: Extract<OpCodec, { kind: "setWatches" }> &
  ReplyWriter<Extract<ReplyBody, { type: "setWatches" }>> = {
  kind: "setWatches",
  readRequest: readSetWatches,
  writeReply: writeNothing,
  readReply: (): Reply => ({ type: "empty" }),
};

/** Writes the record. */
export function writeSetWatches(writer: ByteWriter, watches: SeenWatches): void {
  writeZxid(writer, watches.relativeZxid);
  writePaths(writer, watches.data);
  writePaths(writer, watches.exist);
  writePaths(writer, watches.child);
}

/** @throws WireError, also for a null vector */
export function readSetWatches(reader: ByteReader): SeenWatches {
  const relativeZxid = readZxid(reader);
  const data = readPaths(reader);
  const exist = readPaths(reader);
  const child = readPaths(reader);
  return { relativeZxid, data, exist, child };
}

function writePaths(writer: ByteWriter, paths: readonly string[]): void {
  writer.i32(paths.length);
  for (const path of paths) writer.string(path);
}

function readPaths(reader: ByteReader): string[] {
  const count = reader.i32();
  if (count < 0 || count * 4 > reader.left) throw new WireError(`a vector of ${count} does not fit`);
  const paths: string[] = [];
  for (let i = 0; i < count; i++) paths.push(reader.string());
  return paths;
}
