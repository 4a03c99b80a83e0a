/** Messages between members besides Zab's: forwarded requests, heartbeats of sessions, and agreement to sleep. */
import type { DecodedWrite } from "../wire/jute/ops/op.ts";
import { decodeWrite } from "../wire/jute/requests.ts";
import { ByteReader, WireError } from "../wire/reader.ts";
import { ByteWriter } from "../wire/writer.ts";
import type { Sid } from "../zab/membership.ts";
import type { ZabMessage } from "../zab/messages.ts";
import type { Zxid } from "../zab/zxid.ts";
import { isAnonymous, type SessionId } from "../znode/types.ts";
import { type Fingerprint, fingerprintIn, NOT_KNOWN } from "./fingerprint.ts";
import type { ConnectionId, ParkedSession } from "./ids.ts";

/** BROADCAST, learner → leader: writes of clients, in the order of arrival. */
export interface RequestMessage {
  readonly type: "REQUEST";
  readonly join: number;
  /** see {@link packRequests} */
  readonly packed: Uint8Array;
}

/** THROTTLED: too many writes wait; SESSION_MOVED: the session uses another connection. */
export type RejectCode = "THROTTLED" | "SESSION_MOVED";

/** BROADCAST, leader → learner: these writes were refused, and will not be committed. */
export interface RejectMessage {
  readonly type: "REJECT";
  readonly join: number;
  readonly code: RejectCode;
  /** the exact code; `code` is the nearest one that members before 2026-11-27 know. Absent: `code` is exact */
  readonly exactly?: "XID_REUSED";
  readonly requests: readonly RequestName[];
}

/** BROADCAST, learner → leader: sessions with a heartbeat since the last report. */
export interface TouchMessage {
  readonly type: "TOUCH";
  readonly join: number;
  readonly sessions: readonly SessionId[];
}

/** BROADCAST, leader → learner: asks whether the learner agrees that the ensemble falls asleep. */
export interface QuietMessage {
  readonly type: "QUIET";
  readonly join: number;
  /** end of the leader's log: all of it is committed */
  readonly zxid: Zxid;
}

/** Learner → leader, in the return. `ok`: it agrees, and sends nothing more in this epoch. */
export interface QuietedMessage {
  readonly type: "QUIETED";
  readonly join: number;
  readonly ok: boolean;
  /** sessions with a heartbeat that was not reported before */
  readonly touched: readonly SessionId[];
  /** sessions whose owners wait at this learner and sleep with it */
  readonly parked: readonly ParkedSession[];
}

/** Leader → learner: all members have agreed. The learner stores this and sleeps. */
export interface SleepMessage {
  readonly type: "SLEEP";
  readonly join: number;
  /** time to each session's deadline; ms */
  readonly remaining: readonly (readonly [session: SessionId, ms: number])[];
  /** sessions that received their full timeout without a heartbeat; absent from members before 2026-11-27 */
  readonly excused?: readonly SessionId[];
  readonly parked: readonly ParkedSession[];
}

/** Learner → leader, in the return: the record of the sleep is durable. */
export interface SleptMessage {
  readonly type: "SLEPT";
  readonly join: number;
}

/** Messages that members exchange besides Zab's. */
export type ServerMessage =
  | RequestMessage
  | RejectMessage
  | TouchMessage
  | QuietMessage
  | QuietedMessage
  | SleepMessage
  | SleptMessage;
/** All messages between members. */
export type PeerMessage = ZabMessage | ServerMessage;

/** The part that handles each message type that this version knows. */
const HANDLED_BY: Readonly<Record<PeerMessage["type"], "zab" | "server">> = {
  NOTIFICATION: "zab",
  OUTDATED: "zab",
  PING: "zab",
  PONG: "zab",
  FOLLOWERINFO: "zab",
  LEADERINFO: "zab",
  ACKEPOCH: "zab",
  DIFF: "zab",
  TRUNC: "zab",
  POSITION: "zab",
  SNAP: "zab",
  SNAPCHUNK: "zab",
  STAGED: "zab",
  PROPOSAL: "zab",
  NEWLEADER: "zab",
  ACK: "zab",
  UPTODATE: "zab",
  COMMIT: "zab",
  LEADERACK: "zab",
  CHECK: "zab",
  CONFIRM: "zab",
  REQUEST: "server",
  REJECT: "server",
  TOUCH: "server",
  QUIET: "server",
  QUIETED: "server",
  SLEEP: "server",
  SLEPT: "server",
};

