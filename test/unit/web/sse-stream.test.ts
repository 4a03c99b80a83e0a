/** The stream reader against a real server on loopback that hangs up whenever it likes. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { runStream, type StreamState } from "../../../web/src/api/sse-stream.ts";
import type { RecordsEvent } from "../../../web/src/api/types.ts";
import { addRecords, EMPTY_TIMELINE, type Timeline } from "../../../web/src/model/timeline.ts";

const TOTAL = 60;
const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Serves on a free port; `answer` gets the number of the connection and the offset asked for. */
async function serve(
  answer: (connection: number, offset: number, response: ServerResponse) => void,
): Promise<string> {
  let connections = 0;
  const server = createServer((request, response) => {
    connections += 1;
    answer(connections, Number(new URL(request.url ?? "/", "http://x").searchParams.get("offset")), response);
  });
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const open = (response: ServerResponse) => response.writeHead(200, { "content-type": "text/event-stream" });

function recordsText(from: number, to: number): string {
  const records = Array.from({ length: to - from }, (_, i) => ({
    key: null,
    value: { Minute: 1, Player: "A", Club: "B", Score: "1-0" },
    partition: 0,
    offset: from + i,
  }));
  return `id: ${to}\nevent: records\ndata: ${JSON.stringify({ records, next_offset: to, high_watermark: TOTAL })}\n\n`;
}

/** Reads the goals until all have come; returns the timeline and the states on the way. */
async function readAll(
  url: string,
  silenceMsMax?: number,
): Promise<{ timeline: Timeline; states: StreamState[] }> {
  let timeline = EMPTY_TIMELINE;
  const states: StreamState[] = [];
  const end = new AbortController();
  await runStream({
    signal: end.signal,
    retryMsMax: 4,
    ...(silenceMsMax === undefined ? {} : { silenceMsMax }),
    request: () => ({ url: `${url}?offset=${timeline.nextOffset ?? 0}` }),
    onState: (state) => states.push(state),
    onMessage: (message) => {
      timeline = addRecords(timeline, JSON.parse(message.data) as RecordsEvent);
      if (timeline.nextOffset === TOTAL) end.abort();
    },
  });
  return { timeline, states };
}

const ALL = Array.from({ length: TOTAL }, (_, i) => i);

describe("a stream that breaks", () => {
  test("goes on at the exact offset: every record once, none missing", async () => {
    const asked: number[] = [];
    const url = await serve((connection, offset, response) => {
      asked.push(offset);
      open(response);
      // Seven whole records, then half an event: what was cut is asked for again.
      const cut = recordsText(Math.min(TOTAL, offset + 7), Math.min(TOTAL, offset + 9));
      response.write(recordsText(offset, Math.min(TOTAL, offset + 7)));
      if (connection % 2 === 0) response.end(cut.slice(0, cut.length / 2));
      else response.write(cut.slice(0, cut.length / 2), () => response.destroy());
    });
    const { timeline } = await readAll(url);
    expect(timeline.rows.map((row) => row.offset)).toEqual(ALL);
    expect(timeline.duplicates).toBe(0);
    expect(timeline.gaps).toEqual([]);
    expect(asked).toEqual([0, 7, 14, 21, 28, 35, 42, 49, 56]);
  });

  test("a server that repeats itself doubles nothing", async () => {
    const url = await serve((_, offset, response) => {
      open(response);
      response.end(recordsText(Math.max(0, offset - 5), Math.min(TOTAL, offset + 20)));
    });
    const { timeline } = await readAll(url);
    expect(timeline.rows.map((row) => row.offset)).toEqual(ALL);
    expect(timeline.duplicates).toBeGreaterThan(0);
  });

  test("says why it waits: refusals, wrong answers, silence", async () => {
    const url = await serve((connection, _, response) => {
      if (connection === 1) response.writeHead(503).end("no");
      else if (connection === 2) response.writeHead(200, { "content-type": "text/html" }).end("<p>");
      else if (connection === 3) open(response).write(": nothing more\n\n");
      else open(response).write(recordsText(0, TOTAL));
    });
    const { timeline, states } = await readAll(url, 1_000);
    expect(timeline.rows).toHaveLength(TOTAL);
    const waits = states.filter((state) => state.type === "waiting");
    expect(waits.map((state) => state.reason)).toEqual([
      "the server answered 503",
      "the server did not answer with an event stream",
      "nothing was heard for too long",
    ]);
    expect(waits[0]?.status).toBe(503);
    // A connection that opened starts the count anew.
    expect(waits.map((state) => state.attempt)).toEqual([1, 2, 1]);
  });

  test("ends when it is told to, also while it waits", async () => {
    const end = new AbortController();
    const url = await serve((_, __, response) => response.writeHead(503).end());
    await runStream({
      signal: end.signal,
      request: () => ({ url }),
      onMessage: () => {},
      onState: (state) => state.type === "waiting" && end.abort(),
    });
    expect(end.signal.aborted).toBe(true);
  });
});
