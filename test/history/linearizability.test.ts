import { describe, expect, it } from "vitest";
import { checkLinearizability } from "../../sim/checkers/history/linearizability.ts";
import type { History, Op, Outcome, Request } from "../../sim/history/history.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";
import {
  create,
  type Done,
  getChildren,
  getData,
  Hand,
  remove,
  setData,
  unknown,
  withoutZxids,
} from "./hand.ts";

const LINEARIZABLE = { linearizable: true };

/** The verdict, told zxids and log, and told neither: it has to be the same. */
function faultsOf(history: History, stepsMax = 100_000): string[] {
  const faults: string[] = [];
  checkLinearizability(history, stepsMax, faults);
  const blind: string[] = [];
  checkLinearizability(withoutZxids(history), stepsMax, blind);
  expect(blind.length).toBe(faults.length);
  return faults;
}

/** Asks one after the other, of which each is answered as is said. */
function overlapping(hand: Hand, ...requests: [Request, Outcome, Parameters<Hand["invoke"]>[1]?][]): void {
  const ops = requests.map(([request, outcome, fields]): [Op, Outcome] => [
    hand.invoke(request, fields),
    outcome,
  ]);
  for (const [op, outcome] of ops) hand.recorder.returned(op, outcome);
}

const done = (result: Done["result"]): Outcome => ({ type: "done", zxid: null, result });

