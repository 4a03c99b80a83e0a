/** The header of a reply in ZooKeeper's protocol. */
import { readZxid } from "../core/wire/jute/header.ts";
import type { ByteReader } from "../core/wire/reader.ts";
import type { Zxid } from "../core/zab/zxid.ts";

export interface ReplyHeader {
  readonly xid: number;
  /** last zxid that the answering server has applied */
  readonly zxid: Zxid;
  /** 0 or an error's number; with an error nothing follows */
  readonly err: number;
}

/** @throws WireError */
export function readReplyHeader(reader: ByteReader): ReplyHeader {
  return { xid: reader.i32(), zxid: readZxid(reader), err: reader.i32() };
}
