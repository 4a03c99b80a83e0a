import { expect, test } from "vitest";
import type { ProtocolEvent } from "../../../web/src/api/types.ts";
import { Liveness } from "../../../web/src/features/log/liveness.ts";

const event = (at: number): ProtocolEvent => ({ id: "1-1", at, sid: 1, type: "role" });
const timesOf = (events: readonly ProtocolEvent[]) => events.map((one) => one.at);

test("repeated events of a connection are not live, its newest events are", () => {
  const liveness = new Liveness();
  expect(timesOf(liveness.live([event(1_000), event(60_000), event(99_900)], 100_000))).toEqual([99_900]);
  expect(timesOf(liveness.live([event(100_400)], 100_500))).toEqual([100_400]);
});

test("clocks may differ by any amount", () => {
  for (const skew of [-3_600_000, 3_600_000]) {
    const liveness = new Liveness();
    expect(liveness.live([event(1_000_000 + skew)], 1_000_000)).toHaveLength(1);
    expect(liveness.live([event(1_000_000 + skew)], 1_010_000)).toHaveLength(0);
    expect(liveness.live([event(1_010_000 + skew)], 1_010_050)).toHaveLength(1);
  }
});

test("a new connection starts its measurement again", () => {
  const liveness = new Liveness();
  liveness.live([event(0)], 0);
  expect(liveness.live([event(0)], 50_000)).toHaveLength(0);
  liveness.reset();
  expect(liveness.live([event(0)], 50_000)).toHaveLength(1);
});
