/**
 * Protocol events of all nodes in one stream of server-sent events. Its id is a vector over the nodes, so each
 * node's events resume exactly; `event: gap` tells that a node's ring no longer held what lay between.
 */
import type { Context } from "hono";
import { pause } from "../../../durable-objects/shared/bounded.ts";
import type { FaultView } from "../../../durable-objects/shared/faults.ts";
import { REPORTS_QUERY } from "../../../durable-objects/shared/sockets.ts";
import type { AppEnv } from "../app-env.ts";
import { brokerCountOf, brokerStub } from "../clients/broker-faults.ts";
import { discard, type EnsembleClient, sidsOf, type Upgraded } from "../clients/ensemble-client.ts";
import { withTimeout } from "../clients/node-stub.ts";
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

/** Reads an id of this stream. @throws ApiError BAD_ARGUMENTS */
export function eventVector(text: string): Map<number, string> {
  const vector = parseVector(text);
  if (vector === undefined) throw badArguments("Last-Event-ID is an id of this stream: sid:boot-seq,…");
  return vector;
}

/** A broker whose faults a stream tells. */
export interface FaultyBroker {
  readonly id: number;
  readonly faults: () => Promise<readonly FaultView[]>;
}

/** The brokers whose faults a stream of the whole ensemble tells: none where faults cannot be made. */
export function faultyBrokersOf(c: Context<AppEnv>): readonly FaultyBroker[] {
  if (c.env.FAULTS !== "on") return [];
  return Array.from({ length: brokerCountOf(c.env) }, (_, id) => ({
    id,
    faults: () => brokerStub(c.env, c.var.ensemble, id).faults(),
  }));
}

/** What a stream wants. */
interface EventsWanted {
  /** of one node: the stream ends when that node is down */
  readonly only?: boolean;
  /** the rare events that each node still holds first, for a node of which nothing was read, or not all */
  readonly replay?: boolean;
  readonly brokers?: readonly FaultyBroker[];
}

/**
 * Connects to the nodes before the stream begins, so that a client that sees it begin misses nothing that comes after.
 * A node that does not answer in time joins later.
 * @returns what feeds the stream
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

/** Opens a node's socket behind what was read of it; null while the node is down. */
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
 * Keeps a connection to one node for as long as the stream lasts. A node that is down is tried again; the stream of that
 * node `only` ends, so that its reader comes back and gets the reason.
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
  const faults = new FaultsTold({ sid }, ask, vector, sink);
  let opened = await first;
  if (sink.ended && opened !== null) discard(opened.response);
  while (!sink.ended) {
    if (opened !== null) await passAll(opened, sid, vector, sink, faults);
    else if (only) sink.end();
    // A node that was killed, or stands still, does not tell it itself.
    if (!sink.ended) await faults.ask();
    if (!sink.ended) await pause(opened === null ? DOWN_MS : RECONNECT_MS);
    if (sink.ended) return;
    opened = await connect(zoo, sid, vector, replay);
    if (sink.ended && opened !== null) discard(opened.response);
  }
}

/** Tells the faults of a broker for as long as the stream lasts. A broker has no events of its own: it is asked. */
async function followBroker({ id, faults }: FaultyBroker, vector: EventVector, sink: SseSink): Promise<void> {
  const told = new FaultsTold({ broker: id }, faults, vector, sink);
  while (!sink.ended) {
    await told.ask();
    await pause(BROKER_FAULTS_EVERY_MS);
  }
}

/** Passes the events of one socket on until it, or the stream, ends. */
function passAll(
  opened: Upgraded,
  sid: number,
  vector: Map<number, string>,
  sink: SseSink,
  faults: FaultsTold,
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

/** Passes one event on and moves the vector. */
function pass(
  text: string,
  sid: number,
  vector: Map<number, string>,
  sink: SseSink,
  faults: FaultsTold,
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

/** The faults of one node or broker as the reader knows them. */
class FaultsTold {
  readonly #whose: { readonly sid: number } | { readonly broker: number };
  readonly #asked: () => Promise<readonly FaultView[]>;
  readonly #vector: EventVector;
  readonly #sink: SseSink;
  /** what was told last, without the time left; a reader that was told nothing knows of none */
  #told = "";

  constructor(
    whose: { readonly sid: number } | { readonly broker: number },
    asked: () => Promise<readonly FaultView[]>,
    vector: EventVector,
    sink: SseSink,
  ) {
    this.#whose = whose;
    this.#asked = asked;
    this.#vector = vector;
    this.#sink = sink;
  }

  /** The node told them itself. @returns whether they differ from what was told before */
  note(faults: readonly FaultView[]): boolean {
    const now = faults.map(({ remainingMs: _, ...fault }) => JSON.stringify(fault)).join();
    const differs = now !== this.#told;
    this.#told = now;
    return differs;
  }

  /** Asks the node or broker, which answers this when it is killed or stands still too, and tells the reader what is new. */
  async ask(): Promise<void> {
    try {
      const faults = await withTimeout(this.#asked(), STREAM_FAULTS_MS);
      if (!this.note(faults) || this.#sink.ended) return;
      const event = { type: "fault", ...this.#whose, at: Date.now(), faults };
      this.#sink.send({ id: formatVector(this.#vector), data: JSON.stringify(event) });
    } catch {
      // it is asked again while it is down
    }
  }
}
