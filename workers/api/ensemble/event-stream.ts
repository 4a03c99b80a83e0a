/**
 * Protocol events of all nodes in one stream of server-sent events. Its id is a vector over the nodes, so each
 * node's events resume exactly; `event: gap` means that a node no longer holds some events.
 */
import type { Context } from "hono";
import type { FaultView } from "../../../durable-objects/shared/faults.ts";
import { REPORTS_QUERY } from "../../../durable-objects/shared/sockets.ts";
import { pause, withTimeout } from "../../../durable-objects/shared/timeout.ts";
import type { AppEnv } from "../app-env.ts";
import { brokerCountOf, brokerStub } from "../clients/broker-faults.ts";
import { discard, type EnsembleClient, sidsOf, type Upgraded } from "../clients/ensemble-client.ts";
import {
  BROKER_FAULTS_EVERY_MS,
  DOWN_MS,
  RECONNECT_MS,
  STREAM_CONNECT_MS,
  STREAM_FAULTS_MS,
} from "../config.ts";
import { ApiError, badArguments } from "../http/errors.ts";
import { nodeOf, resumeIdOf, wordQueryOf } from "../http/params.ts";
import { beatsOf, hold } from "../streams/node-socket.ts";
import { type SseSink, sseResponse } from "../streams/sse.ts";
import { type EventVector, formatVector, parseVector } from "./event-id.ts";

/** Answers `GET /v1/events`. @throws ApiError BAD_ARGUMENTS, NOT_FOUND, NODE_DOWN */
export async function eventStream(c: Context<AppEnv>): Promise<Response> {
  const node = nodeOf(c);
  const vector = eventVector(resumeIdOf(c) ?? "");
  if (node !== undefined) await c.var.zoo.node(node);
  const sids = node === undefined ? sidsOf(await c.var.zoo.size()) : [node];
  if (c.req.method === "HEAD")
    return c.body(null, 200, { "content-type": "text/event-stream; charset=utf-8" });
  const wanted = {
    only: node !== undefined,
    replay: wordQueryOf(c, "replay", ["rare"]) !== undefined,
    brokers: node === undefined ? faultyBrokersOf(c) : [],
  };
  return sseResponse(c.req.raw.signal, await eventSource(c.var.zoo, sids, vector, wanted));
}

/** Parses an id of this stream. @throws ApiError BAD_ARGUMENTS */
export function eventVector(text: string): Map<number, string> {
  const vector = parseVector(text);
  if (vector === undefined) throw badArguments("Last-Event-ID is an id of this stream: sid:boot-seq,…");
  return vector;
}

/** A broker whose faults a stream reports. */
export interface FaultyBroker {
  readonly id: number;
  readonly faults: () => Promise<readonly FaultView[]>;
}

/** The brokers whose faults a stream of the whole ensemble reports: none where faults are switched off. */
export function faultyBrokersOf(c: Context<AppEnv>): readonly FaultyBroker[] {
  if (c.env.FAULTS !== "on") return [];
  return Array.from({ length: brokerCountOf(c.env) }, (_, id) => ({
    id,
    faults: () => brokerStub(c.env, c.var.ensemble, id).faults(),
  }));
}

/** Options of a stream. */
interface EventsWanted {
  /** whether it is the stream of one node, which ends when that node is down */
  readonly only?: boolean;
  /** whether to begin with the rare events that a node still has, if none or not all of its events were read */
  readonly replay?: boolean;
  readonly brokers?: readonly FaultyBroker[];
}

/**
 * Connects to the nodes before the stream begins, so that a client misses no event after the beginning.
 * A node that does not answer in time joins later.
 * @returns a function that feeds the stream
 * @throws ApiError NODE_DOWN, for the stream of one node
 */
export async function eventSource(
  zoo: EnsembleClient,
  sids: readonly number[],
  vector: Map<number, string>,
  { only = false, replay = false, brokers = [] }: EventsWanted = {},
): Promise<(sink: SseSink) => void> {
  const opening = sids.map((sid) => ({ sid, first: connect(zoo, sid, vector, replay) }));
  for (const { sid, first } of opening) {
    if (only && (await first) === null) throw new ApiError("NODE_DOWN", `node ${sid} is down`);
  }
  await Promise.race([Promise.all(opening.map(({ first }) => first)), pause(STREAM_CONNECT_MS)]);
  return (sink) => {
    for (const { sid, first } of opening)
      follow(zoo, sid, vector, sink, first, { only, replay }).catch(() => sink.end());
    for (const broker of brokers) void followBroker(broker, vector, sink);
  };
}

