/** Messages between members besides Zab's: forwarded requests, signs of life of sessions, and agreement to sleep. */
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

/** BROADCAST, learner → leader: writes of clients, in the order in which they came. */
export interface RequestMessage {
  readonly type: "REQUEST";
  readonly join: number;
  /** see {@link packRequests} */
  readonly packed: Uint8Array;
}

/** Too many writes wait, or the session has gone on over another connection. */
export type RejectCode = "THROTTLED" | "SESSION_MOVED";

/** BROADCAST, leader → learner: these writes were not taken, and nothing of them will happen. */
export interface RejectMessage {
  readonly type: "REJECT";
  readonly join: number;
  readonly code: RejectCode;
  /** the code in place of `code`, which is one that members before 2026-11-27 know; absent: `code` says it all */
  readonly exactly?: "XID_REUSED";
  readonly requests: readonly RequestName[];
}

/** BROADCAST, learner → leader: sessions with a sign of life since the last report. */
export interface TouchMessage {
  readonly type: "TOUCH";
  readonly join: number;
  readonly sessions: readonly SessionId[];
}

/** BROADCAST, leader → learner: the ensemble may fall asleep. May you? */
export interface QuietMessage {
  readonly type: "QUIET";
  readonly join: number;
  /** end of the leader's log: all of it is committed */
  readonly zxid: Zxid;
}

/** Learner → leader, in the return. `ok`: nothing leaves this member in this epoch any more. */
export interface QuietedMessage {
  readonly type: "QUIETED";
  readonly join: number;
  readonly ok: boolean;
  /** sessions with a sign of life that was not reported yet */
  readonly touched: readonly SessionId[];
  /** sessions whose owners wait here and stop with us */
  readonly parked: readonly ParkedSession[];
}

/** Leader → learner: all members have agreed. The learner stores this and sleeps. */
export interface SleepMessage {
  readonly type: "SLEEP";
  readonly join: number;
  /** what is left of each session's time; ms */
  readonly remaining: readonly (readonly [session: SessionId, ms: number])[];
  /** sessions that got their full timeout without a sign of life; members before 2026-11-27 do not say */
  readonly excused?: readonly SessionId[];
  readonly parked: readonly ParkedSession[];
}

/** Learner → leader, in the return: it is noted, durably. */
export interface SleptMessage {
  readonly type: "SLEPT";
  readonly join: number;
}

/** A message between members that Zab does not read. */
export type ServerMessage =
  | RequestMessage
  | RejectMessage
  | TouchMessage
  | QuietMessage
  | QuietedMessage
  | SleepMessage
  | SleptMessage;
/** Any message between members. */
export type PeerMessage = ZabMessage | ServerMessage;

/** Who takes a message. Every message that this version knows is here. */
const TAKERS: Readonly<Record<PeerMessage["type"], "zab" | "server">> = {
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

/** Whether the server handles the message. */
export const isServerMessage = (message: PeerMessage): message is ServerMessage =>
  TAKERS[message.type] === "server";

/** Whether the Zab peer handles the message. */
export const isZabMessage = (message: PeerMessage): message is ZabMessage => TAKERS[message.type] === "zab";

/** The type of a message that this version does not know; undefined: it knows all of them. */
export const unknownIn = (messages: readonly PeerMessage[]): string | undefined =>
  messages.find(({ type }) => TAKERS[type] === undefined)?.type;

/** What tells a write from every other that waits: over a new connection its session may send the same number again. */
export type RequestName = Pick<RoutedRequest, "session" | "xid" | "connection">;

/** A write as it came: undecoded. */
export interface RawRequest {
  readonly session: SessionId;
  readonly xid: number;
  /** ZooKeeper's opcode */
  readonly opcode: number;
  /** jute record of the opcode */
  readonly body: Uint8Array;
}

/** A write with the connection by which it came. */
export interface RoutedRequest extends RawRequest {
  readonly connection: ConnectionId;
}

/** A write that a member has taken, from its clients or from a learner. */
export interface TakenRequest extends RoutedRequest {
  /** the learner that sent it; our own sid for our clients and for ourselves */
  readonly origin: Sid;
  /** NOT_KNOWN: it has no number of its session */
  readonly fingerprint: Fingerprint;
}

/** Has the client numbered this write, so that a repeat of it can be told? */
export const isNumbered = (session: SessionId, xid: number): boolean => xid > 0 && !isAnonymous(session);

/**
 * Packs writes: `[i64 session][i32 connection][i32 xid][i32 opcode][i32 length][body]` each. A session is below 2^53, so
 * the first byte is 0: it is the format of the pack.
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

/** Reads {@link packRequests}, as they came from `origin`; bodies are views. @throws WireError for a pack of another format too */
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