/** Whether the server handles it. */
export const isServerMessage = (message: PeerMessage): message is ServerMessage =>
  HANDLED_BY[message.type] === "server";

/** Whether Zab handles it. */
export const isZabMessage = (message: PeerMessage): message is ZabMessage =>
  HANDLED_BY[message.type] === "zab";

/** The first message type that this version does not know; undefined if it knows all. */
export const unknownIn = (messages: readonly PeerMessage[]): string | undefined =>
  messages.find(({ type }) => HANDLED_BY[type] === undefined)?.type;

/** Identifies a pending write. The connection is part of it, because a session may repeat a number over a new connection. */
export type RequestName = Pick<RoutedRequest, "session" | "xid" | "connection">;

/** A write as it was received, not decoded. */
export interface RawRequest {
  readonly session: SessionId;
  readonly xid: number;
  /** ZooKeeper's opcode */
  readonly opcode: number;
  /** jute record of the opcode */
  readonly body: Uint8Array;
}

/** A write with the connection over which it came. */
export interface RoutedRequest extends RawRequest {
  readonly connection: ConnectionId;
}

/** A write that a member has taken, from its clients or from a learner. */
export interface TakenRequest extends RoutedRequest {
  /** the learner that forwarded it; this member's sid for its clients and for itself */
  readonly origin: Sid;
  /** NOT_KNOWN if the write is not numbered */
  readonly fingerprint: Fingerprint;
}

/** Whether the client has numbered this write, so that a repeat can be recognised. */
export const isNumbered = (session: SessionId, xid: number): boolean => xid > 0 && !isAnonymous(session);

/**
 * Packs writes: `[i64 session][i32 connection][i32 xid][i32 opcode][i32 length][body]` each. A session id is below 2^53, so
 * the first byte is 0; it serves as the format of the pack.
 */
export function packRequests(requests: readonly RoutedRequest[]): Uint8Array {
  const writer = new ByteWriter(requests.reduce((sum, request) => sum + 24 + request.body.length, 0));
  for (const request of requests) {
    writer.i64(request.session);
    writer.i32(request.connection);
    writer.i32(request.xid);
    writer.i32(request.opcode);
    writer.i32(request.body.length);
    writer.bytes(request.body);
  }
  return writer.view();
}

/** Unpacks {@link packRequests}, as received from `origin`; bodies are views. @throws WireError for a pack of another format too */
export function unpackRequests(packed: Uint8Array, origin: Sid): TakenRequest[] {
  const format = packed[0] ?? 0;
  if (format !== 0) throw new WireError(`a pack of requests of format ${format}: this member reads format 0`);
  const reader = new ByteReader(packed);
  const requests: TakenRequest[] = [];
  while (reader.left > 0) {
    const session = reader.i64() as SessionId;
    const connection = reader.i32() as ConnectionId;
    const xid = reader.i32();
    const opcode = reader.i32();
    const size = reader.i32();
    const start = reader.at;
    const body = reader.bytes(size);
    const fingerprint = isNumbered(session, xid)
      ? fingerprintIn(opcode, reader.view, start, start + size)
      : NOT_KNOWN;
    requests.push({ session, connection, xid, opcode, body, fingerprint, origin });
  }
  return requests;
}

/** Decodes a write. One that cannot be decoded becomes a refusal, which is logged like any other. */
export function decodeRequest(write: RawRequest): DecodedWrite {
  try {
    return decodeWrite(write.opcode, write.body);
  } catch (error) {
    if (error instanceof WireError) return { code: "MARSHALLING_ERROR" };
    throw error;
  }
}
