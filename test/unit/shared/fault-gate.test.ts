/** The fault gate on a real clock, without an object: what passes, waits and is lost. */
import { describe, expect, it } from "vitest";
import { FaultGate } from "../../../durable-objects/shared/fault-gate.ts";
import type { FaultName } from "../../../durable-objects/shared/faults.ts";

interface Stored {
  text: string | undefined;
}

function gateOn(stored: Stored = { text: undefined }, enabled = true, healed: FaultName[] = []): FaultGate {
  return new FaultGate({
    enabled,
    read: () => stored.text,
    write: (text) => {
      stored.text = text;
    },
    healed: ({ fault }) => healed.push(fault),
  });
}

/** How a promise stands: an answer, a failure, or nothing yet. */
async function state(promise: Promise<unknown>): Promise<unknown> {
  const pending = Symbol();
  const first = await Promise.race([promise.catch(() => "failed"), Promise.resolve(pending)]);
  return first === pending ? "waits" : first;
}

describe("the fault gate", () => {
  it("[FAULT-24] has no effect without a fault, or if faults are switched off", async () => {
    const gate = gateOn();
    expect([gate.active, gate.killed, gate.paused, gate.skewMs]).toEqual([false, false, false, 0]);
    expect(await gate.call(2, async () => "answer")).toBe("answer");
    const stored = { text: JSON.stringify([{ fault: "kill", until: null, seed: 0 }]) };
    expect(gateOn(stored).killed).toBe(true);
    const off = gateOn(stored, false);
    expect([off.active, off.killed, off.list()]).toEqual([false, false, []]);
    expect(() => off.inflict({ fault: "pause" }, 10, 0)).toThrow("off");
  });

  it("[FAULT-4] is active until the last fault is healed or over, and keeps the others", () => {
    const stored: Stored = { text: undefined };
    const healed: FaultName[] = [];
    const gate = gateOn(stored, true, healed);
    gate.inflict({ fault: "skew", skewMs: 5_000 }, 60_000, 0);
    gate.inflict({ fault: "kill" }, null, 0);
    expect(
      gateOn(stored)
        .list()
        .map(({ fault }) => fault),
    ).toEqual(["skew", "kill"]);
    const now = Date.now();
    expect(gate.now()).toBeGreaterThanOrEqual(now + 5_000);
    expect(gate.heal("kill")).toEqual(["kill"]);
    expect([gate.active, gate.killed]).toEqual([true, false]);
    expect(gate.heal()).toEqual(["skew"]);
    expect([gate.active, healed, stored.text]).toEqual([false, ["kill", "skew"], "[]"]);
  });

  it("[FAULT-1] a lost call is not made, and its caller gets no answer until the cut is over", async () => {
    const gate = gateOn();
    gate.inflict({ fault: "isolate", direction: "out" }, 60_000, 0);
    let made = 0;
    const call = gate.call(2, async () => ++made);
    expect(await state(call)).toBe("waits");
    // the answer to a peer's call goes out too
    const handled = gate.handle(2, async () => ++made);
    expect(await state(handled)).toBe("waits");
    expect(made).toBe(1);
    gate.heal("isolate");
    await expect(call).rejects.toThrow("lost");
    await expect(handled).rejects.toThrow("lost");
    expect(await gate.call(2, async () => ++made)).toBe(2);
  });

  it("[FAULT-3] a call is delivered twice and answered once; a call with a failed return was carried out", async () => {
    const gate = gateOn();
    let made = 0;
    gate.inflict({ fault: "duplicate", probability: 1 }, 60_000, 0);
    expect(await gate.call(2, async () => ++made)).toBe(1);
    expect(await gate.handle(2, async () => ++made)).toBe(3);
    expect(made).toBe(4);
    gate.heal();
    gate.inflict({ fault: "lose-return", probability: 1, direction: "in" }, 60_000, 0);
    await expect(gate.call(2, async () => ++made)).rejects.toThrow("lost");
    expect(await gate.handle(2, async () => ++made)).toBe(6);
  });

  it("[FAULT-25] delayed messages of one link stay in their order, also if the delay ends in between", async () => {
    const gate = gateOn();
    const order: number[] = [];
    const send = (n: number) => gate.call(2, async () => order.push(n));
    gate.inflict({ fault: "delay", delayMs: 300, jitterMs: 30, direction: "out" }, 60_000, 3);
    const first = [0, 1, 2, 3, 4].map(send);
    gate.heal();
    expect(gate.active).toBe(true);
    const rest = [5, 6].map(send);
    const other = gate.call(3, async () => "at once");
    expect(await other).toBe("at once");
    expect(order).toEqual([]);
    await Promise.all([...first, ...rest]);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(gate.active).toBe(false);
  });

  it("[FAULT-8] a pause holds incoming calls, and passes them in their order at its end", async () => {
    const gate = gateOn();
    const order: string[] = [];
    gate.inflict({ fault: "pause" }, 300, 0);
    expect(gate.holds(() => order.push("completion"))).toBe(true);
    const entry = gate.running().then(() => order.push("entry"));
    expect(order).toEqual([]);
    await entry;
    expect(order).toEqual(["completion", "entry"]);
    expect([gate.holds(() => order.push("never")), gate.active]).toEqual([false, false]);
  });

  it("[FAULT-22] writes on slow storage become durable later, in their order", async () => {
    const gate = gateOn();
    gate.inflict({ fault: "slow-storage", delayMs: 20 }, 60_000, 0);
    const order: number[] = [];
    gate.stored(() => order.push(1));
    gate.heal();
    await new Promise<void>((resolve) =>
      gate.stored(() => {
        order.push(2);
        resolve();
      }),
    );
    expect(order).toEqual([1, 2]);
    gate.stored(() => order.push(3));
    expect(order).toEqual([1, 2, 3]);
  });
});
