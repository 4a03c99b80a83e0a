/** A port of a local run, and a client that does not read. */
import { Writable } from "node:stream";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { endUnread, UNREAD_MS_MAX } from "../../../scripts/local/unread.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A connection that takes one write at a time, when the test says so. */
function connection() {
  let done: (() => void) | undefined;
  const client = new Writable({
    highWaterMark: 10,
    write: (_chunk, _encoding, callback) => {
      done = callback;
    },
  });
  endUnread(client);
  return { client, take: () => done?.() };
}

it("[HTTP-85] is ended if it reads nothing of the waiting data for 60 s, and not while it reads some", async () => {
  const { client, take } = connection();
  for (let i = 0; i < 5; i++) {
    client.write("more than ten characters");
    await vi.advanceTimersByTimeAsync(UNREAD_MS_MAX);
    expect(client.destroyed).toBe(false);
    take();
    await vi.advanceTimersByTimeAsync(1);
  }
  client.write("more than ten characters");
  await vi.advanceTimersByTimeAsync(UNREAD_MS_MAX + 6_000);
  expect(client.destroyed).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

it("[HTTP-85] may stay open without anything to read", async () => {
  const { client } = connection();
  await vi.advanceTimersByTimeAsync(10 * UNREAD_MS_MAX);
  expect(client.destroyed).toBe(false);
  client.destroy();
  await vi.advanceTimersByTimeAsync(1);
  expect(vi.getTimerCount()).toBe(0);
});
