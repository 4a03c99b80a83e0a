import { describe, expect, test } from "vitest";
import type { EnsembleState, NodeState, NodeUp } from "../../../web/src/api/types.ts";
import { compareZxidText, parseZxid, showZxid } from "../../../web/src/api/zxid.ts";
import {
  activeSetOf,
  foldEvent,
  isCutOff,
  isThere,
  txnsBehind,
  upCount,
} from "../../../web/src/features/ensemble/ensemble-view.ts";
import { announce, narrate } from "../../../web/src/features/ensemble/narrate.ts";
import { ensembleOf as ensemble, eventOf as event, nodeUp as up } from "./states.ts";

const down = (sid: number): NodeState => ({ sid, up: false, code: "NODE_DOWN", detail: "" });

describe("zxids in words", () => {
  test("epoch and counter", () => {
    expect(parseZxid("0x400000011")).toEqual({ epoch: 4, counter: 17 });
    expect(parseZxid("0xffffffffffffffff")).toEqual({ epoch: 0xffff_ffff, counter: 0xffff_ffff });
    expect(showZxid("0x0")).toBe("0.0");
    expect([showZxid(null), showZxid("17"), showZxid("0x")]).toEqual(["–", "–", "–"]);
  });

  test("order: epoch first, unknown before everything", () => {
    expect(compareZxidText("0x500000000", "0x4ffffffff")).toBeGreaterThan(0);
    expect(compareZxidText(undefined, "0x0")).toBeLessThan(0);
    expect(compareZxidText("0x1", "0x1")).toBe(0);
  });
});

describe("events folded into the status", () => {
  test("an election: the crown is lost, then found under a new epoch", () => {
    const lost = foldEvent(ensemble({ nodes: [up(1), down(2), up(3)] }), event({ sid: 1, role: "LOOKING" }));
    expect(lost.leader).toBe(2);
    const looking = foldEvent(ensemble(), event({ sid: 2, role: "LOOKING", phase: "ELECTION" }));
    expect(looking.leader).toBeNull();
    const forming = foldEvent(looking, event({ sid: 3, role: "LEADING", phase: "DISCOVERY", epoch: 5 }));
    expect(forming.leader).toBeNull();
    const led = foldEvent(
      { ...forming, hasQuorum: false, reason: "electing" },
      event({ sid: 3, role: "LEADING", phase: "BROADCAST", epoch: 5 }),
    );
    expect([led.leader, led.epoch, led.hasQuorum, led.reason]).toEqual([3, 5, true, null]);
  });

  test("an ACK moves the follower that sent it, a commit the node that saw it", () => {
    const acked = foldEvent(ensemble(), event({ sid: 2, type: "ack", from: 3, zxid: "0x400000012" }));
    expect(acked.nodes[2]).toMatchObject({ lastZxid: "0x400000012", committedZxid: "0x400000011" });
    const committed = foldEvent(acked, event({ sid: 1, type: "commit", zxid: "0x400000012" }));
    expect(committed.nodes[0]).toMatchObject({ lastZxid: "0x400000012", committedZxid: "0x400000012" });
  });

  test("[PAGE-2] a node to which most others have lost their links is down; one broken link is only a link", () => {
    const link = (sid: number, to: number, up: boolean) => event({ sid, type: "link", to, up });
    const one = foldEvent(ensemble(), link(3, 2, false));
    expect([one.leader, one.nodes[1]?.up]).toEqual([2, true]);
    expect(foldEvent(one, link(3, 2, false)).nodes[1]?.up).toBe(true);
    const lost = foldEvent(one, link(1, 2, false));
    expect([lost.leader, lost.nodes[1]?.up]).toEqual([null, false]);
    expect(foldEvent(lost, link(3, 2, false))).toBe(lost);
    const mended = foldEvent(foldEvent(one, link(3, 2, true)), link(1, 2, false));
    expect(mended.nodes[1]?.up).toBe(true);
    const of5 = ensemble({ size: 5, quorum: 3, nodes: [1, 2, 3, 4, 5].map((sid) => up(sid)) });
    const two = [1, 3].reduce((state, sid) => foldEvent(state, link(sid, 4, false)), of5);
    expect(two.nodes[3]?.up).toBe(true);
    expect(foldEvent(two, link(5, 4, false)).nodes[3]?.up).toBe(false);
  });

  test("an event older than the status changes nothing", () => {
    const state = ensemble();
    expect(foldEvent(state, event({ type: "commit", zxid: "0x400000001" }))).toBe(state);
    expect(foldEvent(state, event({ type: "ping" }))).toBe(state);
    expect(foldEvent(state, event({ sid: 9, role: "LEADING" }))).toBe(state);
  });

  test("the active set is the leader's", () => {
    const fewer = foldEvent(ensemble(), event({ sid: 2, type: "active", sids: [1, 2] }));
    expect(activeSetOf(fewer)).toEqual([1, 2]);
    expect(activeSetOf(ensemble({ leader: null }))).toEqual([]);
  });

  test("a node that is silent to the leader for a while is cut off, whatever its own status is", () => {
    const leads = (heardMsAgo: number | null, rttMs: number | null) =>
      up(2, { role: "LEADING", pings: [{ sid: 3, rttMs, heardMsAgo, role: null }] });
    const seen = (leader: NodeUp, fields: Partial<EnsembleState> = {}) =>
      ensemble({ nodes: [up(1), leader, up(3, { role: "LOOKING" })], ...fields });
    const cut = seen(leads(2_500, null));
    expect(cut.nodes.map((node) => isCutOff(cut, node))).toEqual([false, false, true]);
    expect([upCount(cut), isThere(cut, up(3))]).toEqual([2, false]);
    expect(narrate(cut).text).toContain("Node 3 is cut off; the others continue without it.");
    const both = { ...cut, nodes: [down(1), ...cut.nodes.slice(1)] };
    expect(narrate({ ...both, quorum: 1 }).text).toContain(
      "Node 1 is down, node 3 is cut off; the others continue without them.",
    );
    expect(foldEvent(cut, event({ sid: 2, type: "link", to: 3, up: false }))).toBe(cut);
    // just back, heard all the time, never heard yet, nobody there to hear, asleep
    for (const fine of [
      seen(leads(300, null)),
      seen(leads(2_500, 4)),
      seen(leads(null, null)),
      { ...cut, leader: null },
      { ...cut, quiet: true },
    ])
      expect(fine.nodes.some((node) => isCutOff(fine, node))).toBe(false);
  });

  test("distance to the furthest member", () => {
    const state = ensemble({
      nodes: [up(1, { lastZxid: "0x40000000d" }), up(2), up(3, { lastZxid: "0x300000001" })],
    });
    expect(txnsBehind(state, "0x40000000d")).toBe(4);
    expect(txnsBehind(state, "0x400000011")).toBe(0);
    expect(txnsBehind(state, "0x2ffffffff")).toBeNull();
  });
});

