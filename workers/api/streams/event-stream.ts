/**
 * Protocol events of all nodes in one stream of server-sent events. Its id is a vector over the nodes, so each
 * node's events resume exactly; `event: gap` tells that a node's ring no longer held what lay between.
 */
import type { Context } from "hono";
import type { EnsembleClient } from "../clients/ensemble-client.ts";
import { sidsOf } from "../clients/ensemble-client.ts";
import type { AppEnv } from "../env.ts";
import { badArguments } from "../errors.ts";
import { nodeOf, resumeIdOf } from "../params.ts";
import { type EventVector, formatVector, parseVector } from "./event-id.ts";
import { hold } from "./node-socket.ts";
import { type SseSink, sseResponse } from "./sse.ts";

/** Time before a node that is down is tried again. */
const RECONNECT_MS = 1_000;

export async function eventStream(c: Context<AppEnv>): Promise<Response> {
  const node = nodeOf(c);
  const vector = eventVector(resumeIdOf(c) ?? "");
  if (node !== undefined) await c.var.zoo.node(node);
  const sids = node === undefined ? sidsOf(await c.var.zoo.size()) : [node];
  if (c.req.method === "HEAD")
    return c.body(null, 200, { "content-type": "text/event-stream; charset=utf-8" });
  return sseResponse(c.req.raw.signal, await eventSource(c.var.zoo, sids, vector));
}

/** Reads an id of this stream. @throws ApiError BAD_ARGUMENTS */
export function eventVector(text: string): Map<number, string> {
  const vector = parseVector(text);
  if (vector === undefined) throw badArguments("Last-Event-ID is an id of this stream: sid:boot-seq,…");
  return vector;
}

/**
 * Connects to the nodes before the stream begins, so that a client that sees it begin misses nothing that comes after.
 * @returns what feeds the stream
 */
export async function eventSource(
  zoo: EnsembleClient,
  sids: readonly number[],
  vector: Map<number, string>,
): Promise<(sink: SseSink) => void> {
  const sockets = await Promise.all(sids.map((sid) => connect(zoo, sid, vector)));
  return (sink) => {
    sids.forEach((sid, i) => {
      follow(zoo, sid, vector, sink, sockets[i] ?? null).catch(() => sink.end());
    });
  };
}

/** Opens a node's socket behind what was read of it; null while the node is down. */
async function connect(zoo: EnsembleClient, sid: number, vector: EventVector): Promise<WebSocket | null> {
  const after = vector.get(sid);
  const path = after === undefined ? "/events" : `/events?after=${encodeURIComponent(after)}`;
  try {
    return (await zoo.through(sid).upgrade(path)).response.webSocket;
  } catch {
    return null;
  }
}

/** Keeps a connection to one node for as long as the stream lasts. A node that is down is silent, not an error. */
async function follow(
  zoo: EnsembleClient,
  sid: number,
  vector: Map<number, string>,
  sink: SseSink,
  first: WebSocket | null,
): Promise<void> {
  let socket = first;
  for (;;) {
    if (socket !== null) await passAll(socket, sid, vector, sink);
    if (sink.ended) return;
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    if (sink.ended) return;
    socket = await connect(zoo, sid, vector);
  }
}

/** Passes the events of one socket on until it, or the stream, ends. */
function passAll(socket: WebSocket, sid: number, vector: Map<number, string>, sink: SseSink): Promise<void> {
  socket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") pass(data, sid, vector, sink);
  });
  socket.accept();
  return hold(socket, sink);
}

/** Passes one event on and moves the vector. */
function pass(text: string, sid: number, vector: Map<number, string>, sink: SseSink): void {
  const event = JSON.parse(text) as { readonly type?: string; readonly id?: string };
  if (typeof event.id === "string") vector.set(sid, event.id);
  const id = formatVector(vector);
  if (event.type === "gap") sink.send({ event: "gap", id, data: JSON.stringify({ ...event, sid }) });
  else sink.send({ id, data: text });
}
