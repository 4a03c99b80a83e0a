import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LiveSocket, type SocketLike, type StreamState } from "../../../web/src/api/live-socket.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A server that keeps what it was sent. */
function server() {
  const sockets: (SocketLike & { readonly sent: Record<string, unknown>[]; closed: boolean })[] = [];
  const open = (): SocketLike => {
    const socket = {
      onopen: null,
      onclose: null,
      onerror: null,
      onmessage: null,
      sent: [] as Record<string, unknown>[],
      closed: false,
      send: (text: string) => {
        socket.sent.push(JSON.parse(text) as Record<string, unknown>);
      },
      close: () => {
        socket.closed = true;
      },
    };
    sockets.push(socket);
    return socket;
  };
  const last = () => {
    const socket = sockets.at(-1);
    if (socket === undefined) throw new Error("nobody has connected");
    return socket;
  };
  return {
    sockets,
    open,
    last,
    accept: async () => {
      last().onopen?.();
      await vi.advanceTimersByTimeAsync(0);
    },
    say: (frame: object) => last().onmessage?.({ data: JSON.stringify(frame) }),
    /** The subscriptions of the last connection. */
    subscriptions: () => last().sent.filter((frame) => "subscribe" in frame),
  };
}

test("[PAGE-4] carries all streams over one connection, and resumes each where it was after a break", async () => {
  const { sockets, open, last, accept, say, subscriptions } = server();
  const live = new LiveSocket(open);
  const states: StreamState["type"][] = [];
  let since = "";
  let next = 0;
  live.stream({
    subscription: async () => ({ subscribe: "events", since }),
    onEvent: ({ id }) => {
      since = id;
    },
    onState: ({ type }) => states.push(type),
  });
  live.stream({
    subscription: async () => ({ subscribe: "records", offset: next }),
    onEvent: ({ id }) => {
      next = Number(id);
    },
    onState: () => {},
  });
  await accept();
  expect(sockets.length).toBe(1);
  expect(subscriptions()).toEqual([
    { subscribe: "events", since: "", as: "s1" },
    { subscribe: "records", offset: 0, as: "s2" },
  ]);
  say({ as: "s1", open: true });
  say({ as: "s1", id: "1:1-7", data: {} });
  say({ as: "s2", event: "records", id: "12", data: {} });
  last().onclose?.();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(sockets.length).toBe(2);
  await accept();
  expect(subscriptions()).toEqual([
    { subscribe: "events", since: "1:1-7", as: "s1" },
    { subscribe: "records", offset: 12, as: "s2" },
  ]);
  expect(states).toEqual(["connecting", "live", "waiting", "connecting"]);
  live.close();
});

test("[PAGE-4] a stream that cannot be opened is requested again, without the others", async () => {
  const { sockets, open, accept, say, subscriptions } = server();
  const live = new LiveSocket(open);
  const reasons: string[] = [];
  const codes: string[] = [];
  const refused = {
    subscription: async () => ({ subscribe: "records" }),
    onEvent: () => {},
    onEnd: ({ code }: { readonly code: string }) => codes.push(code),
    onState: (state: StreamState) => {
      if (state.type === "waiting") reasons.push(state.reason);
    },
  };
  live.stream(refused);
  await accept();
  say({ as: "s1", end: { status: 404, code: "UNKNOWN_TOPIC", message: "no such topic" } });
  await vi.advanceTimersByTimeAsync(1_000);
  expect([reasons, codes]).toEqual([["no such topic"], ["UNKNOWN_TOPIC"]]);
  expect(subscriptions().length).toBe(2);
  expect(sockets.length).toBe(1);
  live.close();
});

test("[PAGE-4] beats report what was read; a silent connection is closed and opened again", async () => {
  const { sockets, open, accept, last, say } = server();
  const live = new LiveSocket(open);
  live.stream({ subscription: async () => ({ subscribe: "events" }), onEvent: () => {}, onState: () => {} });
  await accept();
  const text = { as: "s1", data: "x".repeat(1_000) };
  say(text);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(last().sent.filter((frame) => "beat" in frame)).toEqual([{ beat: JSON.stringify(text).length }]);
  await vi.advanceTimersByTimeAsync(28_000);
  expect(sockets.length).toBe(2);
  expect(sockets[0]?.closed).toBe(true);
  live.close();
});

test("[PAGE-4] a stream without a reader is ended, and a closed socket stays closed", async () => {
  const { sockets, open, accept, last } = server();
  const live = new LiveSocket(open);
  const end = live.stream({
    subscription: async () => ({ subscribe: "events" }),
    onEvent: () => {},
    onState: () => {},
  });
  await accept();
  end();
  expect(last().sent.at(-1)).toEqual({ unsubscribe: "s1" });
  live.close();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sockets.length).toBe(1);
});
