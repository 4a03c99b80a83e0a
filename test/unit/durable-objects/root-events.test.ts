import { afterEach, describe, expect, it, vi } from "vitest";
import { REQUEST_DEPTH } from "../../../durable-objects/shared/config.ts";
import { type AlarmStorage, DeadlineAlarm } from "../../../durable-objects/shared/deadline-alarm.ts";
import {
  type Channel,
  type ChannelHost,
  ChannelStub,
  type Packed,
} from "../../../durable-objects/shared/peer-channel.ts";
import { RootEvents } from "../../../durable-objects/shared/root-events.ts";

const noop = (): void => {};

/** An event that is under way until it is ended. */
function openEvent(): { readonly body: () => Promise<void>; readonly end: () => void } {
  let end = noop;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { body: () => ended, end: () => end() };
}

/** Storage of an alarm: when it rings, ms since 1970; null: never. */
class StoredAlarm implements AlarmStorage {
  at: number | null = null;
  async getAlarm(): Promise<number | null> {
    return this.at;
  }
  async setAlarm(atMs: number): Promise<void> {
    this.at = atMs;
  }
  async deleteAlarm(): Promise<void> {
    this.at = null;
  }
}

afterEach(() => vi.useRealTimers());

describe("the root events of an object", () => {
  it("[NODE-60] open stubs at once, with their depth, until they end", async () => {
    const roots = new RootEvents(() => expect.unreachable("nothing has to wait"), 0);
    const event = openEvent();
    const running = roots.run(2, event.body);
    expect(roots.depth).toBe(2);
    expect(await roots.next()).toBe(2);
    event.end();
    await running;
    expect(roots.depth).toBeUndefined();
  });

  it("[NODE-60] open no stubs once a call of another object is newer", async () => {
    let rings = 0;
    const roots = new RootEvents(() => {
      rings += 1;
    }, 0);
    const event = openEvent();
    const running = roots.run(0, event.body);
    roots.called(4);
    expect(roots.depth).toBeUndefined();
    expect(roots.depthMax).toBe(5);
    const opened: string[] = [];
    const first = roots.next().then((depth) => opened.push(`first at ${depth}`));
    const second = roots.next().then((depth) => opened.push(`second at ${depth}`));
    expect(rings).toBeGreaterThan(0);
    event.end();
    await running;
    expect(opened).toEqual([]);
    await roots.run(1, () => Promise.all([first, second]));
    expect(opened).toEqual(["first at 1", "second at 1"]);
  });

  it("[NODE-60] waiting calls open their stubs before the next turn of I/O, after the synchronous part of the body", async () => {
    const roots = new RootEvents(noop, 0);
    const order: string[] = [];
    const opened = roots.next().then(() => order.push("opened"));
    const running = roots.run(0, async () => {
      order.push("begun");
      await new Promise((resolve) => setTimeout(resolve, 0));
      order.push("ended");
    });
    await Promise.all([opened, running]);
    expect(order).toEqual(["begun", "opened", "ended"]);
  });

  it("[NODE-61] an object that falls asleep keeps the alarm for which a stub waits", async () => {
    const stored = new StoredAlarm();
    const alarm = new DeadlineAlarm(stored, 1_000);
    const roots = new RootEvents(() => alarm.ensure(Date.now()), 0);
    const first = roots.next();
    alarm.only(Number.POSITIVE_INFINITY);
    roots.ring();
    expect(stored.at).not.toBeNull();
    // a second stub finds the alarm gone too
    alarm.only(Number.POSITIVE_INFINITY);
    roots.called(1);
    const second = roots.next();
    expect(stored.at).not.toBeNull();
    alarm.rang();
    expect(await roots.run(0, () => Promise.all([first, second]))).toEqual([0, 0]);
    alarm.only(Number.POSITIVE_INFINITY);
    roots.ring();
    expect(stored.at, "nothing waits").toBeNull();
  });

  it("[NODE-61] an alarm that was lost is set again while a stub waits", async () => {
    vi.useFakeTimers();
    const stored = new StoredAlarm();
    const alarm = new DeadlineAlarm(stored, 1_000);
    const roots = new RootEvents(() => alarm.ensure(Date.now()), 0);
    const opened = roots.next();
    const lostAt = stored.at;
    await vi.advanceTimersByTimeAsync(3_000);
    expect(stored.at).toBeGreaterThan(lostAt ?? 0);
    alarm.rang();
    expect(await roots.run(0, () => opened)).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("[NODE-60] a body that throws ends its event", async () => {
    const roots = new RootEvents(noop, 0);
    await expect(
      roots.run(0, () => {
        throw new Error("the handler failed");
      }),
    ).rejects.toThrow("the handler failed");
    expect(roots.depth).toBeUndefined();
  });
});

describe("the calls under way in an object", () => {
  const CALLS_MAX = 5;

  it("[NODE-60] let stubs be opened as long as none is deeper than the limit, with the depth of the deepest", async () => {
    const roots = new RootEvents(() => expect.unreachable("nothing has to wait"), CALLS_MAX);
    expect(roots.depth, "a request may be under way").toBe(REQUEST_DEPTH);
    const endOfShallow = roots.called(2);
    const endOfDeep = roots.called(CALLS_MAX - 1);
    expect(roots.depth).toBe(CALLS_MAX);
    expect(await roots.next()).toBe(CALLS_MAX);
    endOfDeep();
    expect(roots.depth).toBe(3);
    endOfShallow();
    expect(roots.depth).toBe(REQUEST_DEPTH);
  });

  it.each([
    ["of greater depth", CALLS_MAX],
    ["of unknown depth", undefined],
  ])("[NODE-60] let no stub be opened outside of root events while one is %s", async (_, depth) => {
    let rings = 0;
    const roots = new RootEvents(() => {
      rings += 1;
    }, CALLS_MAX);
    const call = openEvent();
    const answered = roots.answer(depth, call.body);
    expect(roots.depth).toBeUndefined();
    const opened = roots.next();
    expect(rings).toBe(1);
    expect(await roots.run(1, () => opened)).toBe(1);
    call.end();
    await answered;
    expect(roots.depth).toBe(REQUEST_DEPTH);
  });

  it("[NODE-60] are over when they fail", async () => {
    const roots = new RootEvents(noop, CALLS_MAX);
    const failing = roots.answer(undefined, () => Promise.reject(new Error("the call failed")));
    expect(roots.depth).toBeUndefined();
    await expect(failing).rejects.toThrow("the call failed");
    expect(roots.depth).toBe(REQUEST_DEPTH);
  });
});

describe("the channel to a peer", () => {
  /** A peer that notes the calls, and the depths at which its channels are opened. */
  class Host implements ChannelHost {
    readonly delivered: number[] = [];
    readonly depths: number[] = [];
    released = 0;

    channel(depth: number): Promise<Channel> {
      this.depths.push(depth);
      const channel = {
        deliver: (packed: Packed) => {
          this.delivered.push((JSON.parse(String(packed)) as { readonly seq: number }).seq);
          return Promise.resolve(packed);
        },
        [Symbol.dispose]: () => {
          this.released += 1;
        },
      };
      return Object.assign(Promise.resolve(channel), channel);
    }
  }

  function linked(roots: RootEvents) {
    const host = new Host();
    let stubs = 0;
    const stub = new ChannelStub<never>(() => {
      stubs += 1;
      return host;
    }, roots);
    const send = (seq: number): Promise<unknown> =>
      stub.deliver({ from: 1, boot: 1, generation: 1, seq, messages: [] });
    return { host, send, stubs: () => stubs };
  }

  it("[NODE-60] is opened in a root event, whose depth it says, and its calls keep their order", async () => {
    const roots = new RootEvents(noop, 0);
    const { host, send, stubs } = linked(roots);
    const early = [send(0), send(1)];
    roots.called(7);
    early.push(send(2));
    expect(stubs()).toBe(0);
    await roots.run(1, () => Promise.all([...early, send(3)]));
    await send(4);
    expect(host.delivered).toEqual([0, 1, 2, 3, 4]);
    expect(host.depths).toEqual([1]);
    expect(stubs()).toBe(1);
  });

  it("[NODE-60] is replaced by one of an alarm's depth, in which the calls continue", async () => {
    const roots = new RootEvents(noop, 5);
    const { host, send, stubs } = linked(roots);
    roots.called(3);
    await send(0);
    await roots.run(1, () => send(1));
    expect(host.depths).toEqual([4]);
    await roots.run(0, () => Promise.all([send(2), send(3)]));
    expect(host.released).toBe(1);
    await roots.run(0, () => send(4));
    expect(host.delivered).toEqual([0, 1, 2, 3, 4]);
    expect(host.depths).toEqual([4, 0]);
    expect([stubs(), host.released]).toEqual([2, 1]);
  });
});
