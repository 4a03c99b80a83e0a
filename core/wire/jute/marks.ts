/**
 * Marks show what a client has read. The node sends one like an unsolicited reply to a ping: a ReplyHeader with the xid of
 * pings, followed by 8 bytes. The client returns the 8 bytes after the header of a ping, and gets no reply. Clients that do
 * not know marks treat one as a late reply to a ping.
 */
import type { Zxid } from "../../zab/zxid.ts";
import type { ByteReader } from "../reader.ts";
import type { ByteWriter } from "../writer.ts";
import { beginFrame, endFrame } from "./frame.ts";
import { writeReplyHeader, writeRequestHeader } from "./header.ts";
import { OpCode, ReservedXid } from "./opcodes.ts";

const MARK_BYTES = 8;

/** 64 unpredictable bits, as two unsigned halves. */
export interface Mark {
  readonly high: number;
  readonly low: number;
}

/** Writes one frame: the node's. */
export function writeMark(writer: ByteWriter, zxid: Zxid, mark: Mark): void {
  const at = beginFrame(writer);
  writeReplyHeader(writer, ReservedXid.PING, zxid, 0);
  writer.u32pair(mark.high, mark.low);
  endFrame(writer, at);
}

/** Writes one frame: the client's, which returns a mark. */
export function writeMarkEcho(writer: ByteWriter, mark: Mark): void {
  const at = beginFrame(writer);
  writeRequestHeader(writer, ReservedXid.PING, OpCode.PING);
  writer.u32pair(mark.high, mark.low);
  endFrame(writer, at);
}

/** Reads the rest of a ping or its reply after the header; undefined if it contains no mark. */
export function readMark(reader: ByteReader): Mark | undefined {
  return reader.left >= MARK_BYTES ? { high: reader.u32(), low: reader.u32() } : undefined;
}
