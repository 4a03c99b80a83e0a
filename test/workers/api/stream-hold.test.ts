/** The Worker's end of a stream's socket. */
import { expect, it } from "vitest";
import { hold } from "../../../workers/api/streams/node-socket.ts";
import type { SseSink } from "../../../workers/api/streams/sse.ts";

it("[HTTP-32] takes nothing from a socket that it has given up: the stream is elsewhere by then", async () => {
  const { 0: ours, 1: nodes } = new WebSocketPair();
  nodes.accept();
  const closing = new Promise((resolve) => nodes.addEventListener("close", resolve));
  const closed = new Promise((resolve) => ours.addEventListener("close", resolve));
  const received: unknown[] = [];
  const sink: SseSink = { ended: false, send: () => {}, end: () => {}, onEnd: () => {} };
  nodes.send("in time");
  await hold(ours, sink, { everyMs: 50, onRequest: false }, (data) => received.push(data));
  // The node stood still. It tells what it has to tell before it sees that nobody listens any more.
  nodes.send("too late");
  await closing;
  nodes.close(1000, "done");
  await closed;
  expect(received).toEqual(["in time"]);
});