describe("the story", () => {
  test("asleep until a client comes", () => {
    const sleeping = ensemble({ quiet: true, leader: null });
    expect(narrate(sleeping)).toMatchObject({ tone: "calm", title: "Asleep" });
    expect(foldEvent(sleeping, event({ role: "LOOKING" })).quiet).toBe(false);
  });

  test("a quiet ensemble", () => {
    expect(narrate(ensemble())).toMatchObject({ tone: "calm", title: "Node 2 leads epoch 4" });
    expect(narrate(ensemble({ nodes: [down(1), up(2), up(3)] })).text).toContain("Node 1 is down");
  });

  test("an election", () => {
    expect(narrate(ensemble({ leader: null })).tone).toBe("busy");
    expect(narrate(ensemble({ hasQuorum: false, reason: "votes are being counted" })).text).toContain(
      "Votes are being counted.",
    );
  });

  test("without a quorum it shows why, with the API's reason or its own count", () => {
    const lost = ensemble({ hasQuorum: false, leader: null, nodes: [down(1), up(2), down(3)] });
    expect(upCount(lost)).toBe(1);
    expect(narrate(lost)).toMatchObject({ tone: "broken", title: "No quorum" });
    expect(narrate(lost).text).toContain("1 of 3 nodes are up, 2 are needed.");
    expect(narrate({ ...lost, reason: "two nodes were killed" }).text).toContain("Two nodes were killed.");
  });

  test("a new leader is announced once", () => {
    const before = ensemble();
    const without = ensemble({ leader: null });
    const after = ensemble({ leader: 3, epoch: 5 });
    expect(announce(undefined, before)).toBeUndefined();
    expect(announce(before, without)).toBeUndefined();
    expect(announce(without, after)).toBe("Node 3 is the new leader, epoch 5.");
    expect(announce(after, after)).toBeUndefined();
  });

  test("losing the quorum is announced with its reason", () => {
    const lost = ensemble({ hasQuorum: false, leader: null, reason: "1 of 3 nodes are up, 2 are needed" });
    expect(announce(ensemble(), lost)).toBe("No quorum. 1 of 3 nodes are up, 2 are needed.");
  });
});
