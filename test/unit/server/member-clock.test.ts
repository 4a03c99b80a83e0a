import { describe, expect, it } from "vitest";
import { MemberClock } from "../../../core/server/member-clock.ts";

describe("the time of a member", () => {
  it("[SERVER-40] is its clock's time, with the time that passed between readings", () => {
    const clock = new MemberClock();
    clock.read(1_000);
    expect(clock.read(1_250)).toBe(250);
    expect(clock.now).toBe(1_250);
    expect(clock.toClock(2_000)).toBe(2_000);
  });

  it("[FAULT-35] continues from its highest value after the clock was set back", () => {
    const clock = new MemberClock();
    clock.read(600_000);
    expect(clock.read(1_000)).toBe(0);
    expect(clock.read(1_400)).toBe(400);
    expect(clock.now).toBe(600_400);
    expect(clock.toClock(600_900), "the clock shows this when 500 more have passed").toBe(1_900);
  });

  it("[FAULT-35] follows a clock that is set forward again", () => {
    const clock = new MemberClock();
    clock.read(600_000);
    clock.read(1_000);
    expect(clock.read(600_000)).toBe(599_000);
    expect(clock.now).toBe(1_199_000);
  });
});
