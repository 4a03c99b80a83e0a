/** The store of one ensemble, fed by events and by the status poll. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { LiveStreams, StreamOptions } from "../../../web/src/api/live-socket.ts";
import type { ProtocolEvent } from "../../../web/src/api/types.ts";
import { viewOf } from "../../../web/src/features/ensemble/slice.ts";
import { takeStatus } from "../../../web/src/features/ensemble/status.ts";
import { arrivalsOf } from "../../../web/src/store/arrivals.ts";
import { streamEvents } from "../../../web/src/store/event-feed.ts";
import { createLiveStore } from "../../../web/src/store/live-store.ts";
import { ensembleOf, eventOf } from "./states.ts";

beforeEach(() => vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => vi.useRealTimers());

/** A connection that carries what the test sends. */
class Line implements LiveStreams {
  readonly #open = new Set<StreamOptions>();

  stream(options: StreamOptions): () => void {
    this.#open.add(options);
    options.onState({ type: "live" });
    return () => this.#open.delete(options);
  }

  close(): void {
    this.#open.clear();
  }

  send(event: ProtocolEvent, kind: string = event.type): void {
    for (const options of this.#open)
      options.onEvent({ event: kind, id: `${event.sid}:${event.id}`, data: event });
  }

  subscriptions(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return Promise.all([...this.#open].map((options) => options.subscription()));
  }
}

function feed() {
  const [store, line, place] = [createLiveStore(), new Line(), { id: "" }];
  store.setState(({ status }) => ({ status: takeStatus(status, ensembleOf(), Date.now()) }));
  return { store, line, place, stop: streamEvents(store, line, place) };
}

const lost = eventOf({ sid: 2, id: "1-9", at: 1_000_000, role: "LOOKING" });

test("[PAGE-2] events that arrive together change log, status and outage in one step", () => {
  const { store, line } = feed();
  let changes = 0;
  store.subscribe(() => changes++);
  line.send(lost);
  line.send(
    eventOf({
      sid: 1,
      id: "1-5",
      at: 1_000_000,
      type: "fault",
      faults: [{ fault: "pause", remainingMs: 9 }],
    }),
  );
  vi.runAllTimers();
  const live = store.getState();
  expect(changes).toBe(1);
  expect(viewOf(live)?.leader).toBeNull();
  expect(live.outage).toEqual({ sinceMs: 1_000_000, untilMs: null });
  expect(live.faults.ofNode.get(1)?.map(({ fault }) => fault)).toEqual(["pause"]);
  expect(live.ring.list().map(({ event }) => event.id)).toEqual(["1-9", "1-5"]);
});

test("[PAGE-2] events of the past are logged, and change nothing else", () => {
  const { store, line } = feed();
  line.send(lost, "history");
  vi.runAllTimers();
  expect(store.getState().ring.size).toBe(1);
  expect(store.getState().outage).toBeNull();
  expect(viewOf(store.getState())?.leader).toBe(2);
});

test("[PAGE-2] the store of one ensemble is not changed by the events of another", () => {
  const [one, other] = [feed(), feed()];
  one.line.send(lost);
  vi.runAllTimers();
  expect(viewOf(one.store.getState())?.leader).toBeNull();
  expect(viewOf(other.store.getState())?.leader).toBe(2);
  expect(other.store.getState().ring.size).toBe(0);
});

test("[PAGE-4] a stream that was closed resumes after the last event", async () => {
  const { store, line, place, stop } = feed();
  line.send(lost);
  vi.runAllTimers();
  stop();
  streamEvents(store, line, place);
  expect(await line.subscriptions()).toEqual([{ subscribe: "events", since: "2:1-9", replay: "rare" }]);
});

test("[PAGE-14] arrivals reach an animation as one batch each, and other changes do not", () => {
  const { store, line } = feed();
  const batches: string[][] = [];
  const stop = arrivalsOf(store)((events) => batches.push(events.map(({ id }) => id)));
  line.send(lost);
  line.send(eventOf({ sid: 1, id: "1-5", at: 1_000_000 }));
  vi.runAllTimers();
  store.setState({ selectedSid: 1 });
  stop();
  line.send(eventOf({ sid: 1, id: "1-6", at: 1_000_000 }));
  vi.runAllTimers();
  expect(batches).toEqual([["1-9", "1-5"]]);
});
