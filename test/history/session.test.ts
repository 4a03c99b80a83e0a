import { describe, expect, it } from "vitest";
import type { Op, Outcome } from "../../sim/history/history.ts";
import { create, type Done, exists, getChildren, getData, Hand, remove, setData } from "./hand.ts";

const answer = (hand: Hand, op: Op, outcome: Outcome): void => hand.recorder.returned(op, outcome);

describe("sessions", () => {
  it("a good history, also across connections", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    const old = hand.server.read(getData("/a"));
    hand.ask(setData("/a", "1"), { session: 2 });
    // Another session may still be behind.
    answer(hand, hand.invoke(getData("/a")), old);
    hand.ask(getData("/a"), { conn: 7 });
    hand.ask(getChildren("/"), { conn: 7 });
    hand.ask(exists("/none"), { conn: 7 });
    expect(hand.faults()).toEqual([]);
  });

  it("finds a session that sees an older state, at another member too", () => {
    for (const conn of [1, 7]) {
      const hand = new Hand();
      hand.ask(create("/a", "0"));
      const old = hand.server.read(getData("/a"));
      hand.ask(setData("/a", "1"), { session: 2 });
      hand.ask(getData("/a"));
      answer(hand, hand.invoke(getData("/a"), { conn }), old);
      expect(hand.of("session").join()).toContain("the session had seen 1.5, and is answered at 1.4");
    }
  });

  it("finds a session that does not read its own write", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"));
    const old = hand.server.read(getData("/a"));
    hand.ask(setData("/a", "1"));
    answer(hand, hand.invoke(getData("/a")), old);
    expect(hand.of("session").join()).toContain("the session had seen");
  });

  it("finds a write that is not after the state that its session had seen", () => {
    const hand = new Hand();
    const late = hand.server.write(1, 1, create("/b"));
    hand.ask(create("/a"), { session: 2 });
    hand.ask(getData("/a"));
    answer(hand, hand.invoke(create("/b")), late);
    expect(hand.of("session").join()).toContain("the session had seen");
  });

  it("finds wrong data, a wrong Stat, wrong children, a wrong code", () => {
    const wrong: ((outcome: Done) => Outcome)[] = [
      (outcome) => ({ ...outcome, result: { ...outcome.result, data: "1" } as Done["result"] }),
      (outcome) => ({ ...outcome, result: { ...outcome.result, data: null } as Done["result"] }),
      (outcome) => ({ ...outcome, result: { type: "error", code: "NO_NODE" } }),
    ];
    for (const change of wrong) {
      const hand = new Hand();
      hand.ask(create("/a", "0"));
      hand.ask(getData("/a"), {}, change);
      expect(hand.of("session").join()).toContain("wrong read");
    }
    for (const field of ["version", "numChildren", "cversion", "pzxid", "ctime", "mtime", "ephemeralOwner"]) {
      const hand = new Hand();
      hand.ask(create("/a", "0"));
      hand.ask(exists("/a"), {}, (outcome) => {
        const { stat } = outcome.result as { stat: Record<string, number> };
        return {
          ...outcome,
          result: { type: "exists", stat: { ...stat, [field]: 77 } } as unknown as Done["result"],
        };
      });
      expect(hand.of("session").join(), field).toContain("wrong read");
    }
    const hand = new Hand();
    hand.ask(create("/a"));
    hand.ask(getChildren("/"), {}, (outcome) => ({
      ...outcome,
      result: { ...outcome.result, children: ["zookeeper"] } as Done["result"],
    }));
    expect(hand.of("session").join()).toContain("wrong read");
  });

  it("finds an ephemeral that is still shown after its session", () => {
    const hand = new Hand();
    hand.ask(create("/e", "0", 1));
    const before = hand.server.read(exists("/e")) as Done;
    hand.server.write(1, 0, { type: "closeSession" });
    hand.ask(exists("/e"), { session: 2 }, (outcome) => ({ ...before, zxid: outcome.zxid }));
    expect(hand.of("session").join()).toContain("wrong read");
  });

  it("finds a read at a zxid that was never committed", () => {
    const hand = new Hand();
    hand.ask(create("/a"));
    hand.ask(exists("/a"), {}, (outcome) => ({ ...outcome, zxid: hand.zxid + 1 }));
    expect(hand.of("session").join()).toContain("nothing was committed at 1.5");
  });

  it("takes a read without a zxid for any state since the session's last answer, and no older one", () => {
    for (const [seen, good] of [
      [false, true],
      [true, false],
    ]) {
      const hand = new Hand();
      hand.ask(create("/a", "0"), { session: 2 });
      const old = hand.server.read(getData("/a")) as Done;
      hand.ask(setData("/a", "1"), { session: 2 });
      if (seen) hand.ask(exists("/a"));
      answer(hand, hand.invoke(getData("/a")), { ...old, zxid: null });
      expect(hand.of("session").length === 0).toBe(good);
    }
    const never = new Hand();
    never.ask(create("/a", "0"));
    never.ask(getData("/a"), {}, (outcome) => ({
      ...outcome,
      zxid: null,
      result: { ...outcome.result, data: "9" } as Done["result"],
    }));
    expect(never.of("session").join()).toContain("never so");
  });

  it("finds answers of a connection out of order", () => {
    const hand = new Hand();
    const first = hand.invoke(create("/a"));
    const second = hand.invoke(remove("/a"));
    const [one, two] = [hand.execute(first), hand.execute(second)];
    answer(hand, second, two);
    answer(hand, first, one);
    expect(hand.of("session").join()).toContain("answered out of order");
  });

  it("finds a connection that sees a state older than its pipelined requests", () => {
    const hand = new Hand();
    hand.ask(create("/a", "0"), { session: 2 });
    const old = hand.server.read(getData("/a"));
    const first = hand.invoke(setData("/a", "1"));
    const second = hand.invoke(getData("/a"));
    answer(hand, first, hand.execute(first));
    answer(hand, second, old);
    expect(hand.of("session").join()).toContain("a connection goes back");
  });
});
