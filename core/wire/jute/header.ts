/**
 * Headers of requests and replies.
 *
 * RequestHeader: i32 xid, i32 opcode. ReplyHeader: i32 xid, i64 zxid, i32 err.
 * @source ZooKeeper `zookeeper.jute` module `org.apache.zookeeper.proto`
 */
import { asEpoch, type Zxid } from "../../zab/zxid.ts";
import type { ByteReader } from "../reader.ts";
import type { ByteWriter } from "../writer.ts";

/** The header of every request but the handshake. */
export interface RequestHeader {
  readonly xid: number;
  /** not checked: any i32 */
  readonly opcode: number;
}

/** Writes a RequestHeader. */
export function writeRequestHeader(writer: ByteWriter, xid: number, opcode: number): void {
  writer.i32(xid);
  writer.i32(opcode);
}

/** @throws WireError */
export function readRequestHeader(reader: ByteReader): RequestHeader {
  return { xid: reader.i32(), opcode: reader.i32() };
}

/** Writes a ReplyHeader. @param err number of ZooKeeper's error code; 0: none */
export function writeReplyHeader(writer: ByteWriter, xid: number, zxid: Zxid, err: number): void {
  writer.i32(xid);
  writeZxid(writer, zxid);
  writer.i32(err);
}

/** A zxid is an i64 on the wire: epoch above, counter below. */
export function writeZxid(writer: ByteWriter, zxid: Zxid): void {
  writer.u32pair(zxid.epoch, zxid.counter);
}

/** @throws WireError */
export function readZxid(reader: ByteReader): Zxid {
  return { epoch: asEpoch(reader.u32()), counter: reader.u32() };
}
