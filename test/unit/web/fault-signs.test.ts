import { expect, test } from "vitest";
import type { FaultView } from "../../../web/src/api/types.ts";
import { linkSigns, signOf } from "../../../web/src/features/faults/fault-signs.ts";

const view = (fault: FaultView["fault"], more: Partial<FaultView> = {}): FaultView => ({
  fault,
  remainingMs: 4_200,
  ...more,
});

test.each<[FaultView, string]>([
  [view("kill", { remainingMs: null }), "killed, until it is revived"],
  [view("pause"), "paused, 5 s left"],
  [view("isolate"), "cut off, 5 s left"],
  [view("isolate", { peers: [2], direction: "both" }), "links cut with node 2, 5 s left"],
  [view("isolate", { peers: [2, 3], direction: "out" }), "one-way cut to nodes 2, 3, 5 s left"],
  [view("isolate", { direction: "in" }), "one-way cut from all nodes, 5 s left"],
  [view("drop", { probability: 0.125 }), "drops 12.5 %, 5 s left"],
  [view("delay", { delayMs: 300, jitterMs: 0, peers: [2] }), "delayed 300 ms with node 2, 5 s left"],
  [view("delay", { delayMs: 300, jitterMs: 50 }), "delayed 300 to 350 ms, 5 s left"],
  [view("duplicate", { probability: 1 }), "duplicates 100 %, 5 s left"],
  [view("lose-return", { probability: 0.5 }), "loses 50 % of answers, 5 s left"],
  [view("skew", { skewMs: -2_500 }), "clock −2.5 s, 5 s left"],
  [view("slow-storage", { delayMs: 200 }), "slow disk, 200 ms, 5 s left"],
  [view("corrupt"), "damaged log, 5 s left"],
  [view("brand-new" as FaultView["fault"]), "brand-new, 5 s left"],
])("[PAGE-8] %o is described in words", (fault, text) => {
  expect(signOf(fault).text).toBe(text);
});

test("[PAGE-8] faults of messages are shown at their links: cut, one way, or impaired", () => {
  const faults = new Map([
    [1, [view("isolate", { peers: [2] })]],
    [2, [view("isolate", { peers: [3], direction: "out" })]],
    [3, [view("drop", { probability: 0.1, peers: [1] }), view("skew", { skewMs: 5 })]],
  ]);
  expect(linkSigns([1, 2, 3], faults)).toEqual([
    { a: 1, b: 2, words: ["cut"], kind: "cut" },
    { a: 2, b: 3, words: ["2→3 cut"], kind: "one-way" },
    { a: 1, b: 3, words: ["drops 10 %"], kind: "impaired" },
  ]);
});

test("[PAGE-8] two one-way cuts form a cut, and one without peers concerns all links", () => {
  const both = new Map([
    [1, [view("isolate", { peers: [2], direction: "out" })]],
    [2, [view("isolate", { peers: [1], direction: "out" })]],
  ]);
  expect(linkSigns([1, 2, 3], both)).toEqual([{ a: 1, b: 2, words: ["cut"], kind: "cut" }]);
  const all = new Map([[2, [view("delay", { delayMs: 40 })]]]);
  expect(linkSigns([1, 2, 3], all).map(({ a, b }) => `${a}-${b}`)).toEqual(["1-2", "2-3"]);
});
