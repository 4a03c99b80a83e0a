import { describe, expect, it } from "vitest";
import { checkHistory } from "../../sim/checkers/history/check.ts";
import { create, exists, getChildren, getData, Hand, remove, setData } from "./hand.ts";

const CREATED = 1;
const DELETED = 2;
const CHANGED = 3;
const CHILDREN = 4;
/** Somebody else. */
const OTHER = { session: 2 };

/** `/a` is there. */
function begin(): Hand {
  const hand = new Hand();
  hand.ask(create("/a", "0"), OTHER);
  return hand;
}

const faults = (hand: Hand): string => hand.of("watches").join("\n");

describe("watches", () => {
  it("a good history: every kind of watch and event, in order, and once", () => {
    const hand = begin();
    hand.ask(getData("/a", true));
    hand.ask(exists("/a", true));
    hand.ask(getChildren("/a", true));
    hand.ask(exists("/b", true));
    hand.ask(setData("/a", "1"), OTHER);
    hand.event(CHANGED, "/a");
    hand.ask(setData("/a", "2"), OTHER);
    hand.ask(create("/b"), OTHER);
    hand.event(CREATED, "/b");
    hand.ask(create("/a/c"), OTHER);
    hand.event(CHILDREN, "/a");
    hand.ask(getData("/b", true));
    hand.ask(getChildren("/b", true));
    hand.ask(getChildren("/", true));
    hand.ask(remove("/b"), OTHER);
    hand.event(DELETED, "/b");
    hand.event(CHILDREN, "/");
    hand.ask(exists("/b"));
    const report = checkHistory(hand.history);
    expect(report.faults).toEqual([]);
    expect(report.counts).toMatchObject({ watchEvents: 5, matchedEvents: 5 });
  });

  it("accepts an event that is still in flight", () => {
    const hand = begin();
    hand.ask(getData("/a", true));
    hand.ask(setData("/a", "1"), OTHER);
    expect(hand.faults()).toEqual([]);
  });

  it("finds a missed event, and one that comes after an answer that shows its change", () => {
    const hand = begin();
    hand.ask(getData("/a", true));
    hand.ask(setData("/a", "1"), OTHER);
    const { zxid } = hand;
    hand.ask(exists("/none"));
    expect(faults(hand)).toContain("missed NodeDataChanged /a at 1.5");
    hand.event(CHANGED, "/a", { zxid });
    expect(faults(hand)).toContain("after an answer that showed its change");
  });

  it("finds a watch that fires twice", () => {
    const hand = begin();
    hand.ask(getData("/a", true));
    hand.ask(setData("/a", "1"), OTHER);
    hand.event(CHANGED, "/a");
    hand.event(CHANGED, "/a");
    expect(faults(hand)).toContain("fires twice");
  });

  it("finds a watch that fires again for the next change", () => {
    const hand = begin();
    hand.ask(getData("/a", true));
    hand.ask(setData("/a", "1"), OTHER);
    hand.event(CHANGED, "/a");
    hand.ask(setData("/a", "2"), OTHER);
    hand.event(CHANGED, "/a");
    expect(faults(hand)).toContain("no watch was there for it");
  });

  it("finds one deletion that is reported twice", () => {
    const hand = begin();
    hand.ask(getData("/a", true));
    hand.ask(getChildren("/a", true));
    hand.ask(remove("/a"), OTHER);
    hand.event(DELETED, "/a");
    hand.event(DELETED, "/a");
    expect(faults(hand)).toContain("fires twice");
  });

  it("finds an event of another change than the first, and of an earlier one", () => {
    const later = begin();
    later.ask(getData("/a", true));
    later.ask(setData("/a", "1"), OTHER);
    later.ask(setData("/a", "2"), OTHER);
    later.event(CHANGED, "/a");
    expect(faults(later)).toContain("no watch was there for it");

    const earlier = begin();
    earlier.ask(setData("/a", "1"), OTHER);
    earlier.ask(getData("/a", true));
    earlier.event(CHANGED, "/a");
    expect(faults(earlier)).toContain("no watch was there for it");
  });

  it("finds an event of a change that never was, or of another kind", () => {
    const hand = begin();
    hand.ask(getData("/a", true));
    hand.event(CHANGED, "/a");
    expect(faults(hand)).toContain("there was no such change");

    const kind = begin();
    kind.ask(getChildren("/a", true));
    kind.ask(setData("/a", "1"), OTHER);
    kind.event(CHANGED, "/a");
    expect(faults(kind)).toContain("no watch was there for it");
  });

  it("finds events in another order than their changes", () => {
    const hand = begin();
    hand.ask(getData("/a", true));
    hand.ask(exists("/b", true));
    hand.ask(setData("/a", "1"), OTHER);
    const { zxid } = hand;
    hand.ask(create("/b"), OTHER);
    hand.event(CREATED, "/b");
    hand.event(CHANGED, "/a", { zxid });
    expect(faults(hand)).toContain("out of order");
  });

  it("finds an event before the answer of the read that set the watch", () => {
    const hand = begin();
    const op = hand.invoke(getData("/a", true));
    const outcome = hand.execute(op);
    hand.ask(setData("/a", "1"), OTHER);
    hand.event(CHANGED, "/a");
    hand.recorder.returned(op, outcome);
    expect(faults(hand)).toContain("before the answer to");
  });

  it("knows that a failed getData leaves no watch, and a failed exists does", () => {
    const hand = begin();
    hand.ask(getData("/b", true));
    hand.ask(exists("/c", true));
    hand.ask(create("/b"), OTHER);
    hand.ask(create("/c"), OTHER);
    hand.ask(exists("/"));
    expect(hand.of("watches")).toHaveLength(1);
    expect(faults(hand)).toContain("missed NodeCreated /c");
  });

  it("accepts the event of a watch whose read was never answered", () => {
    const hand = begin();
    hand.invoke(getData("/a", true));
    hand.ask(setData("/a", "1"), OTHER);
    hand.event(CHANGED, "/a");
    const report = checkHistory(hand.history);
    expect(report.faults).toEqual([]);
    expect(report.counts.maybeEvents).toBe(1);
  });

  it("finds events after the end of the connection or the session", () => {
    const hand = begin();
    hand.ask(getData("/a", true));
    hand.recorder.session({ type: "disconnect", session: 1, conn: 1, member: 1 });
    hand.ask(setData("/a", "1"), OTHER);
    hand.event(CHANGED, "/a");
    expect(faults(hand)).toContain("after its end");

    const session = begin();
    session.ask(getData("/a", true));
    session.server.write(1, 0, { type: "closeSession" });
    session.ask(setData("/a", "1"), OTHER);
    session.event(CHANGED, "/a");
    expect(faults(session)).toContain("after the end of its session");
  });
});

