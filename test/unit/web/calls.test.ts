import { describe, expect, test } from "vitest";
import { backoffMs } from "../../../web/src/api/backoff.ts";
import { addScore, nodeFault } from "../../../web/src/api/calls.ts";
import { toCurl } from "../../../web/src/api/curl.ts";
import { sampleGoal } from "../../../web/src/features/goals/sample-goals.ts";

describe("copy as curl", () => {
  test("a fault", () => {
    expect(toCurl("http://localhost:8788/api", nodeFault(2, "kill"))).toBe(
      "curl -X POST http://localhost:8788/api/v1/faults/nodes/2/kill",
    );
  });

  test("the end of a fault", () => {
    expect(toCurl("http://a/api", nodeFault(2, "rejoin"))).toBe(
      "curl -X DELETE http://a/api/v1/faults/nodes/2/isolate",
    );
  });

  test("a read names no method", () => {
    expect(toCurl("http://a/api", { method: "GET", path: "/v1/znodes/a?view=stat" })).toBe(
      "curl 'http://a/api/v1/znodes/a?view=stat'",
    );
  });

  test("quotes hold, and a token is never written out", () => {
    const call = {
      method: "POST",
      path: "/x",
      headers: { Authorization: "Bearer secret", "Content-Type": "application/json" },
      body: `{"Player":"O'Neil"}`,
    };
    expect(toCurl("http://a", call)).toBe(
      `curl -X POST http://a/x -H "Authorization: Bearer $ZOOWEEPER_TOKEN" -H 'Content-Type: application/json' -d '{"Player":"O'\\''Neil"}'`,
    );
  });
});

describe("posting a goal", () => {
  test("is the demo's request, with a key", () => {
    const goal = { Minute: 28, Player: "Messi", Club: "FCB", Score: "0-1" };
    const call = addScore({ broker: 1, sid: 2, brokers: [0, 1, 2], goal, key: "k1" });
    expect(call).toMatchObject({ path: "/demo/brokers/1/addScore", headers: { "Idempotency-Key": "k1" } });
    expect(JSON.parse(call.body ?? "")).toEqual({
      metadata: { ReceiverIp: "8081", Clients: "9090,9091,9092" },
      gameResults: goal,
    });
  });

  test("a sample is always a whole goal", () => {
    for (let index = 0; index < 90; index++) {
      const goal = sampleGoal(() => (index % 30) / 30, index);
      expect(goal.Minute).toBeGreaterThanOrEqual(1);
      expect(goal.Minute).toBeLessThanOrEqual(90);
      expect(goal.Player).not.toBe("");
      expect(goal.Score).toMatch(/^\d+-\d+$/);
    }
  });
});

describe("backoff", () => {
  test("doubles, is capped, and spreads over the upper half", () => {
    expect([1, 2, 3, 10, 1_000].map((attempt) => backoffMs(attempt, 1))).toEqual([
      250, 500, 1_000, 5_000, 5_000,
    ]);
    expect(backoffMs(1, 0)).toBe(125);
    expect(backoffMs(9, 0.5, 2_000)).toBe(1_500);
  });
});
