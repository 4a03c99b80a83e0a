import { describe, expect, it } from "vitest";
import { checkHistory } from "../../sim/checkers/history/check.ts";
import type { Stat } from "../../sim/history/history.ts";
import { create, type Done, exists, getData, Hand, remove, setData, unknown } from "./hand.ts";

const only = (faults: readonly string[], what: string): void => {
  expect(faults.length, faults.join("\n")).toBeGreaterThan(0);
  expect(faults.join("\n")).toContain(what);
};

/** Changes the Stat of an answer. */
const stat =
  (change: Partial<Stat>) =>
  (outcome: Done): Done => ({
    ...outcome,
    result: { ...outcome.result, stat: { ...statOf(outcome), ...change } } as Done["result"],
  });
const statOf = ({ result }: Done): Stat => (result as { stat: Stat }).stat;

describe("the order of the writes", () => {
  it("a correct history has no fault, and all of it is checked", () => {
    const hand = new Hand();
    hand.ask(create("/a", "1"));
    hand.ask(setData("/a", "2", 0), { session: 2 });
    hand.ask(setData("/a", "3", 0), { session: 3 });
    hand.ask({ type: "multi", ops: [setData("/a", "4"), remove("/b")] });
    hand.ask({ type: "sync" });
    hand.ask({ type: "closeSession" });
    const { faults, counts } = checkHistory(hand.history);
    expect(faults).toEqual([]);
    expect(counts).toMatchObject({ ops: 6, replayed: 6, unknown: 0, committed: 9 });
  });

  it("finds an acknowledged write that is not in the log", () => {
    const hand = new Hand();
    hand.ask(create("/a"));
    hand.ask(create("/b"));
    hand.log.pop();
    only(hand.of("order"), "lost: acknowledged");
  });

  it("finds one that gets another's zxid", () => {
    const hand = new Hand();
    hand.ask(create("/a"));
    hand.ask(create("/b"), { session: 2 }, (outcome) => ({ ...outcome, zxid: hand.zxid - 1 }));
    only(hand.of("order"), "answered with the zxid of");
  });

  it("finds two writes at one zxid", () => {
    const hand = new Hand();
    hand.ask(create("/a"), { session: 0 });
    hand.ask(create("/b"), { session: 0 }, (outcome) => ({ ...outcome, zxid: hand.zxid - 1 }));
    const faults = checkHistory({ ...hand.history, log: null }).faults;
    only(faults, "two writes at");
  });

  it("finds a write that happened twice", () => {
    const hand = new Hand();
    const op = hand.ask(create("/s-", "", 2));
    hand.server.write(1, op.xid, create("/s-", "", 2));
    only(hand.of("order"), "1/1 happened 2 times");
  });

  it("finds a write of unknown outcome that happened twice", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    const op = hand.ask(setData("/a", "1"), {}, unknown);
    hand.server.write(1, op.xid, setData("/a", "1"));
    only(hand.of("order"), "1/2 happened 2 times");
  });

  it("finds one without a number that happened twice", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"), { session: 0 });
    hand.ask(setData("/a", "1"), { session: 0 }, unknown);
    hand.log.push({ ...(hand.log.at(-1) as (typeof hand.log)[0]), zxid: hand.zxid + 1 });
    only(hand.of("order"), "nobody asked for the txn");
  });

  it("accepts writes of unknown outcome that happened, or did not", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    hand.ask(setData("/a", "1"), {}, unknown);
    hand.invoke(setData("/a", "2"));
    hand.ask(setData("/a", "3"), { session: 0 }, unknown);
    hand.ask(getData("/a"));
    const { faults, counts } = checkHistory(hand.history);
    expect(faults).toEqual([]);
    expect(counts).toMatchObject({ unknown: 3, recovered: 2, reads: 1 });
  });

  it("accepts a repeated write that gets its first answer", () => {
    const hand = new Hand();
    const op = hand.ask(create("/s-", "", 2), {}, unknown);
    const { zxid } = hand;
    hand.ask(create("/b"), { session: 2 });
    hand.ask({ type: "sync" }, { session: 2 });
    const again = hand.invoke(op.request, { xid: op.xid });
    hand.recorder.returned(again, {
      type: "done",
      zxid,
      result: { type: "create", path: "/s-0000000000", stat: null },
    });
    expect(hand.faults()).toEqual([]);
  });

  it("finds two answers to one write, and one number for two", () => {
    const hand = new Hand();
    const op = hand.ask(setData("/", "1"));
    const again = hand.invoke(op.request, { xid: op.xid });
    hand.recorder.returned(again, hand.server.write(1, op.xid, setData("/", "1")));
    only(hand.of("order"), "one write, two answers");
    hand.invoke(setData("/", "2"), { xid: op.xid });
    only(hand.of("order"), "one number for two writes");
  });

  it("finds a refused write that happened", () => {
    const hand = new Hand();
    hand.ask(create("/a"), {}, () => ({ type: "refused", code: "THROTTLED" }));
    only(hand.of("order"), "refused, but it happened");
  });

  it("finds a failed write that happened", () => {
    const hand = new Hand();
    hand.ask(create("/a"), {}, (outcome) => ({ ...outcome, result: { type: "error", code: "NODE_EXISTS" } }));
    only(hand.of("order"), "answered NODE_EXISTS, but it happened");
  });

  it("finds a wrong version, a wrong code, a wrong name, a wrong time", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    hand.ask(setData("/a", "1"), {}, stat({ version: 2 }));
    only(hand.of("order"), "wrong result");

    const code = new Hand();
    code.ask(remove("/a"), {}, (outcome) => ({ ...outcome, result: { type: "error", code: "NOT_EMPTY" } }));
    only(code.of("order"), "the model says NO_NODE");

    const name = new Hand();
    name.ask(create("/s-", "", 2), {}, (outcome) => ({
      ...outcome,
      result: { type: "create", path: "/s-0000000001", stat: null },
    }));
    only(name.of("order"), "wrong result");

    const time = new Hand();
    time.ask(create("/a", "0"));
    time.ask(setData("/a", "1"), {}, stat({ ctime: 1 }));
    only(time.of("order"), "wrong result");
  });

  it("finds a txn that does not match its request, and one without a request", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    hand.ask(setData("/a", "1", 0), {}, unknown);
    const last = hand.log.pop() as (typeof hand.log)[0];
    hand.log.push({ ...last, txn: { type: "error", code: "BAD_VERSION", ops: 0, at: 0 } });
    only(hand.of("order"), "the model says");

    const stranger = new Hand();
    stranger.server.write(0, 0, create("/x"));
    only(stranger.of("order"), "nobody asked for the txn");
    expect(stranger.faults({ strangers: true })).toEqual([]);
  });

  it("finds writes in an order that contradicts real time", () => {
    const hand = new Hand();
    const [a, b] = [create("/a"), create("/b")];
    const second = hand.server.write(2, 1, b);
    const first = hand.server.write(1, 1, a);
    hand.recorder.returned(hand.invoke(a), first);
    hand.recorder.returned(hand.invoke(b, { session: 2 }), second);
    only(hand.of("order"), "was answered before");
  });

  it("finds a read that shows a write before its request", () => {
    const hand = new Hand();
    const create_ = create("/a");
    const outcome = hand.server.write(2, 1, create_);
    hand.ask(exists("/a"));
    hand.recorder.returned(hand.invoke(create_, { session: 2 }), outcome);
    only(hand.of("order"), "was answered before");
  });

  it("finds a stale linearizable read, and accepts a stale plain one", () => {
    for (const linearizable of [false, true]) {
      const hand = new Hand();
      hand.ask(create("/a", "0"));
      const old = hand.server.read(getData("/a"));
      hand.ask(setData("/a", "1"), { session: 2 });
      hand.recorder.returned(hand.invoke(getData("/a"), { session: 3, linearizable }), old);
      if (linearizable) only(hand.of("order"), "was answered before");
      else expect(hand.faults()).toEqual([]);
    }
  });

  it("finds a log out of order, and a session that is reported as expired and is not", () => {
    const hand = new Hand();
    hand.ask(create("/a"));
    hand.ask(create("/b"));
    hand.log.reverse();
    only(hand.of("order"), "the log is out of order");

    const session = new Hand();
    const op = session.invoke(create("/a"));
    session.recorder.returned(op, {
      type: "done",
      zxid: null,
      result: { type: "error", code: "SESSION_EXPIRED" },
    });
    only(session.of("order"), "reported as expired");
  });

  it("needs no log only if no outcome is unknown", () => {
    const hand = new Hand();
    hand.ask(create("/a"));
    hand.ask(getData("/a"));
    expect(checkHistory({ ...hand.history, log: null }).faults).toEqual([]);
    hand.invoke(create("/b"));
    only(checkHistory({ ...hand.history, log: null }).faults, "without the committed log");
  });
});
