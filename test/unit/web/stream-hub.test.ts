import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type {
  LiveStreams,
  StreamEvent,
  StreamOptions,
  StreamState,
} from "../../../web/src/api/live-socket.ts";
import { SharedStreams, type TabPort, TabStreams } from "../../../web/src/api/shared-streams.ts";
import {
  covers,
  type HubMessage,
  type Port,
  StreamHub,
  type TabMessage,
} from "../../../web/src/api/stream-hub.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const turn = (): Promise<unknown> => vi.advanceTimersByTimeAsync(1);
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(1_600);

/** A server of numbered records: each stream that is open gets what comes after its own place. */
class Server implements LiveStreams {
  readonly open = new Set<{ options: StreamOptions; next: number }>();
  end = 0;
  asked = 0;

  stream(options: StreamOptions): () => void {
    const channel = { options, next: 0 };
    this.open.add(channel);
    void this.begin(channel);
    return () => this.open.delete(channel);
  }

  async begin(channel: { options: StreamOptions; next: number }): Promise<void> {
    this.asked += 1;
    const { since } = await channel.options.subscription();
    channel.next = Number(String(since).split(":")[0]);
    channel.options.onState({ type: "live" });
    this.flush();
  }

  write(): void {
    this.end += 1;
    this.flush();
  }

  flush(): void {
    for (const channel of this.open)
      while (channel.next < this.end) {
        channel.next += 1;
        channel.options.onEvent({ event: "records", id: `${channel.next}:t`, data: channel.next });
      }
  }

  /** The connection breaks, and comes back. */
  async break(): Promise<void> {
    const channels = [...this.open];
    for (const { options } of channels) options.onState({ type: "waiting", reason: "broken", attempt: 1 });
    this.end += 1;
    for (const channel of channels) await this.begin(channel);
  }

  close(): void {
    this.open.clear();
  }
}

/** Both ends of a port; a message arrives in a turn of its own. */
function ports(): { readonly tab: TabPort; readonly hub: Port<HubMessage, TabMessage> } {
  const tab: TabPort = {
    onmessage: null,
    postMessage: (data) => queueMicrotask(() => hub.onmessage?.({ data })),
    close: () => {},
  };
  const hub: Port<HubMessage, TabMessage> = {
    onmessage: null,
    postMessage: (data) => queueMicrotask(() => tab.onmessage?.({ data })),
    close: () => {},
  };
  return { tab, hub };
}

/** A tab that reads the records from the first on, and keeps its own place. */
function tabOf(hub: StreamHub) {
  const { tab, hub: end } = ports();
  hub.connect(end);
  const fail = vi.fn();
  const streams = new SharedStreams(tab, fail);
  const seen = new Set<number>();
  const states: StreamState["type"][] = [];
  let next = 0;
  const close = streams.stream({
    subscription: async () => ({ subscribe: "records", topic: "goals", partition: 0, since: `${next}:t` }),
    onEvent: ({ data }: StreamEvent) => {
      // a place that is skipped is lost for good
      if (Number(data) > next + 1) throw new Error(`${next} was followed by ${Number(data)}`);
      next = Math.max(next, Number(data));
      seen.add(next);
    },
    onState: ({ type }) => states.push(type),
  });
  return { streams, seen, states, close, fail, port: tab, end };
}

test("[PAGE-4] six tabs read by one channel as soon as they have read the same, each from its own place", async () => {
  const server = new Server();
  const hub = new StreamHub(server);
  const tabs: ReturnType<typeof tabOf>[] = [];
  for (let i = 0; i < 6; i++) {
    tabs.push(tabOf(hub));
    server.write();
    await turn();
  }
  expect(server.open.size).toBe(6);
  await settle();
  expect(server.open.size).toBe(1);
  server.write();
  await turn();
  for (const { seen, states } of tabs) {
    expect([...seen]).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(states.at(-1)).toBe("live");
  }
});

