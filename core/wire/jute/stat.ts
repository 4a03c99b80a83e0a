/**
 * Stat, 68 bytes: i64 czxid, mzxid, ctime, mtime; i32 version, cversion, aversion; i64 ephemeralOwner;
 * i32 dataLength, numChildren; i64 pzxid.
 * @source ZooKeeper `zookeeper.jute`: Stat
 */
import type { SessionId, Stat } from "../../znode/types.ts";
import type { ByteReader } from "../reader.ts";
import type { ByteWriter } from "../writer.ts";
import { readZxid, writeZxid } from "./header.ts";

export function writeStat(writer: ByteWriter, stat: Stat): void {
  writeZxid(writer, stat.czxid);
  writeZxid(writer, stat.mzxid);
  writer.i64(stat.ctime);
  writer.i64(stat.mtime);
  writer.i32(stat.version);
  writer.i32(stat.cversion);
  writer.i32(stat.aversion);
  writer.i64(stat.ephemeralOwner);
  writer.i32(stat.dataLength);
  writer.i32(stat.numChildren);
  writeZxid(writer, stat.pzxid);
}

/** @throws WireError */
export function readStat(reader: ByteReader): Stat {
  const czxid = readZxid(reader);
  const mzxid = readZxid(reader);
  const ctime = reader.i64();
  const mtime = reader.i64();
  const version = reader.i32();
  const cversion = reader.i32();
  const aversion = reader.i32();
  const ephemeralOwner = reader.i64() as SessionId;
  const dataLength = reader.i32();
  const numChildren = reader.i32();
  const pzxid = readZxid(reader);
  return {
    czxid,
    mzxid,
    pzxid,
    ctime,
    mtime,
    version,
    cversion,
    aversion,
    ephemeralOwner,
    dataLength,
    numChildren,
  };
}
