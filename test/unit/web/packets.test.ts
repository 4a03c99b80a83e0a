import { describe, expect, test } from "vitest";
import type { ProtocolEvent } from "../../../web/src/api/types.ts";
import {
  FLIGHT_MS,
  hasArrived,
  launch,
  PACKETS_MAX,
  type Packet,
  pointOnPath,
  ringPositions,
  routeOf,
} from "../../../web/src/features/ensemble/packets.ts";

const view = { sids: [1, 2, 3], leader: 2, up: new Set([1, 2, 3]) };
const event = (fields: Partial<ProtocolEvent>): ProtocolEvent => ({
  id: "1-1",
  at: 0,
  sid: 2,
  type: "commit",
  ...fields,
});

describe("routes", () => {
  test.each<[string, Partial<ProtocolEvent>, { from: number; to: number[] }]>([
    ["a proposal names its receivers", { type: "propose", to: [1] }, { from: 2, to: [1] }],
    ["an ACK is seen by the leader", { type: "ack", from: 3 }, { from: 3, to: [2] }],
    ["an ACK seen by its sender", { type: "ack", sid: 3 }, { from: 3, to: [2] }],
    ["the leader's commit leaves for all others", { type: "commit" }, { from: 2, to: [1, 3] }],
    ["a follower's commit is an arrival", { type: "commit", sid: 1 }, { from: 1, to: [] }],
    ["a vote goes to everybody", { type: "vote", sid: 1 }, { from: 1, to: [2, 3] }],
    ["a ping has one receiver", { type: "ping", to: 3 }, { from: 2, to: [3] }],
    ["a change of role flies nowhere", { type: "role" }, { from: 2, to: [] }],
  ])("%s", (_, fields, route) => {
    expect(routeOf(event(fields), view)).toEqual(route);
  });
});

test("a leader commits to the nodes that are up; a vote is sent to all", () => {
  const lonely = { ...view, up: new Set([1, 2]) };
  expect(routeOf(event({ type: "commit" }), lonely).to).toEqual([1]);
  expect(routeOf(event({ type: "vote", sid: 1 }), lonely).to).toEqual([2, 3]);
});

describe("packets in the air", () => {
  test("proposal, ack and commit of one batch follow each other", () => {
    const air = launch(
      [],
      [
        event({ type: "propose", to: [1] }),
        event({ type: "ack", from: 1 }),
        event({ type: "commit", to: [1] }),
      ],
      view,
      1_000,
    );
    expect(air.map((packet) => packet.kind)).toEqual(["PROPOSAL", "ACK", "COMMIT"]);
    const starts = air.map((packet) => packet.startMs);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    expect(new Set(starts).size).toBe(3);
  });

  test("many batches on one path within a moment are shown as one", () => {
    const events = Array.from({ length: 50 }, (_, i) => event({ type: "propose", to: [1], at: i }));
    expect(launch([], events, view, 0)).toHaveLength(1);
  });

  test("events far apart are not merged", () => {
    const events = [event({ type: "propose", to: [1], at: 0 }), event({ type: "propose", to: [1], at: 300 })];
    expect(launch([], events, view, 0)).toHaveLength(2);
  });

  test("never more than the maximum", () => {
    const sids = Array.from({ length: 40 }, (_, i) => i + 1);
    const events = sids.map((sid) => event({ type: "vote", sid }));
    expect(launch([], events, { sids, leader: null, up: new Set(sids) }, 0)).toHaveLength(PACKETS_MAX);
  });

  test("packets that have arrived are removed", () => {
    const air = launch([], [event({ type: "ping", to: 1 })], view, 0);
    expect(launch(air, [], view, FLIGHT_MS.PING - 1)).toHaveLength(1);
    expect(launch(air, [], view, FLIGHT_MS.PING)).toHaveLength(0);
  });
});

describe("positions", () => {
  test("end when the time of flight is over", () => {
    const packet: Packet = { kind: "PING", from: 1, to: 2, startMs: 100, durationMs: 200 };
    expect(hasArrived(packet, 299)).toBe(false);
    expect(hasArrived(packet, 300)).toBe(true);
  });

  test("begin and end at the nodes, and both directions keep apart", () => {
    const a = { x: 0, y: 0 };
    const b = { x: 100, y: 0 };
    expect(pointOnPath(a, b, 0)).toEqual(a);
    expect(pointOnPath(a, b, 1)).toEqual(b);
    expect(pointOnPath(a, b, 0.5).y).toBeCloseTo(-pointOnPath(b, a, 0.5).y);
    expect(pointOnPath(a, b, 0.5).y).not.toBe(0);
  });

  test("nodes stand on a circle, the first at its top", () => {
    const places = ringPositions(5, { x: 10, y: 20 }, 100);
    expect(places[0]?.x).toBeCloseTo(10);
    expect(places[0]?.y).toBeCloseTo(-80);
    for (const { x, y } of places) expect(Math.hypot(x - 10, y - 20)).toBeCloseTo(100);
  });
});
