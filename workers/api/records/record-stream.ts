/**
 * A partition as server-sent events. `id` is the offset after the last record of an event and the topic's id, so a reader
 * that reconnects with `Last-Event-ID` continues at exactly the next record, and never in another topic of the same name.
 * The Worker has a hibernatable WebSocket to the partition's object; if that breaks, it opens another one at the same
 * offset.
 *
 * | event | data |
 * |---|---|
 * | records | `{"records":[…],"next_offset","high_watermark"}` |
 * | ping | `{"ts","tail"}`, every 10 s |
 * | leader | `{"epoch","leader"}` |
 * | error | `{"code","message"}`; the stream ends. CORRUPT_MESSAGE has `offset` and `next_offset`, at which to continue |
 */
import type { Context } from "hono";
import type { ReadFrom } from "../../../core/broker/partition.ts";
import { decodeBatches } from "../../../core/wire/record-batch-codec.ts";
import { decodeTailFrame } from "../../../core/wire/tail-frame-codec.ts";
import { trySend } from "../../../durable-objects/shared/sockets.ts";
import type { AppEnv } from "../app-env.ts";
import type { PartitionClient } from "../clients/partition-client.ts";
import { RECONNECT_MS, RECORD_PING_MS, RECORD_STREAM_MS } from "../config.ts";
import { ApiError } from "../http/errors.ts";
import { hold } from "../streams/node-socket.ts";
import { type SseSink, sseResponse } from "../streams/sse.ts";
import { knownEnd } from "./known-ends.ts";
import { type Format, recordText } from "./record-formats.ts";

/** A stream: the partition, the format of its records, and where it begins. */
export interface RecordStream {
  readonly topic: string;
  readonly partition: number;
  readonly format: Format;
  readonly from: ReadFrom;
  /** id of the topic that the reader has read; undefined if it has read none, or if only an offset is known */
  readonly topicId: string | undefined;
}

/** Position of a reader. */
export interface RecordPosition {
  readonly offset: number;
  /** undefined in an id of an earlier version, an offset alone, which is accepted for any topic */
  readonly topicId: string | undefined;
}

/** Reads an id of this stream, `offset:topicId`; undefined if it is not one. */
export function positionFromText(text: string): RecordPosition | undefined {
  const [, digits, topicId] = /^(\d{1,16})(?::([\w-]{1,64}))?$/.exec(text) ?? [];
  const offset = Number(digits);
  return Number.isSafeInteger(offset) ? { offset, topicId } : undefined;
}

/** What a stream has delivered. */
interface Position {
  readonly topicId: string;
  next: number;
  end: number;
}

/** Answers a read with a stream. @throws ApiError */
export async function recordStream(
  c: Context<AppEnv>,
  client: PartitionClient,
  stream: RecordStream,
): Promise<Response> {
  const source = await recordSource(client, stream);
  if (c.req.method === "HEAD")
    return c.body(null, 200, { "content-type": "text/event-stream; charset=utf-8" });
  return sseResponse(c.req.raw.signal, source);
}

/**
 * Opens the source before the stream begins, so that errors, such as an offset that cannot be read, are answered with their
 * status.
 * @returns a function that feeds the stream
 * @throws ApiError
 */
export async function recordSource(
  client: PartitionClient,
  stream: RecordStream,
): Promise<(sink: SseSink) => void> {
  const { topic, partition, from } = stream;
  const start = await client.read(topic, partition, { from, bytesMax: 1, waitMs: 0 }, stream.topicId);
  const position: Position = { topicId: start.topicId, next: start.offset, end: start.highWatermark };
  return (sink) => {
    const ping = setInterval(() => {
      if (sink.hasRoom)
        sink.send({ event: "ping", data: JSON.stringify({ ts: Date.now(), tail: position.end }) });
    }, RECORD_PING_MS);
    const lifetime = setTimeout(() => sink.end(), RECORD_STREAM_MS);
    sink.onEnd(() => {
      clearInterval(ping);
      clearTimeout(lifetime);
    });
    // sends the position before the first record, so that a reader that is cut off in between loses nothing
    sink.send({
      id: idOf(position),
      event: "ping",
      data: JSON.stringify({ ts: Date.now(), tail: position.end }),
    });
    follow(client, stream, position, sink).catch(() => sink.end());
  };
}

const idOf = ({ next, topicId }: Position): string => `${next}:${topicId}`;

/** Reads from one tail after the other until the stream ends. Records are requested while the reader has room for them. */
async function follow(
  client: PartitionClient,
  stream: RecordStream,
  position: Position,
  sink: SseSink,
): Promise<void> {
  for (;;) {
    await new Promise<void>((resolve) => sink.whenRoom(resolve));
    if (sink.ended) return;
    let socket: WebSocket;
    try {
      socket = await client.tail(stream.topic, stream.partition, position.next, position.topicId);
    } catch (error) {
      const code = error instanceof ApiError ? error.code : "SYSTEM_ERROR";
      const message = error instanceof ApiError ? error.message : "the partition cannot be read";
      const members = error instanceof ApiError ? error.extras.members : undefined;
      sink.send({ event: "error", data: JSON.stringify({ code, message, ...members }) });
      sink.end();
      return;
    }
    await pump(client, socket, stream, position, sink);
    if (!sink.ended) await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}

/** Forwards the records of one tail; resolves when the tail is closed. */
async function pump(
  client: PartitionClient,
  socket: WebSocket,
  stream: RecordStream,
  position: Position,
  sink: SseSink,
): Promise<void> {
  socket.binaryType = "arraybuffer";
  const isBehind = (): boolean =>
    sink.hasRoom && knownEnd(position.topicId, stream.partition) > position.next;
  const beats = { everyMs: client.tickTimeMs, onRequest: true, isBehind };
  await hold(socket, sink, beats, (data) => {
    if (typeof data === "string") onNotice(data, sink);
    else {
      deliver(new Uint8Array(data as ArrayBuffer), stream, position, sink);
      // requests the next frame
      sink.whenRoom(() => {
        if (!sink.ended) trySend(socket, "next");
      });
    }
  });
}

function deliver(
  bytes: Uint8Array,
  { topic, partition, format }: RecordStream,
  position: Position,
  sink: SseSink,
): void {
  const frame = decodeTailFrame(bytes);
  const records = decodeBatches(frame.batches, position.next).map((record) =>
    recordText(topic, partition, record, format),
  );
  position.next = frame.nextOffset;
  position.end = frame.highWatermark;
  if (records.length === 0) return;
  const { nextOffset, highWatermark } = frame;
  const data = `{"records":[${records.join(",")}],"next_offset":${nextOffset},"high_watermark":${highWatermark}}`;
  sink.send({ event: "records", id: idOf(position), data });
}

/** Handles messages of a partition other than records. */
function onNotice(text: string, sink: SseSink): void {
  const event = JSON.parse(text) as {
    readonly type: string;
    readonly leader?: number;
    readonly leader_epoch?: number;
  };
  if (event.type === "leader")
    sink.send({ event: "leader", data: JSON.stringify({ epoch: event.leader_epoch, leader: event.leader }) });
}