test("[PAGE-4] when the connection breaks each tab continues at its own place, and they come together again", async () => {
  const server = new Server();
  const hub = new StreamHub(server);
  const tabs = [tabOf(hub), tabOf(hub), tabOf(hub)];
  await turn();
  await settle();
  for (let i = 0; i < 3; i++) {
    expect(server.open.size).toBe(1);
    await server.break();
    await turn();
    expect(server.open.size).toBe(3);
    server.write();
    await settle();
  }
  expect(server.open.size).toBe(1);
  for (const { seen } of tabs) expect([...seen]).toEqual([1, 2, 3, 4, 5, 6]);
});

test("[PAGE-4] a tab that closes leaves the others their channel, the last one ends it", async () => {
  const server = new Server();
  const hub = new StreamHub(server);
  const [first, second] = [tabOf(hub), tabOf(hub)];
  await turn();
  await settle();
  first.close();
  await turn();
  server.write();
  await turn();
  expect([[...first.seen], [...second.seen]]).toEqual([[], [1]]);
  second.streams.close();
  await turn();
  expect(server.open.size).toBe(0);
});

test("[PAGE-4] a tab that is silent, or does not read, is released, and resumes at its place with its next message", async () => {
  const server = new Server();
  const hub = new StreamHub(server);
  const { seen, end, port } = tabOf(hub);
  await turn();
  server.write();
  await turn();
  // frozen: nothing arrives at either end
  const [post, hear] = [port.postMessage, end.postMessage];
  port.postMessage = () => {};
  end.postMessage = () => {};
  await vi.advanceTimersByTimeAsync(220_000);
  expect(server.open.size).toBe(0);
  server.write();
  port.postMessage = post;
  end.postMessage = hear;
  post({ type: "beat", read: 0 });
  await turn();
  expect(server.open.size).toBe(1);
  expect([...seen]).toEqual([1, 2]);

  end.postMessage = () => {};
  for (let i = 0; i < 5_001; i++) server.write();
  expect(server.open.size).toBe(0);
});

test("[PAGE-4] a tab without a hub, or whose hub does not answer, has a connection of its own", async () => {
  const opened: string[] = [];
  const open = () => {
    opened.push("socket");
    return { onopen: null, onclose: null, onerror: null, onmessage: null, send: () => {}, close: () => {} };
  };
  const stream: StreamOptions = {
    subscription: async () => ({ subscribe: "events" }),
    onEvent: () => {},
    onState: () => {},
  };
  const alone = new TabStreams({ hub: () => undefined, open });
  alone.stream(stream);
  expect(opened).toEqual(["socket"]);
  alone.close();

  // a hub that never says anything
  const mute: TabPort = { onmessage: null, postMessage: () => {}, close: () => {} };
  const tab = new TabStreams({ hub: () => mute, open });
  tab.stream(stream);
  await vi.advanceTimersByTimeAsync(29_000);
  expect(opened).toEqual(["socket"]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(opened).toEqual(["socket", "socket"]);
  tab.close();

  // a worker that cannot be started says so
  const broken = new TabStreams({
    hub: (onFail) => {
      setTimeout(onFail, 5);
      return { ...mute };
    },
    open,
  });
  broken.stream(stream);
  await vi.advanceTimersByTimeAsync(10);
  expect(opened.length).toBe(3);
  broken.close();
});

test.each([
  ["7:t", "7:t", true],
  ["8:t", "7:t", true],
  ["6:t", "7:t", false],
  ["8:t", "7:u", false],
  ["8", "7:t", true],
  ["", "", true],
  ["", "7:t", false],
  ["1:4-7,2:3-9", "1:4-7,2:3-8", true],
  ["1:4-7,2:3-7", "1:4-7,2:3-8", false],
  ["1:5-1,2:3-8", "1:4-7,2:3-8", true],
  ["1:4-7", "1:4-7,2:3-8", false],
  ["1:4-7,2:3-8", "1:4-7", true],
  ["1:4-8", "1:4-7", true],
  ["1:4-6", "1:4-7", false],
  ["1:4-7", "", false],
])("[PAGE-4] a reader at %o has read all up to %o: %o", (a, b, holds) => {
  expect(covers(a, b)).toBe(holds);
});