/** Opens a node's socket after the last event that was read from it; null while the node is down. */
async function connect(
  zoo: EnsembleClient,
  sid: number,
  vector: EventVector,
  replay = false,
): Promise<Upgraded | null> {
  const after = vector.get(sid);
  const query = new URLSearchParams({
    ...(after !== undefined && { after }),
    ...(replay && { replay: "" }),
    [REPORTS_QUERY]: "",
  });
  const path = `/events?${query}`;
  try {
    return await zoo.through(sid).upgrade(path);
  } catch {
    return null;
  }
}

/**
 * Keeps a connection to one node while the stream lasts. A node that is down is tried again, except in a stream of that
 * node `only`: it ends, so that its reader reconnects and gets the reason.
 */
async function follow(
  zoo: EnsembleClient,
  sid: number,
  vector: Map<number, string>,
  sink: SseSink,
  first: Promise<Upgraded | null>,
  { only, replay }: { readonly only: boolean; readonly replay: boolean },
): Promise<void> {
  const ask = async (): Promise<readonly FaultView[]> => (await zoo.node(sid)).faults();
  const faults = new KnownFaults({ sid }, ask, vector, sink);
  let opened = await first;
  if (sink.ended && opened !== null) discard(opened.response);
  while (!sink.ended) {
    if (opened !== null) await passAll(opened, sid, vector, sink, faults);
    else if (only) sink.end();
    // a node that was killed or paused cannot report it itself
    if (!sink.ended) await faults.poll();
    if (!sink.ended) await pause(opened === null ? DOWN_MS : RECONNECT_MS);
    if (sink.ended) return;
    opened = await connect(zoo, sid, vector, replay);
    if (sink.ended && opened !== null) discard(opened.response);
  }
}

/** Reports the faults of a broker while the stream lasts. Brokers have no events, so their faults are polled. */
async function followBroker({ id, faults }: FaultyBroker, vector: EventVector, sink: SseSink): Promise<void> {
  const known = new KnownFaults({ broker: id }, faults, vector, sink);
  while (!sink.ended) {
    await known.poll();
    await pause(BROKER_FAULTS_EVERY_MS);
  }
}

/** Forwards the events of one socket until it or the stream ends. */
function passAll(
  opened: Upgraded,
  sid: number,
  vector: Map<number, string>,
  sink: SseSink,
  faults: KnownFaults,
): Promise<void> {
  return hold(opened.socket, sink, beatsOf(opened.response), (data) => {
    if (typeof data === "string") pass(data, sid, vector, sink, faults);
  });
}

/** A frame of a node. */
interface NodeFrame {
  readonly type?: string;
  readonly id?: string;
  /** of `history` */
  readonly events?: readonly object[];
  /** of `fault` */
  readonly faults?: readonly FaultView[];
}

/** Forwards one event and updates the vector. */
function pass(
  text: string,
  sid: number,
  vector: Map<number, string>,
  sink: SseSink,
  faults: KnownFaults,
): void {
  const event = JSON.parse(text) as NodeFrame;
  if (event.type === "history") {
    for (const each of event.events ?? []) sink.send({ event: "history", data: JSON.stringify(each) });
    return;
  }
  if (typeof event.id === "string") vector.set(sid, event.id);
  const id = formatVector(vector);
  if (event.type === "fault") faults.note(event.faults ?? []);
  if (event.type === "gap") sink.send({ event: "gap", id, data: JSON.stringify({ ...event, sid }) });
  else sink.send({ id, data: text });
}

/** The faults of one node or broker that the reader knows. */
class KnownFaults {
  readonly #whose: { readonly sid: number } | { readonly broker: number };
  readonly #read: () => Promise<readonly FaultView[]>;
  readonly #vector: EventVector;
  readonly #sink: SseSink;
  /** the faults that were reported last, without their remaining times; empty if none were reported */
  #last = "";

  constructor(
    whose: { readonly sid: number } | { readonly broker: number },
    read: () => Promise<readonly FaultView[]>,
    vector: EventVector,
    sink: SseSink,
  ) {
    this.#whose = whose;
    this.#read = read;
    this.#vector = vector;
    this.#sink = sink;
  }

  /** Records faults that the node has reported itself. @returns whether they differ from the last ones */
  note(faults: readonly FaultView[]): boolean {
    const now = faults.map(({ remainingMs: _, ...fault }) => JSON.stringify(fault)).join();
    const differs = now !== this.#last;
    this.#last = now;
    return differs;
  }

  /** Reads the faults of the node or broker, which answers also while it is killed or paused, and reports changes. */
  async poll(): Promise<void> {
    try {
      const faults = await withTimeout(this.#read(), STREAM_FAULTS_MS);
      if (!this.note(faults) || this.#sink.ended) return;
      const event = { type: "fault", ...this.#whose, at: Date.now(), faults };
      this.#sink.send({ id: formatVector(this.#vector), data: JSON.stringify(event) });
    } catch {
      // it is read again while the object is down
    }
  }
}
