import { describe, expect, it } from "vitest";
import { StartGate } from "../../../durable-objects/shared/start-gate.ts";

describe("the gate of an object's start", () => {
  it("[NODE-23] loads once, however many entries there are, and all of them wait for it", async () => {
    let loads = 0;
    let finish: () => void = () => {};
    const gate = new StartGate(() => {
      loads += 1;
      return new Promise<void>((resolve) => {
        finish = resolve;
      });
    });
    expect([gate.open, gate.entered]).toEqual([false, false]);
    const passed: number[] = [];
    const entries = [1, 2, 3].map((n) => gate.pass().then(() => passed.push(n)));
    await Promise.resolve();
    expect([gate.open, gate.entered, passed.length]).toEqual([false, true, 0]);
    finish();
    await Promise.all(entries);
    await gate.pass();
    expect([gate.open, loads, passed]).toEqual([true, 1, [1, 2, 3]]);
  });

  it("[NODE-23] that could not load rejects all waiting entries with the reason, and loads again at the next entry", async () => {
    let loads = 0;
    const gate = new StartGate(async () => {
      loads += 1;
      if (loads === 1) throw new Error("no such row");
    });
    const results = await Promise.allSettled([gate.pass(), gate.pass()]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect([gate.open, gate.entered, loads]).toEqual([false, false, 1]);
    await gate.pass();
    expect([gate.open, loads]).toEqual([true, 2]);
  });
});
