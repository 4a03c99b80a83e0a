/** Faults as events, and the rare events that are kept without a listener. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, EventReader } from "../api/helpers.ts";
import { Victims } from "./helpers.ts";

interface ProtocolEvent {
  readonly type: string;
  readonly sid: number;
  readonly broker?: number;
  readonly id?: string;
  readonly began?: string;
  readonly ended?: readonly string[];
  readonly faults?: readonly { readonly fault: string; readonly remainingMs: number | null }[];
}

/** Reads until an event fits. */
async function find(
  reader: EventReader,
  fits: (event: ProtocolEvent, name: string | undefined) => boolean,
): Promise<ProtocolEvent> {
  for (;;) {
    const { event, data } = await reader.next();
    const parsed = JSON.parse(data ?? "null") as ProtocolEvent;
    if (fits(parsed, event)) return parsed;
  }
}

const faultOf =
  (sid: number, change: Partial<ProtocolEvent> = {}) =>
  (event: ProtocolEvent): boolean =>
    event.type === "fault" &&
    event.sid === sid &&
    Object.entries(change).every(
      ([key, value]) => JSON.stringify(event[key as keyof ProtocolEvent]) === JSON.stringify(value),
    );

describe("faults in the stream of events", () => {
  let victims: Victims;
  let reader: EventReader;
  const open = async (query = ""): Promise<EventReader> =>
    new EventReader(
      await call(`${victims.prefix}/v1/events${query}`, { headers: { accept: "text/event-stream" } }),
    );

  beforeAll(async () => {
    victims = await Victims.found("fault-events");
    reader = await open();
  });

  afterAll(async () => {
    await reader.cancel();
    await victims.heal();
  });

  it.each<[string, object]>([
    ["isolate", { direction: "out", peers: [1] }],
    ["drop", { probability: 0.01, peers: [1] }],
    ["delay", { delayMs: 5 }],
    ["duplicate", { probability: 0.01 }],
    ["skew", { skewMs: 10 }],
    ["slow-storage", { delayMs: 1 }],
  ])("[FAULT-50] tells that %s begins, with its arguments, and that it ends", async (fault, body) => {
    await victims.fault(2, fault, body);
    const began = await find(reader, faultOf(2, { began: fault }));
    expect(began.faults).toMatchObject([{ fault, ...body }]);
    expect(began.faults?.[0]?.remainingMs).toBeGreaterThan(0);
    await victims.end(2, fault);
    expect((await find(reader, faultOf(2, { ended: [fault] }))).faults).toEqual([]);
  });

  it("[FAULT-50] shows a fault that ends at its time limit", async () => {
    await victims.fault(3, "delay", { delayMs: 1, ttlMs: 100 });
    await find(reader, faultOf(3, { began: "delay" }));
    expect((await find(reader, faultOf(3, { ended: ["delay"] }))).faults).toEqual([]);
  });

  it("[FAULT-50] shows a kill and a pause, although the node itself cannot send them", async () => {
    for (const [fault, end] of [
      ["kill", "kill"],
      ["pause", "pause"],
    ] as const) {
      await victims.fault(1, fault);
      await find(
        reader,
        ({ type, sid, faults }) => type === "fault" && sid === 1 && faults?.[0]?.fault === fault,
      );
      await victims.end(1, end);
      await find(reader, ({ type, sid, faults }) => type === "fault" && sid === 1 && faults?.length === 0);
      await victims.whole();
      if (fault === "kill") await find(reader, ({ type, sid }) => type === "ping" && sid === 1);
    }
  });

  it("[FAULT-50] shows the faults of brokers in streams of the whole ensemble", async () => {
    const brokers = (path: string): Promise<Response> =>
      call(`${victims.prefix}/v1/faults/brokers/${path}`, { method: "POST" });
    const told =
      (...names: readonly string[]) =>
      ({ type, broker, sid, faults }: ProtocolEvent): boolean =>
        type === "fault" &&
        broker === 1 &&
        sid === undefined &&
        String(faults?.map(({ fault }) => fault)) === String(names);
    await brokers("1/pause");
    await find(reader, told("pause"));
    const later = await open();
    await find(later, told("pause"));
    await brokers("1/resume");
    for (const each of [reader, later]) await find(each, told());
    await later.cancel();
    await brokers("1/kill");
    const ofNode = await open("?node=2");
    await find(ofNode, (event) => {
      expect(event.broker).toBeUndefined();
      return event.type === "ping";
    });
    await ofNode.cancel();
    await find(reader, told("kill"));
    await brokers("1/revive");
    await find(reader, told());
  });

  it.each(["crash", "evict", "wipe"])("[FAULT-50] tells a %s, which is over at once", async (fault) => {
    await victims.fault(2, fault);
    expect((await find(reader, faultOf(2, { began: fault }))).faults).toEqual([]);
    // its next life numbers its events again
    await find(reader, ({ sid }, name) => name === "gap" && sid === 2);
    await victims.whole();
  });

  it("[FAULT-50] begins with the active faults, also of nodes that are down", async () => {
    await victims.fault(2, "delay", { delayMs: 1 });
    await victims.fault(3, "kill");
    const later = await open();
    const missing = new Set([2, 3]);
    await find(later, ({ type, sid, faults }) => {
      if (type === "fault" && faults?.length === 1) missing.delete(sid);
      return missing.size === 0;
    });
    await later.cancel();
    await victims.heal();
  });

  it("[HTTP-82] replays an election without a listener, once, before new events", async () => {
    await reader.cancel();
    const unwatched = await Victims.found("unwatched");
    const leader = await unwatched.leader();
    const headers = { accept: "text/event-stream" };
    const events = async (query: string): Promise<EventReader> =>
      new EventReader(await call(`${unwatched.prefix}/v1/events${query}`, { headers }));
    const history: ProtocolEvent[] = [];
    const replayed = await events("?replay=rare");
    await find(replayed, (event, name) => {
      if (name === "history") history.push(event);
      return name === undefined && event.type === "ping";
    });
    expect(new Set(history.map(({ type }) => type))).toEqual(
      new Set(["vote", "role", "epoch", "link", "sync", "active"]),
    );
    expect(history).toContainEqual(expect.objectContaining({ type: "role", sid: leader, role: "LEADING" }));
    expect(new Set(history.map(({ sid, id }) => `${sid}:${id}`)).size).toBe(history.length);
    await replayed.cancel();

    const plain = await events("");
    await find(plain, (event, name) => {
      expect(name).toBeUndefined();
      return event.type === "ping";
    });
    await plain.cancel();
    reader = await open();
  });
});