describe("watches that are set again on another connection", () => {
  const CONN = { conn: 9 };
  function moved(): { hand: Hand; resume: () => ReturnType<Hand["invoke"]> } {
    const hand = begin();
    hand.ask(create("/d"), OTHER);
    hand.ask(getData("/a", true));
    hand.ask(getChildren("/d", true));
    hand.ask(exists("/b", true));
    const relativeZxid = hand.zxid;
    hand.recorder.session({ type: "disconnect", session: 1, conn: 1, member: 1 });
    hand.recorder.session({ type: "connect", session: 1, ...CONN, member: 2 });
    const request = { type: "setWatches", relativeZxid, data: ["/a"], exist: ["/b"], child: ["/d"] } as const;
    return { hand, resume: () => hand.invoke(request, CONN) };
  }

  it("report missed changes at once, and later ones later", () => {
    const { hand, resume } = moved();
    hand.ask(setData("/a", "1"), OTHER);
    hand.ask(create("/b"), OTHER);
    const op = resume();
    hand.event(CHANGED, "/a", { ...CONN, zxid: null });
    hand.event(CREATED, "/b", { ...CONN, zxid: null });
    hand.recorder.returned(op, hand.execute(op));
    hand.ask(create("/d/x"), OTHER);
    hand.event(CHILDREN, "/d", CONN);
    hand.ask(exists("/a"), CONN);
    const report = checkHistory(hand.history);
    expect(report.faults).toEqual([]);
    expect(report.counts).toMatchObject({ matchedEvents: 3, resumed: 3 });
  });

  it("are found if they do not report missed changes, or report them late", () => {
    const { hand, resume } = moved();
    hand.ask(setData("/a", "1"), OTHER);
    const op = resume();
    hand.recorder.returned(op, hand.execute(op));
    expect(faults(hand)).toContain("missed NodeDataChanged /a");
    hand.event(CHANGED, "/a", { ...CONN, zxid: null });
    expect(faults(hand)).toContain("after the answer to");
  });

  it("are found if they report changes that were not missed", () => {
    const { hand, resume } = moved();
    const op = resume();
    hand.event(CHANGED, "/a", { ...CONN, zxid: null });
    hand.recorder.returned(op, hand.execute(op));
    expect(faults(hand)).toContain("there was no such change");
  });
});
