/** Outcomes of messages under faults: decided without a clock, the same for the same seed. */
import { describe, expect, it } from "vitest";
import { random } from "../../../core/prng.ts";
import { type ActiveFault, type Fault, FaultSet } from "../../../durable-objects/shared/faults.ts";
import { cutsOfGroups, cutsOfRing } from "../../../workers/api/faults/cuts.ts";

const on = (fault: Fault, until: number | null = null, seed = 1): ActiveFault => ({ ...fault, until, seed });
const setOf = (...faults: ActiveFault[]): FaultSet => new FaultSet(JSON.stringify(faults));
const THROUGH = { lost: false, fails: false, twice: false, delayMs: 0 };

describe("the faults of an object", () => {
  it("[FAULT-1] a cut affects its peers and its direction, and nothing else", () => {
    const set = setOf(on({ fault: "isolate", peers: [2], direction: "out" }));
    expect(set.fate("out", 2, "call").lost).toBe(true);
    expect(set.fate("out", 2, "return").lost).toBe(true);
    expect(set.fate("in", 2, "call")).toEqual(THROUGH);
    expect(set.fate("out", 3, "call")).toEqual(THROUGH);
    expect(setOf(on({ fault: "isolate" })).fate("in", 9, "return").lost).toBe(true);
  });

  it("[FAULT-2] chances follow from the seed, and occur about as often as configured", () => {
    const fates = (seed: number): boolean[] => {
      const set = setOf(on({ fault: "drop", probability: 0.3 }, null, seed));
      return Array.from({ length: 2_000 }, () => set.fate("out", 1, "call").lost);
    };
    expect(fates(7)).toEqual(fates(7));
    expect(fates(7)).not.toEqual(fates(8));
    const lost = fates(7).filter(Boolean).length;
    expect(lost).toBeGreaterThan(500);
    expect(lost).toBeLessThan(700);
    expect(random(-1)()).toBeGreaterThanOrEqual(0);
  });

  it("[FAULT-3] calls are delivered twice, returns fail, everything is delayed", () => {
    const set = setOf(
      on({ fault: "duplicate", probability: 1 }),
      on({ fault: "lose-return", probability: 1 }),
      on({ fault: "delay", delayMs: 40, jitterMs: 20 }),
      on({ fault: "skew", skewMs: 5 }),
    );
    const call = set.fate("in", 1, "call");
    expect(call).toMatchObject({ lost: false, fails: false, twice: true });
    expect(call.delayMs).toBeGreaterThanOrEqual(40);
    expect(call.delayMs).toBeLessThan(60);
    expect(set.fate("in", 1, "return")).toMatchObject({ lost: false, fails: true, twice: false });
  });

  it("[FAULT-4] one ends at its time limit or by its name; a second of the same name replaces it", () => {
    const set = setOf(on({ fault: "kill" }), on({ fault: "isolate" }, 100), on({ fault: "pause" }, 200));
    expect(set.nextEnd).toBe(100);
    expect(set.expire(99)).toEqual([]);
    expect(set.expire(100).map(({ fault }) => fault)).toEqual(["isolate"]);
    set.add(on({ fault: "pause" }, 300));
    expect(set.list(250)).toEqual([
      { fault: "kill", remainingMs: null },
      { fault: "pause", remainingMs: 50 },
    ]);
    expect(set.remove("kill")).toHaveLength(1);
    expect(set.remove("kill")).toEqual([]);
    expect(set.remove()).toHaveLength(1);
    expect([set.size, set.nextEnd]).toEqual([0, Number.POSITIVE_INFINITY]);
  });

  it("[FAULT-5] all survive the loss of memory, except a pause", () => {
    const set = setOf(on({ fault: "pause" }, 5), on({ fault: "drop", probability: 0.5, peers: [3] }, 5, 9));
    expect(JSON.parse(set.serialize())).toEqual([
      { fault: "drop", probability: 0.5, peers: [3], until: 5, seed: 9 },
    ]);
  });
});

describe("a partition", () => {
  it("[FAULT-6] of groups is held by one side; nodes that are not named form the last one", () => {
    expect(cutsOfGroups([[1]], [1, 2, 3], false)).toEqual([{ sid: 1, peers: [2, 3], direction: "both" }]);
    expect(cutsOfGroups([[1, 2], [3]], [1, 2, 3, 4, 5], true)).toEqual([
      { sid: 1, peers: [3, 4, 5], direction: "out" },
      { sid: 2, peers: [3, 4, 5], direction: "out" },
      { sid: 3, peers: [4, 5], direction: "out" },
    ]);
    expect(cutsOfGroups([[1, 2, 3]], [1, 2, 3], false)).toEqual([]);
  });

  it.each([1, 3, 5, 7, 9])("[FAULT-7] of a ring of %i: each hears a majority, no two the same", (size) => {
    const sids = Array.from({ length: size }, (_, i) => i + 1);
    const cuts = cutsOfRing(sids);
    const heard = sids.map((sid) => {
      const deaf = cuts.find((cut) => cut.sid === sid)?.peers ?? [];
      expect(deaf).not.toContain(sid);
      return sids.filter((other) => !deaf.includes(other));
    });
    for (const each of heard) expect(each).toHaveLength(Math.floor(size / 2) + 1);
    expect(new Set(heard.map(String)).size).toBe(size);
  });
});
