import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Poll, type TabChannel } from "../../../web/src/api/poll.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A server that counts what it is asked, and answers after `delayMs`. */
function server(delayMs = 0) {
  const state = { asked: 0, broken: false };
  const ask = (signal: AbortSignal): Promise<number> =>
    new Promise((resolve, reject) => {
      state.asked += 1;
      const number = state.asked;
      signal.addEventListener("abort", () => reject(new Error("aborted")));
      setTimeout(() => (state.broken ? reject(new Error("broken")) : resolve(number)), delayMs);
    });
  return { state, ask };
}

/** Channels of tabs: each hears all others at once. */
function tabs(count: number): TabChannel[] {
  const channels: TabChannel[] = [];
  for (let i = 0; i < count; i++) {
    const channel: TabChannel = {
      onmessage: null,
      postMessage: (data) => {
        for (const other of channels) if (other !== channel) other.onmessage?.({ data });
      },
      close: () => {},
    };
    channels.push(channel);
  }
  return channels;
}

test("[PAGE-1] polls once a second, however slow the answers are below that", async () => {
  const { state, ask } = server(700);
  const answers: number[] = [];
  const poll = new Poll({
    everyMs: 1_000,
    ask,
    onAnswer: (answer) => answers.push(answer),
    onProblem: (error) => expect(error).toBeUndefined(),
  });
  poll.start();
  await vi.advanceTimersByTimeAsync(9_999);
  expect([state.asked, answers.length]).toEqual([10, 10]);
  poll.close();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(state.asked).toBe(10);
});

test("[PAGE-1] polls once more when something was changed", async () => {
  const { state, ask } = server(100);
  const poll = new Poll({ everyMs: 1_000, ask, onAnswer: () => {}, onProblem: () => {} });
  poll.start();
  await vi.advanceTimersByTimeAsync(50);
  poll.now(); // the answer under way may be from before the change
  await vi.advanceTimersByTimeAsync(60);
  expect(state.asked).toBe(2);
  poll.close();
});

test("[PAGE-3] a missing answer is a problem, and the poll is repeated", async () => {
  const problems: string[] = [];
  let asked = 0;
  const poll = new Poll({
    everyMs: 1_000,
    ask: (signal) =>
      new Promise<number>((_, reject) => {
        asked += 1;
        signal.addEventListener("abort", () => reject(new Error("aborted")));
      }),
    onAnswer: () => {},
    onProblem: ({ message }) => problems.push(message),
  });
  poll.start();
  await vi.advanceTimersByTimeAsync(10_500);
  expect(asked).toBe(3);
  expect(problems).toEqual(Array(2).fill("the API has not answered for 5 s"));
  poll.close();
});

test("[PAGE-1] six tabs poll as often as one, and all of them get the status", async () => {
  const { state, ask } = server(50);
  const known = Array<number>(6).fill(0);
  const polls = tabs(6).map(
    (channel, i) =>
      new Poll({
        everyMs: 1_000,
        channel,
        ask,
        onAnswer: () => {
          known[i] = (known[i] ?? 0) + 1;
        },
        onProblem: () => {},
      }),
  );
  for (const poll of polls) {
    poll.start();
    await vi.advanceTimersByTimeAsync(30);
  }
  const before = state.asked;
  const heard = [...known];
  await vi.advanceTimersByTimeAsync(20_000);
  const rounds = state.asked - before;
  expect(rounds).toBeGreaterThanOrEqual(15);
  expect(rounds).toBeLessThanOrEqual(22);
  for (const [i, count] of known.entries())
    expect(count - (heard[i] ?? 0)).toBeGreaterThanOrEqual(rounds - 1);
  for (const poll of polls) poll.close();
});

test("[PAGE-1] a tab polls for itself if the poll of another tab failed, or that tab was closed", async () => {
  const first = server();
  const second = server();
  const [a, b] = tabs(2);
  const problems: string[] = [];
  const one = new Poll({
    everyMs: 1_000,
    channel: a,
    ask: first.ask,
    onAnswer: () => {},
    onProblem: () => {},
  });
  const two = new Poll({
    everyMs: 1_000,
    channel: b,
    ask: second.ask,
    onAnswer: () => {},
    onProblem: ({ message }) => problems.push(message),
  });
  one.start();
  await vi.advanceTimersByTimeAsync(10);
  two.start();
  first.state.broken = true;
  second.state.broken = true;
  await vi.advanceTimersByTimeAsync(3_000);
  expect(problems.length).toBeGreaterThanOrEqual(2);
  second.state.broken = false;
  one.close();
  const asked = second.state.asked;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(second.state.asked - asked).toBeGreaterThanOrEqual(4);
  two.close();
});
