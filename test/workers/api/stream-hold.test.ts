/** The Worker's end of a stream's socket. */
import { expect, it } from "vitest";
import { READ_REPORT_CHARS } from "../../../durable-objects/shared/config.ts";
import { hold } from "../../../workers/api/streams/node-socket.ts";
import type { SseSink } from "../../../workers/api/streams/sse.ts";

const sinkOf = (onEnd: SseSink["onEnd"] = () => {}): SseSink => ({
  ...{ ended: false, send: () => {}, end: () => {}, onEnd },
  ...{ hasRoom: true, whenRoom: (run: () => void) => run() },
});

it("[NODE-45] reports to a node how much of its stream it has read, and nothing to a partition", async () => {
  for (const onRequest of [false, true]) {
    const { 0: ours, 1: theirs } = new WebSocketPair();
    theirs.accept();
    const told: string[] = [];
    let closed: (() => void) | undefined;
    const ended = new Promise<void>((resolve) => {
      closed = resolve;
    });
    theirs.addEventListener("message", ({ data }) => {
      if (data !== "beat") told.push(String(data));
    });
    theirs.addEventListener("close", () => closed?.());
    let end = (): void => {};
    const sink = sinkOf((run) => {
      end = run;
    });
    let received = 0;
    const held = hold(ours, sink, { everyMs: undefined, onRequest }, () => {
      received += 1;
      if (received === 5) end();
    });
    for (let i = 0; i < 5; i++) theirs.send("x".repeat(READ_REPORT_CHARS / 2));
    await Promise.all([held, ended]);
    expect(told).toEqual(onRequest ? [] : [`read:${READ_REPORT_CHARS}`, `read:${2 * READ_REPORT_CHARS}`]);
  }
});

it("[HTTP-32] accepts nothing from a socket that it has dropped, since the stream has moved", async () => {
  const { 0: ours, 1: nodes } = new WebSocketPair();
  nodes.accept();
  const closing = new Promise((resolve) => nodes.addEventListener("close", resolve));
  const closed = new Promise((resolve) => ours.addEventListener("close", resolve));
  const received: unknown[] = [];
  const sink = sinkOf();
  nodes.send("in time");
  await hold(ours, sink, { everyMs: 50, onRequest: false }, (data) => received.push(data));
  // The node stood still. It tells what it has to tell before it sees that nobody listens any more.
  nodes.send("too late");
  await closing;
  nodes.close(1000, "done");
  await closed;
  expect(received).toEqual(["in time"]);
});
