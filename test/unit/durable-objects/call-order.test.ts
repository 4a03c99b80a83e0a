import { describe, expect, it } from "vitest";
import { CallOrder } from "../../../durable-objects/shared/call-order.ts";

/** Undefined: it is this call's turn. Else its turn comes when the promise resolves. */
const turnOf = (
  order: CallOrder,
  boot: number,
  generation: number,
  seq: number,
): Promise<void> | undefined =>
  order.isTurn(boot, generation, seq) ? undefined : new Promise((go) => order.wait(seq, go));

/** Hands calls in the order given and notes the order in which they are handled. */
async function handled(seqs: readonly number[], waitMs = 10_000): Promise<number[]> {
  const order = new CallOrder(waitMs);
  const out: number[] = [];
  await Promise.all(
    seqs.map(async (seq) => {
      const turn = turnOf(order, 1, 1, seq);
      if (turn !== undefined) await turn;
      out.push(seq);
      order.done(1, 1, seq);
    }),
  );
  return out;
}

describe("the order of a link's calls", () => {
  it("[NODE-12] passes calls that arrive in order in the same turn", () => {
    const order = new CallOrder(10_000);
    for (let seq = 0; seq < 3; seq++) {
      expect(turnOf(order, 1, 1, seq)).toBeUndefined();
      order.done(1, 1, seq);
    }
  });

  it("[NODE-12] puts calls back in order, however they arrive", async () => {
    expect(await handled([0, 2, 1, 5, 4, 3, 6])).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(await handled([3, 2, 1, 0])).toEqual([0, 1, 2, 3]);
  });

  it("[NODE-12] passes a call whose predecessor never arrives, and the calls after it", async () => {
    expect(await handled([0, 2, 3], 1)).toEqual([0, 2, 3]);
  });

  it("[NODE-12] restarts with the next link, and releases the calls that waited on the old one", async () => {
    const order = new CallOrder(10_000);
    const waiting = turnOf(order, 1, 1, 5);
    expect(turnOf(order, 1, 2, 0)).toBeUndefined();
    await waiting;
    order.done(1, 2, 0);
    expect(turnOf(order, 1, 1, 9)).toBeUndefined();
    expect(turnOf(order, 1, 2, 1)).toBeUndefined();
    expect(turnOf(order, 2, 1, 0)).toBeUndefined();
  });
});
