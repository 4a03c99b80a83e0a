/**
 * Stat, 68 bytes: i64 czxid, mzxid, ctime, mtime; i32 version, cversion, aversion; i64 ephemeralOwner;
 * i32 dataLength, numChildren; i64 pzxid.
 * @source ZooKeeper `zookeeper.jute`: Stat
 */
import { asEpoch, type Zxid } from "../../zab/zxid.ts";
import type { SessionId, Stat } from "../../znode/types.ts";
import { type ByteReader, i64At } from "../reader.ts";
import { type ByteWriter, putI64 } from "../writer.ts";

const STAT_BYTES = 68;

/** Writes a Stat. Every write is answered with one, so the bytes are written without a cursor for speed. */
export function writeStat(writer: ByteWriter, stat: Stat): void {
  const at = writer.claim(STAT_BYTES);
  const { numbers } = writer;
  putZxid(numbers, at, stat.czxid);
  putZxid(numbers, at + 8, stat.mzxid);
  putI64(numbers, at + 16, stat.ctime);
  putI64(numbers, at + 24, stat.mtime);
  numbers.setInt32(at + 32, stat.version);
  numbers.setInt32(at + 36, stat.cversion);
  numbers.setInt32(at + 40, stat.aversion);
  putI64(numbers, at + 44, stat.ephemeralOwner);
  numbers.setInt32(at + 52, stat.dataLength);
  numbers.setInt32(at + 56, stat.numChildren);
  putZxid(numbers, at + 60, stat.pzxid);
}

function putZxid(numbers: DataView, at: number, { epoch, counter }: Zxid): void {
  numbers.setUint32(at, epoch);
  numbers.setUint32(at + 4, counter);
}

/** @throws WireError */
export function readStat(reader: ByteReader): Stat {
  const at = reader.skip(STAT_BYTES);
  const { view } = reader;
  return {
    czxid: zxidAt(view, at),
    mzxid: zxidAt(view, at + 8),
    pzxid: zxidAt(view, at + 60),
    ctime: i64At(view, at + 16),
    mtime: i64At(view, at + 24),
    version: view.getInt32(at + 32),
    cversion: view.getInt32(at + 36),
    aversion: view.getInt32(at + 40),
    ephemeralOwner: i64At(view, at + 44) as SessionId,
    dataLength: view.getInt32(at + 52),
    numChildren: view.getInt32(at + 56),
  };
}

const zxidAt = (view: DataView, at: number): Zxid => ({
  epoch: asEpoch(view.getUint32(at)),
  counter: view.getUint32(at + 4),
});
