import { describe, expect, it } from "vitest";
import { CHANNEL_CALLS_MAX } from "../../../durable-objects/shared/config.ts";
import {
  type Channel,
  type ChannelHost,
  ChannelStub,
  pack,
  unpack,
} from "../../../durable-objects/shared/peer-channel.ts";
import type { Envelope } from "../../../durable-objects/shared/peer-link.ts";

const envelope = (seq: number): Envelope<unknown> => ({
  from: 1,
  boot: 1,
  generation: 1,
  seq,
  messages: [{ seq }],
});

/** Every event is a root event. */
const ROOT = { depth: 0, next: () => Promise.resolve(0) };

/** A peer that answers with what it got, and counts the channels that are opened and let go. */
class Echo {
  opened = 0;
  closed = 0;
  failing = false;

  get host(): ChannelHost {
    return {
      // The runtime's promise of a channel takes calls too.
      channel: () => {
        this.opened += 1;
        const channel = {
          deliver: (packed: Parameters<Channel["deliver"]>[0]) =>
            this.failing ? Promise.reject(new Error("gone")) : Promise.resolve(packed),
          [Symbol.dispose]: () => {
            this.closed += 1;
          },
        };
        const opened = this.failing ? Promise.reject(new Error("gone")) : Promise.resolve(channel);
        return Object.assign(opened, channel);
      },
    };
  }
}

describe("the channel to a peer", () => {
  it("carries bytes beside the text, wherever they are, and only those that are meant", () => {
    const whole = Uint8Array.of(1, 2, 3, 4);
    const value = { a: [{ batch: whole.subarray(1, 3) }, null], b: { c: whole, d: "$", e: -1.5 }, f: true };
    const packed = pack(value);
    expect(packed.slice(1)).toEqual([Uint8Array.of(2, 3), whole]);
    expect((packed[1] as Uint8Array).buffer.byteLength).toBe(2);
    expect(unpack(packed)).toEqual(value);
  });

  it("carries what has no bytes as text alone", () => {
    expect(pack("REFUSED")).toBe('"REFUSED"');
    expect(unpack(pack("REFUSED"))).toBe("REFUSED");
  });

  it("is opened once for many calls, and again after it was released", async () => {
    const echo = new Echo();
    const stub = new ChannelStub(() => echo.host, ROOT);
    for (const seq of [0, 1, 2]) expect(await stub.deliver(envelope(seq))).toEqual(envelope(seq));
    expect(echo.opened).toBe(1);
    stub.close();
    expect(echo.closed).toBe(1);
    await stub.deliver(envelope(3));
    expect(echo.opened).toBe(2);
  });

  it("[NODE-21] lets go of the channel of a call that comes after the end", async () => {
    const echo = new Echo();
    const stub = new ChannelStub(() => echo.host, ROOT);
    await stub.deliver(envelope(0));
    stub.close();
    await Promise.all([stub.deliver(envelope(1)), stub.deliver(envelope(2))]);
    expect(echo.opened).toBe(2);
    expect(echo.closed).toBe(2);
  });

  it("lets a channel go that is opened too late", async () => {
    const echo = new Echo();
    const stub = new ChannelStub(() => echo.host, ROOT);
    const call = stub.deliver(envelope(0));
    stub.close();
    await call;
    // the promise, and the channel that it brought
    expect(echo.closed).toBe(2);
  });

  it("[NODE-20] holds a channel at every moment while it replaces one", async () => {
    const echo = new Echo();
    const stub = new ChannelStub(() => echo.host, ROOT);
    let last: Promise<unknown> = stub.deliver(envelope(0));
    await last;
    for (let seq = 1; seq <= CHANNEL_CALLS_MAX; seq++) {
      expect(echo.closed).toBe(0);
      last = stub.deliver(envelope(seq));
    }
    expect([echo.opened, echo.closed]).toEqual([2, 0]);
    await last;
    expect([echo.opened, echo.closed]).toEqual([2, 1]);
  });

  it("fails the call if the peer cannot be reached", async () => {
    const echo = new Echo();
    echo.failing = true;
    await expect(new ChannelStub(() => echo.host, ROOT).deliver(envelope(0))).rejects.toThrow("gone");
  });
});
