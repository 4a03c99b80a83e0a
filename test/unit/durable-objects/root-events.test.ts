import { afterEach, describe, expect, it, vi } from "vitest";
import { type AlarmStorage, DeadlineAlarm } from "../../../durable-objects/shared/deadline-alarm.ts";
import { type Channel, type ChannelHost, ChannelStub } from "../../../durable-objects/shared/peer-channel.ts";
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
    const roots = new RootEvents(() => expect.unreachable("nothing has to wait"));
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
    });
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

  it("[NODE-60] what waits opens its stubs before I/O has a turn, after the synchronous part of the body", async () => {
    const roots = new RootEvents(noop);
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
    const roots = new RootEvents(() => alarm.ensure(Date.now()));
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
    const roots = new RootEvents(() => alarm.ensure(Date.now()));
    const opened = roots.next();
    const lostAt = stored.at;
    await vi.advanceTimersByTimeAsync(3_000);
    expect(stored.at).toBeGreaterThan(lostAt ?? 0);
    alarm.rang();
    expect(await roots.run(0, () => opened)).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("[NODE-60] a body that throws ends its event", async () => {
    const roots = new RootEvents(noop);
    await expect(
      roots.run(0, () => {
        throw new Error("the handler failed");
      }),
    ).rejects.toThrow("the handler failed");
    expect(roots.depth).toBeUndefined();
  });
});

describe("the channel to a peer", () => {
  it("[NODE-60] is opened in a root event, whose depth it says, and its calls keep their order", async () => {
    const delivered: number[] = [];
    const depths: number[] = [];
    const roots = new RootEvents(noop);
    const host: ChannelHost = {
      channel: (depth) => {
        depths.push(depth);
        const channel: Channel = {
          deliver: (packed) => {
            delivered.push((JSON.parse(String(packed)) as { readonly seq: number }).seq);
            return Promise.resolve(packed);
          },
        };
        return Object.assign(Promise.resolve(channel), channel);
      },
    };
    let stubs = 0;
    const stub = new ChannelStub<never>(() => {
      stubs += 1;
      return host;
    }, roots);
    const send = (seq: number): Promise<unknown> =>
      stub.deliver({ from: 1, boot: 1, generation: 1, seq, messages: [] });
    const early = [send(0), send(1)];
    roots.called(7);
    early.push(send(2));
    expect(stubs).toBe(0);
    await roots.run(1, () => Promise.all([...early, send(3)]));
    await send(4);
    expect(delivered).toEqual([0, 1, 2, 3, 4]);
    expect(depths).toEqual([1]);
    expect(stubs).toBe(1);
  });
});
