/**
 * A watch event pushed to a client: ReplyHeader{xid −1} and WatcherEvent: i32 type, i32 state, ustring path.
 * @source ZooKeeper `NIOServerCnxn.process`
 */
import type { Zxid } from "../../zab/zxid.ts";
import { type WatchEvent, WatchEventType } from "../../znode/types.ts";
import { type ByteReader, WireError } from "../reader.ts";
import type { ByteWriter } from "../writer.ts";
import { beginFrame, endFrame } from "./frame.ts";
import { writeReplyHeader } from "./header.ts";
import { ReservedXid } from "./opcodes.ts";

/** Events of a server carry this state: the connection is up. */
const SYNC_CONNECTED = 3;

const TYPES: ReadonlySet<number> = new Set(Object.values(WatchEventType));

/** Writes one frame. @param zxid of the change */
export function writeNotification(writer: ByteWriter, zxid: Zxid, event: WatchEvent): void {
  const at = beginFrame(writer);
  writeReplyHeader(writer, ReservedXid.NOTIFICATION, zxid, 0);
  writer.i32(event.type);
  writer.i32(SYNC_CONNECTED);
  writer.string(event.path);
  endFrame(writer, at);
}

/** Reads what follows the ReplyHeader of a notification. @throws WireError */
export function readWatcherEvent(reader: ByteReader): WatchEvent {
  const type = reader.i32();
  reader.i32();
  const path = reader.string();
  if (!TYPES.has(type)) throw new WireError(`there is no watch event of type ${type}`);
  return { type: type as WatchEventType, path };
}
