/** The queue, compared with an array. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { Fifo } from "../../core/fifo.ts";

const ACTIONS = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("push" as const), times: fc.nat(1_500) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("shift" as const), times: fc.nat(1_500) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("keep" as const), times: fc.integer({ min: 2, max: 9 }) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("replace" as const), times: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("drain" as const), times: fc.constant(1) }) },
);

it("returns the items in the order in which they were added", () => {
  fc.assert(
    fc.property(fc.array(ACTIONS, { maxLength: 20 }), (actions) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      let next = 0;
      for (const { type, times } of actions) {
        if (type === "push") {
          for (let i = 0; i < times; i++) {
            fifo.push(next);
            model.push(next);
            next += 1;
          }
        } else if (type === "shift") {
          for (let i = 0; i < times; i++) expect(fifo.shift()).toBe(model.shift());
        } else if (type === "keep") {
          fifo.keep((each) => each % times === 0);
          model = model.filter((each) => each % times === 0);
        } else if (type === "replace") {
          const old = model[times];
          if (old === undefined) continue;
          fifo.replace(old, next);
          model[times] = next;
          next += 1;
        } else {
          expect(fifo.drain()).toEqual(model);
          model = [];
        }
        expect([fifo.length, fifo.first, fifo.last]).toEqual([model.length, model[0], model.at(-1)]);
      }
      expect(fifo.items()).toEqual(model);
    }),
    { numRuns: 60 },
  );
});
