import { describe, expect, it } from "vitest";
import { random } from "../../core/prng.ts";
import { checkHistory } from "../../sim/checkers/history/check.ts";
import { checkLinearizability } from "../../sim/checkers/history/linearizability.ts";
import {
  type History,
  isRead,
  isWrite,
  type Op,
  type Stat,
  type WatchArrival,
} from "../../sim/history/history.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";
import { withoutZxids } from "./hand.ts";

type Mutation = (history: History, pick: <T>(items: readonly T[]) => T | undefined) => History | undefined;

const done = (op: Op): boolean => op.outcome.type === "done";
const succeeded = (op: Op): boolean =>
  op.outcome.type === "done" && op.outcome.result.type !== "error" && op.outcome.result.type !== "multi";
const replace = (
  history: History,
  op: Op | undefined,
  outcome: (op: Op) => Op["outcome"],
): History | undefined =>
  op && {
    ...history,
    ops: history.ops.map((each) => (each === op ? { ...op, outcome: outcome(op) } : each)),
  };
const resultWith = (op: Op, change: object): Op["outcome"] => {
  if (op.outcome.type !== "done") return op.outcome;
  return { ...op.outcome, result: { ...op.outcome.result, ...change } as never };
};
const statOf = (op: Op): Stat | undefined =>
  op.outcome.type === "done" && "stat" in op.outcome.result
    ? (op.outcome.result.stat ?? undefined)
    : undefined;

/** One thing wrong, each of its kind. What has no place to be wrong in is undefined. */
const MUTATIONS: Record<string, Mutation> = {
  "another version": (history, pick) =>
    replace(history, pick(history.ops.filter((op) => statOf(op) !== undefined)), (op) =>
      resultWith(op, { stat: { ...statOf(op), version: (statOf(op)?.version ?? 0) + 1 } }),
    ),
  "other data": (history, pick) =>
    replace(history, pick(history.ops.filter((op) => succeeded(op) && op.request.type === "getData")), (op) =>
      resultWith(op, { data: "nobody wrote this" }),
    ),
  "a success that was none": (history, pick) =>
    replace(
      history,
      pick(history.ops.filter((op) => succeeded(op) && op.request.type !== "setWatches")),
      (op) => ({
        ...(op.outcome as Extract<Op["outcome"], { type: "done" }>),
        result: { type: "error", code: "NOT_EMPTY" },
      }),
    ),
  "a write that is lost": (history, pick) => {
    const entry = pick(
      (history.log ?? []).filter(({ xid, zxid }) =>
        history.ops.some(
          (op) => xid > 0 && op.outcome.type === "done" && op.outcome.zxid === zxid && op.xid === xid,
        ),
      ),
    );
    return entry && { ...history, log: (history.log ?? []).filter((each) => each !== entry) };
  },
  "a refusal that was none": (history, pick) =>
    replace(
      history,
      pick(
        history.ops.filter(
          (op) => succeeded(op) && isWrite(op.request) && op.xid > 0 && attempts(history, op).length === 1,
        ),
      ),
      () => ({ type: "refused", code: "THROTTLED" }),
    ),
  "another zxid": (history, pick) =>
    replace(history, pick(history.ops.filter((op) => succeeded(op) && isWrite(op.request))), (op) => ({
      ...(op.outcome as Extract<Op["outcome"], { type: "done" }>),
      zxid: ((op.outcome as { zxid: number }).zxid ?? 0) + 1,
    })),
  "an event twice": (history, pick) => {
    const event = pick(history.watches);
    return (
      event && {
        ...history,
        watches: history.watches.flatMap((each) => (each === event ? [each, each] : [each])),
      }
    );
  },
  "an event of another kind": (history, pick) => {
    const event = pick(history.watches.filter(({ type }) => type === 1 || type === 3));
    const other = event && { ...event, type: (4 - event.type) as WatchArrival["type"] };
    return other && { ...history, watches: history.watches.map((each) => (each === event ? other : each)) };
  },
  "an event that is missed": (history, pick) => {
    const shown = ({ conn, at, zxid }: WatchArrival): boolean =>
      history.ops.some((op) => {
        if (op.conn !== conn || op.return < at || op.outcome.type !== "done") return false;
        return (op.outcome.zxid ?? 0) >= (zxid ?? Number.POSITIVE_INFINITY);
      });
    const event = pick(history.watches.filter(shown));
    return event && { ...history, watches: history.watches.filter((each) => each !== event) };
  },
  "an answer from before": (history, pick) => {
    const op = pick(
      history.ops.filter(
        (each) => isRead(each.request) && each.linearizable && earlier(history, each) !== undefined,
      ),
    );
    return replace(history, op, (each) => (earlier(history, each) as Op).outcome);
  },
};

const attempts = (history: History, op: Op): readonly Op[] =>
  history.ops.filter((each) => each.session === op.session && each.xid === op.xid && isWrite(each.request));

/** What was answered to the same question before this one was asked, and differs. */
function earlier(history: History, op: Op): Op | undefined {
  return history.ops.find(
    (each) =>
      done(each) &&
      each.return < op.invoke &&
      JSON.stringify(each.request) === JSON.stringify(op.request) &&
      JSON.stringify((each.outcome as { result: unknown }).result) !==
        JSON.stringify((op.outcome as { result?: unknown }).result),
  );
}

describe("one fault in a correct history", () => {
  for (const [name, mutate] of Object.entries(MUTATIONS)) {
    it(`${name} is found`, { timeout: 120_000 }, () => {
      const missed: number[] = [];
      let tried = 0;
      for (let seed = 1; seed <= 12; seed++) {
        const next = random(seed * 31 + 7);
        const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(next() * items.length)];
        const history = new FakeEnsemble({ seed, ops: 250, clients: 4 }).run();
        const mutated = mutate(history, pick);
        if (mutated === undefined) continue;
        tried += 1;
        if (checkHistory(mutated).faults.length === 0) missed.push(seed);
      }
      expect(tried).toBeGreaterThan(6);
      expect(missed).toEqual([]);
    });
  }

  it("most faults are also found by the search for an order, which has no zxid and no log", {
    timeout: 120_000,
  }, () => {
    let tried = 0;
    let found = 0;
    for (const name of [
      "another version",
      "other data",
      "a success that was none",
      "an answer from before",
    ]) {
      for (let seed = 1; seed <= 10; seed++) {
        const next = random(seed * 17 + 3);
        const weights = { read: 0, watch: 0 };
        const history = new FakeEnsemble({ seed, ops: 250, clients: 4, weights }).run();
        const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(next() * items.length)];
        const mutated = MUTATIONS[name]?.(withoutZxids(history), pick);
        if (mutated === undefined) continue;
        const faults: string[] = [];
        checkLinearizability(mutated, 1_000_000, faults);
        tried += 1;
        found += faults.length > 0 ? 1 : 0;
      }
    }
    expect(tried).toBeGreaterThan(30);
    expect(found / tried).toBeGreaterThan(0.9);
  });
});