describe("linearizability", () => {
  it("accepts sequential operations, and reports what it checked", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    hand.ask(setData("/a", "1", 0), { session: 2 });
    hand.ask(getData("/a"), LINEARIZABLE);
    hand.ask(create("/b/c"));
    hand.ask({ type: "multi", ops: [setData("/a", "2"), create("/d")] });
    const faults: string[] = [];
    const counts = checkLinearizability(hand.history, 1000, faults);
    expect(faults).toEqual([]);
    expect(counts).toMatchObject({ linearizableOps: 5, partitions: 2, partitionMax: 4, undecided: 0 });
  });

  it("accepts either order of overlapping operations", () => {
    for (const swap of [false, true]) {
      const hand = new Hand();
      hand.ask(create("/a", "0"));
      const [one, two] = [hand.invoke(setData("/a", "1")), hand.invoke(setData("/a", "2"), { session: 2 })];
      const order = swap ? [two, one] : [one, two];
      const outcomes = new Map(order.map((op) => [op, hand.execute(op)]));
      for (const op of [one, two]) hand.recorder.returned(op, outcomes.get(op) as Outcome);
      hand.ask(getData("/a"), LINEARIZABLE);
      expect(faultsOf(hand.history)).toEqual([]);
    }
  });

  it("finds a stale read", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    const old = hand.server.read(getData("/a"));
    hand.ask(setData("/a", "1"), { session: 2 });
    hand.recorder.returned(hand.invoke(getData("/a"), LINEARIZABLE), old);
    expect(faultsOf(hand.history)[0]).toContain("not linearizable: /a");
  });

  it("finds a stale read after a sync, and accepts one without a sync", () => {
    for (const synced of [true, false]) {
      const hand = new Hand();
      hand.ask(create("/a", "0"));
      const old = hand.server.read(getData("/a"));
      hand.ask(setData("/a", "1"), { session: 2 });
      if (synced) hand.ask({ type: "sync" });
      hand.recorder.returned(hand.invoke(getData("/a")), old);
      expect(faultsOf(hand.history).length).toBe(synced ? 1 : 0);
    }
  });

  it("accepts a repeated read after a sync: it is as fresh as the first time", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    const first = hand.invoke({ type: "sync" }, { xid: 7 });
    const old = hand.server.read(getData("/a"));
    const answer = hand.server.write(1, 7, { type: "sync" });
    hand.ask(setData("/a", "1"), { session: 2 });
    expect(first.outcome.type).toBe("unknown");
    hand.recorder.returned(hand.invoke({ type: "sync" }, { xid: 7 }), answer);
    hand.recorder.returned(hand.invoke(getData("/a")), old);
    expect(faultsOf(hand.history)).toEqual([]);
  });

  it("finds a lost write", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    const old = hand.server.read(getData("/a"));
    hand.ask(setData("/a", "1"));
    for (let i = 0; i < 3; i++) hand.recorder.returned(hand.invoke(getData("/a"), LINEARIZABLE), old);
    expect(faultsOf(hand.history)).toHaveLength(1);
  });

  it("finds two winners of one compare-and-set", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    const won = hand.server.write(1, 2, setData("/a", "1", 0));
    overlapping(
      hand,
      [setData("/a", "1", 0), won],
      [setData("/a", "2", 0), { ...won } as Outcome, { session: 2 }],
    );
    const faults: string[] = [];
    checkLinearizability(withoutZxids(hand.history), 1000, faults);
    expect(faults[0]).toContain("and this cannot follow");
  });

  it("finds a wrong version and a wrong code", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    hand.ask(setData("/a", "1"), {}, (outcome) => {
      const { stat } = outcome.result as { stat: object };
      return { ...outcome, result: { type: "setData", stat: { ...stat, version: 2 } } as Done["result"] };
    });
    expect(faultsOf(hand.history)).toHaveLength(1);

    const code = new Hand();
    code.ask(create("/a", "0"));
    code.ask(remove("/a"), {}, (outcome) => ({ ...outcome, result: { type: "error", code: "NO_NODE" } }));
    expect(faultsOf(code.history)).toHaveLength(1);
  });

  it("lets a write of unknown outcome happen once, at any time, or never", () => {
    for (const [shown, good] of [
      [["0", "0"], true],
      [["1", "1"], true],
      [["0", "1"], true],
      [["1", "0"], false],
    ] as const) {
      const hand = new Hand();
      hand.ask(create("/a", "0"));
      hand.ask(setData("/a", "1"), {}, unknown);
      for (const data of shown) {
        const op = hand.invoke(getData("/a"), LINEARIZABLE);
        const { result } = hand.execute(op) as Done;
        const stat = { ...(result as { stat: object }).stat, version: Number(data) };
        const shows = { type: "getData", data, stat } as unknown as Done["result"];
        // Whoever reads the first data sees the zxid of their write.
        const created = hand.log.find(({ txn }) => txn.type === "create")?.zxid;
        if (data === "0") Object.assign(stat, { mzxid: created });
        hand.recorder.returned(op, done(shows));
      }
      expect(faultsOf(hand.history).length === 0, shown.join()).toBe(good);
    }
  });

  it("finds a write of unknown outcome that happened twice", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    const op = hand.ask(setData("/a", "1"), {}, unknown);
    hand.server.write(1, op.xid, setData("/a", "1"));
    hand.ask(getData("/a"), LINEARIZABLE);
    expect(faultsOf(hand.history)).toHaveLength(1);
  });

  it("finds half a multi", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    hand.ask(create("/b", "0"));
    const old = hand.server.read(getData("/b"));
    hand.ask({ type: "multi", ops: [setData("/a", "1"), setData("/b", "1")] });
    hand.ask(getData("/a"), LINEARIZABLE);
    hand.recorder.returned(hand.invoke(getData("/b"), LINEARIZABLE), old);
    expect(faultsOf(hand.history)).toHaveLength(1);
  });

  it("finds a sequence number that was used twice, and a child that is not listed", () => {
    const hand = new Hand();
    hand.ask(create("/d"));
    const name: Done["result"] = { type: "create", path: "/d/s-0000000000", stat: null };
    overlapping(
      hand,
      [create("/d/s-", "1", 2), done(name)],
      [create("/d/s-", "2", 2), done(name), { session: 2 }],
    );
    expect(faultsOf(hand.history)).toHaveLength(1);

    const listed = new Hand();
    listed.ask(create("/d"));
    const empty = listed.server.read(getChildren("/d"));
    listed.ask(create("/d/x"));
    listed.recorder.returned(listed.invoke(getChildren("/d"), LINEARIZABLE), empty);
    expect(faultsOf(listed.history)).toHaveLength(1);
  });

  it("knows that children hold their parent, and that it may be missing", () => {
    const hand = new Hand();
    hand.ask(create("/d"));
    hand.ask(create("/d/x"));
    hand.ask(remove("/d"));
    hand.ask(create("/e/x"));
    expect(faultsOf(hand.history)).toEqual([]);
    hand.ask(remove("/d/x"));
    hand.ask(remove("/d"), {}, () => done({ type: "error", code: "NOT_EMPTY" }));
    expect(faultsOf(hand.history)).toHaveLength(1);
  });

  it("lets a session end by itself, once, but not before its last ephemeral, and at the latest when its client learns of it", () => {
    const hand = new Hand();
    hand.ask(create("/e", "0", 1));
    const before = hand.server.read(getData("/e")) as Done;
    hand.server.write(1, 0, { type: "closeSession" });
    hand.ask(getData("/e"), { session: 2, ...LINEARIZABLE });
    expect(faultsOf(hand.history)).toEqual([]);
    hand.recorder.returned(hand.invoke(getData("/e"), { session: 2, ...LINEARIZABLE }), before);
    expect(faultsOf(hand.history)).toHaveLength(1);

    const told = new Hand();
    told.ask(create("/e", "0", 1));
    told.recorder.session({ type: "expired", session: 1, conn: 1, member: 1 });
    told.ask(getData("/e"), { session: 2, ...LINEARIZABLE });
    expect(faultsOf(told.history)).toHaveLength(1);
  });

  it("treats a search that takes too long as a fault", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    const ops = Array.from({ length: 9 }, (_, i) =>
      hand.invoke(setData("/a", `${i}`), { session: 1, xid: 0 }),
    );
    for (const op of ops) hand.recorder.returned(op, hand.execute(op));
    hand.ask(getData("/a"), LINEARIZABLE, (outcome) => ({
      ...outcome,
      result: { ...outcome.result, data: "none" } as Done["result"],
    }));
    const faults: string[] = [];
    const blind = withoutZxids(hand.history);
    const stripped = blind.ops.map((op) =>
      op.request.type === "setData" ? { ...op, outcome: unknown(), return: Number.POSITIVE_INFINITY } : op,
    );
    const counts = checkLinearizability({ ...blind, ops: stripped }, 50, faults);
    expect(counts.undecided).toBe(1);
    expect(faults[0]).toContain("no verdict after 51 steps");
  });

  it("searches first in the order of the log, also for writes without an answer", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    const nameless = hand.invoke(create("/b", "0"), { session: 0, xid: 0 });
    hand.execute(nameless);
    // Refused, and nobody was told so. Later they would fit, in any number and order, and explain nothing that follows.
    for (let i = 0; i < 10; i++) {
      const check = { type: "check", path: "/a", version: 2 } as const;
      hand.execute(hand.invoke({ type: "multi", ops: [check, setData("/b", `no ${i}`)] }, { session: 2 }));
    }
    for (let i = 1; i <= 4; i++) hand.ask(setData("/a", `${i}`), { session: 3 });
    hand.ask(setData("/b", "1"), { session: 3 });
    const faults: string[] = [];
    const counts = checkLinearizability(hand.history, 200, faults);
    expect(faults).toEqual([]);
    expect(counts).toMatchObject({ linearizableOps: 17, undecided: 0 });
  });

  it("finds the order of a history without any zxid or log", { timeout: 120_000 }, () => {
    for (let seed = 1; seed <= 5; seed++) {
      const history = new FakeEnsemble({ seed, clients: 5, ops: 600, opsPerKey: 100 }).run();
      expect(faultsOf(history, 1_000_000), `seed ${seed}`).toEqual([]);
    }
  });
});
