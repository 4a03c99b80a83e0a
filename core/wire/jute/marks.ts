/**
 * Marks show what a client has read. The node sends one as a reply to no ping: a ReplyHeader with the xid of pings, and 8
 * bytes behind it. The client sends the 8 bytes back behind the header of a ping, and gets no reply. Clients that do not
 * know of marks take one for a late reply to a ping.
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

/** Writes one frame: the client's, which sends a mark back. */
export function writeMarkEcho(writer: ByteWriter, mark: Mark): void {
  const at = beginFrame(writer);
  writeRequestHeader(writer, ReservedXid.PING, OpCode.PING);
  writer.u32pair(mark.high, mark.low);
  endFrame(writer, at);
}

/** Reads what follows the header of a ping, of either side; undefined when it has no mark. */
export function readMark(reader: ByteReader): Mark | undefined {
  return reader.left >= MARK_BYTES ? { high: reader.u32(), low: reader.u32() } : undefined;
}
