/** A stream of server-sent events with a reader that is slow or does not read. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SSE_WAITING_BYTES_MAX } from "../../../workers/api/config.ts";
import { type SseSink, sseResponse } from "../../../workers/api/streams/sse.ts";

const LOOK_MS = 15_000;
const KIB_100 = "x".repeat(100 * 1024);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A stream with its sink, and a reader that reads when the test says so. */
function open() {
  const abort = new AbortController();
  let sink: SseSink | undefined;
  const response = sseResponse(abort.signal, (given) => {
    sink = given;
  });
  if (sink === undefined || response.body === null) throw new Error("the stream has no source");
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const read = async (): Promise<string | undefined> => {
    const { done, value } = await reader.read();
    return done ? undefined : decoder.decode(value);
  };
  const readAll = async (): Promise<string> => {
    let text = "";
    for (let part = await read(); part !== undefined; part = await read()) text += part;
    return text;
  };
  return { sink, read, readAll, abort };
}

/** Sends until there is no room. @returns how many events that took */
function fill(sink: SseSink): number {
  let count = 0;
  for (; sink.hasRoom; count++) sink.send({ id: `${count}`, data: KIB_100 });
  return count;
}

const WORDS = /^event: error\ndata: \{"code":"THROTTLED","message":".*continue after the last id"\}\n\n$/;

describe("a stream that is not read", () => {
  it("[HTTP-83] ends with a reason after the data that were read, if there is no room for an event", async () => {
    const { sink, read, readAll } = open();
    let ends = 0;
    sink.onEnd(() => {
      ends += 1;
    });
    const count = fill(sink);
    expect(count).toBe(Math.ceil(SSE_WAITING_BYTES_MAX / (100 * 1024 + 20)));
    expect([sink.ended, ends]).toEqual([false, 0]);
    expect(await read()).toBe("retry: 1000\n\n");
    expect(await read()).toMatch(/^id: 0\n/);
    fill(sink);
    sink.send({ id: "lost", data: "this one has no room" });
    expect([sink.ended, sink.hasRoom, ends]).toEqual([true, false, 1]);
    // what waited is discarded: it is sent again to a reader that resumes
    expect(await readAll()).toMatch(WORDS);
  });

  it("[HTTP-83] keeps waiting data after its end, and no longer than two checks", async () => {
    for (const looks of [0, 1, 2]) {
      const { sink, read, readAll } = open();
      sink.send({ id: "1", data: "x" });
      sink.end();
      await vi.advanceTimersByTimeAsync(looks * LOOK_MS);
      if (looks < 2) {
        expect(await read()).toContain("retry");
        expect(await readAll()).toBe("id: 1\ndata: x\n\n");
      } else expect(await readAll()).toMatch(WORDS);
    }
  });

  it("[HTTP-83] makes its source wait, and ends if its reader takes nothing between two checks", async () => {
    const { sink, readAll } = open();
    fill(sink);
    let runs = 0;
    sink.whenRoom(() => {
      runs += 1;
    });
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect([sink.ended, runs]).toEqual([false, 0]);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect([sink.ended, runs]).toEqual([true, 1]);
    expect(await readAll()).toMatch(WORDS);
  });

  it("[HTTP-83] continues with a slow reader, and so does its source", async () => {
    const { sink, read } = open();
    let sent = 0;
    const source = (): void => {
      if (sink.ended || sent === 40) return;
      sink.send({ id: `${sent}`, data: KIB_100 });
      sent += 1;
      sink.whenRoom(source);
    };
    source();
    expect(sent).toBeLessThan(12);
    while (sent < 40) {
      await vi.advanceTimersByTimeAsync(LOOK_MS - 1);
      expect(await read()).not.toContain("error");
    }
    expect([sent, sink.ended]).toEqual([40, false]);
  });

  it("[HTTP-34] holds no resources once its reader has left", async () => {
    const { sink, readAll, abort } = open();
    fill(sink);
    abort.abort();
    expect(sink.ended).toBe(true);
    expect(await readAll()).toBe("");
  });
});
