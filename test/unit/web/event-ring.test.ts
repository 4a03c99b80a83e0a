import { describe, expect, test } from "vitest";
import type { ProtocolEvent } from "../../../web/src/api/types.ts";
import { describeEvent } from "../../../web/src/features/log/describe-event.ts";
import { EventRing } from "../../../web/src/features/log/event-ring.ts";

const event = (sid: number, id: string, type: ProtocolEvent["type"] = "commit"): ProtocolEvent => ({
  id,
  at: 0,
  sid,
  type,
});
const idsOf = (ring: EventRing) => ring.list().map((item) => item.event.id);

describe("the event ring", () => {
  test("keeps the last events, oldest first", () => {
    const ring = new EventRing(3);
    for (const id of ["1-1", "1-2", "1-3", "1-4", "1-5"]) ring.push(event(1, id));
    expect(idsOf(ring)).toEqual(["1-3", "1-4", "1-5"]);
    expect(ring.size).toBe(3);
    expect(ring.version).toBe(5);
    expect(ring.list().map((item) => item.number)).toEqual([3, 4, 5]);
  });

  test("leaves out events that a reconnect repeats, per node", () => {
    const ring = new EventRing();
    expect(ring.push(event(1, "1-5"))).toBe(true);
    expect(ring.push(event(2, "1-5"))).toBe(true);
    expect(ring.push(event(1, "1-5"))).toBe(false);
    expect(ring.push(event(1, "1-4"))).toBe(false);
    expect(ring.size).toBe(2);
  });

  test("a restarted node counts from one, under the next boot", () => {
    const ring = new EventRing();
    ring.push(event(1, "1-900"));
    expect(ring.push(event(1, "2-1"))).toBe(true);
    expect(ring.push(event(1, "1-901"))).toBe(false);
  });

  test("the page's own notes have no position and are always kept", () => {
    const ring = new EventRing();
    expect([ring.push(event(0, "", "gap")), ring.push(event(0, "", "gap"))]).toEqual([true, true]);
  });

  test("counts by type, beyond what it keeps, and filters", () => {
    const ring = new EventRing(2);
    ring.push(event(1, "1-1", "ping"));
    ring.push(event(1, "1-2", "commit"));
    ring.push(event(1, "1-3", "commit"));
    expect(ring.count("ping")).toBe(1);
    expect(ring.count("commit")).toBe(2);
    expect(ring.list((one) => one.type === "ping")).toEqual([]);
  });
});

describe("events in words", () => {
  const at = { id: "1-1", at: 0, sid: 2 };
  test.each<[ProtocolEvent, string]>([
    [
      { ...at, type: "propose", zxid: "0x400000011", count: 3, to: [1, 3] },
      "PROPOSAL 4.17 (3 txns) → nodes 1, 3",
    ],
    [{ ...at, type: "ack", zxid: "0x400000011", from: 3 }, "ACK 4.17 ← node 3"],
    [{ ...at, type: "commit", zxid: "0x400000011" }, "COMMIT 4.17"],
    [{ ...at, type: "role", role: "LOOKING", phase: "ELECTION" }, "looks for a leader"],
    [{ ...at, type: "role", role: "LEADING", phase: "DISCOVERY", epoch: 4 }, "leads epoch 4, discovery"],
    [{ ...at, type: "role", role: "FOLLOWING", phase: "BROADCAST", leader: 1 }, "follows node 1"],
    [{ ...at, type: "epoch", epoch: 4, kind: "accepted" }, "promises epoch 4"],
    [{ ...at, type: "vote", leader: 3, zxid: "0x300000002" }, "votes for node 3 (log at 3.2)"],
    [{ ...at, type: "link", to: 1, up: false }, "link → node 1 is broken"],
    [{ ...at, type: "session", session: "0x1" } as unknown as ProtocolEvent, "session session=0x1"],
  ])("%#", (one, words) => {
    expect(describeEvent(one)).toBe(words);
  });
});
