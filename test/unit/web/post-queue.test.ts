import { expect, test } from "vitest";
import { ApiProblem } from "../../../web/src/api/http.ts";
import type { Goal } from "../../../web/src/api/types.ts";
import {
  type Flight,
  PostQueue,
  type PostQueueOptions,
  QUEUE_MAX,
} from "../../../web/src/features/goals/post-queue.ts";

const goal = (Minute: number): Goal => ({ Minute, Player: "A", Club: "B", Score: "1-0" });
const unavailable = new ApiProblem(503, "NO_QUORUM", "there is no quorum");

/** A queue whose sends end as `answer` says; `idle` resolves when nothing waits. */
function queueOf(
  answer: (flight: Flight) => Promise<ApiProblem | undefined>,
  more: Partial<PostQueueOptions> = {},
) {
  const seen = { stored: [] as number[], refused: [] as string[], sent: [] as Flight[], most: 0, flights: 0 };
  let keys = 0;
  let underWay = 0;
  let wake = (): void => {};
  const queue = new PostQueue({
    newKey: () => `k${++keys}`,
    now: () => 0,
    pause: () => Promise.resolve(),
    alone: (run) => run(),
    answerMsMax: 60_000,
    send: async (flight) => {
      seen.sent.push(flight);
      underWay += 1;
      seen.most = Math.max(seen.most, underWay);
      const problem = await answer(flight);
      underWay -= 1;
      return problem;
    },
    onChange: (flights) => {
      seen.flights = flights.length;
      if (flights.length === 0) wake();
    },
    onStored: ({ goal: { Minute } }) => seen.stored.push(Minute),
    onRefused: (_, { message }) => seen.refused.push(message),
    ...more,
  });
  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      wake = () => queueMicrotask(() => resolve());
      if (seen.flights === 0) wake();
    });
  return { queue, seen, idle };
}

test("[PAGE-5] one post is outstanding at a time, in the order of the posts", async () => {
  const { queue, seen, idle } = queueOf(async () => undefined);
  for (const minute of [1, 2, 3, 4]) expect(queue.post(goal(minute), "auto")).toBe(true);
  expect(queue.size).toBe(4);
  await idle();
  expect([seen.stored, seen.most]).toEqual([[1, 2, 3, 4], 1]);
});

test("[PAGE-5] a goal keeps its key until it is stored, and the others wait for it", async () => {
  let tries = 0;
  const { queue, seen, idle } = queueOf(async () => (++tries < 4 ? unavailable : undefined));
  queue.post(goal(1), 2);
  queue.post(goal(2), "auto");
  await idle();
  expect(seen.sent.map(({ key, broker }) => [key, broker])).toEqual([
    ...[
      ["k1", 2],
      ["k1", 2],
      ["k1", 2],
      ["k1", 2],
      ["k2", "auto"],
    ],
  ]);
  expect(seen.stored).toEqual([1, 2]);
});

test("[PAGE-5] a goal that is refused is reported and leaves the queue; a full queue takes none", async () => {
  const { queue, seen, idle } = queueOf(async () => new ApiProblem(400, "BAD_ARGUMENTS", "bad minute"));
  for (let i = 0; i < QUEUE_MAX; i++) queue.post(goal(i), "auto");
  expect(queue.post(goal(99), "auto")).toBe(false);
  await idle();
  expect(seen.refused.length).toBe(QUEUE_MAX);
  expect(seen.stored).toEqual([]);
});

test("[PAGE-7] a failure without an answer is reported too", async () => {
  const { queue, seen, idle } = queueOf(() =>
    Promise.reject(new TypeError("crypto.randomUUID is not a function")),
  );
  queue.post(goal(1), "auto");
  await idle();
  expect(seen.refused).toEqual(["crypto.randomUUID is not a function"]);
});

test("[PAGE-5] queues of several tabs under one lock keep one post in all", async () => {
  let last: Promise<unknown> = Promise.resolve();
  let underWay = 0;
  let most = 0;
  const alone = <T>(run: () => Promise<T>): Promise<T> => {
    const mine = last.then(async () => {
      most = Math.max(most, ++underWay);
      const result = await run();
      underWay -= 1;
      return result;
    });
    last = mine.catch(() => {});
    return mine;
  };
  const all = [1, 2, 3].map(() => queueOf(async () => undefined, { alone }));
  for (const { queue } of all) for (const minute of [1, 2]) queue.post(goal(minute), "auto");
  await Promise.all(all.map(({ idle }) => idle()));
  expect(most).toBe(1);
  for (const { seen } of all) expect(seen.stored).toEqual([1, 2]);
});
