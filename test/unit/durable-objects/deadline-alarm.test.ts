import { describe, expect, it } from "vitest";
import { type AlarmStorage, DeadlineAlarm } from "../../../durable-objects/shared/deadline-alarm.ts";

const TICK = 1000;

/** The alarm of one object, as the runtime has it: the stored time, and the scheduler that may have lost it. */
class FakeAlarm implements AlarmStorage {
  now = 10_000;
  stored: number | null = null;
  /** every time that was set, in order */
  readonly sets: number[] = [];
  reads = 0;
  failing = false;

  getAlarm(): Promise<number | null> {
    this.reads += 1;
    return Promise.resolve(this.stored);
  }

  setAlarm(at: number): Promise<void> {
    this.sets.push(at);
    if (this.failing) return Promise.reject(new Error("no storage"));
    this.stored = at;
    return Promise.resolve();
  }

  deleteAlarm(): Promise<void> {
    this.stored = null;
    return Promise.resolve();
  }
}

function make(): { storage: FakeAlarm; alarm: DeadlineAlarm } {
  const storage = new FakeAlarm();
  return { storage, alarm: new DeadlineAlarm(storage, TICK, () => storage.now) };
}

describe("the alarm of an object", () => {
  it("[NODE-22] is set once for a deadline, and again only for an earlier one", () => {
    const { storage, alarm } = make();
    alarm.ensure(20_000);
    alarm.ensure(20_000);
    alarm.ensure(25_000);
    expect(storage.sets).toEqual([20_000]);
    alarm.ensure(15_000);
    expect(storage.sets).toEqual([20_000, 15_000]);
    alarm.ensure(Number.POSITIVE_INFINITY);
    expect(storage.stored).toBe(15_000);
  });

  it("[NODE-22] is set at the next ms for a deadline that has passed, in whole ms", () => {
    const { storage, alarm } = make();
    alarm.ensure(1);
    expect(storage.sets).toEqual([10_001]);
    const other = make();
    other.alarm.ensure(20_000.25);
    expect(other.storage.sets).toEqual([20_001]);
  });

  it("[NODE-22] that is lost while the object runs is set again once it is overdue by more than a tick", () => {
    const { storage, alarm } = make();
    alarm.ensure(20_000);
    storage.now = 20_000 + TICK;
    alarm.check();
    alarm.ensure(30_000);
    expect(storage.sets).toEqual([20_000]);
    storage.now += 1;
    alarm.check();
    expect(storage.sets).toEqual([20_000, 30_000]);
    storage.now = 30_000 + TICK + 1;
    alarm.ensure(40_000);
    expect(storage.sets).toEqual([20_000, 30_000, 40_000]);
  });

  it("[NODE-22] that is set again has a tick before it counts as lost again", () => {
    const { storage, alarm } = make();
    alarm.ensure(10_001);
    storage.now = 20_000;
    for (let i = 0; i < 5; i++) alarm.check();
    expect(storage.sets).toEqual([10_001, 20_001]);
    expect(storage.reads).toBe(0);
  });

  it("[NODE-22] of an earlier incarnation is kept if it rings in time, and set again if it is overdue or missing", async () => {
    for (const [stored, sets] of [
      [15_000, []],
      [20_000, []],
      [25_000, [20_000]],
      [null, [20_000]],
      [10_000 - TICK - 1, [20_000]],
      [10_000 - TICK, []],
    ] as const) {
      const { storage, alarm } = make();
      storage.stored = stored;
      await alarm.restore(20_000);
      expect(storage.sets, `stored ${stored}`).toEqual(sets);
    }
  });

  it("[NODE-22] of an earlier incarnation does not matter once this one has set it or it rang", async () => {
    const { storage, alarm } = make();
    storage.stored = 10_000;
    const restored = alarm.restore(20_000);
    alarm.rang();
    storage.stored = null;
    await restored;
    expect(storage.sets).toEqual([]);
    const other = make();
    const late = other.alarm.restore(20_000);
    other.alarm.ensure(15_000);
    await late;
    expect(other.storage.sets).toEqual([15_000]);
  });

  it("[NODE-22] that rang before the object was loaded, as while it was killed, is set again when it is loaded", async () => {
    const { storage, alarm } = make();
    alarm.rang();
    alarm.ensure(Number.POSITIVE_INFINITY);
    await alarm.restore(20_000);
    expect([storage.sets, storage.reads]).toEqual([[20_000], 0]);
  });

  it("[NODE-22] is set by an incarnation's first deadline, even if an earlier one set it: the scheduler may have lost it", () => {
    const { storage, alarm } = make();
    storage.stored = 12_000;
    alarm.ensure(15_000);
    expect(storage.stored).toBe(15_000);
  });

  it("[NODE-22] that rang is not set again before its handler ends, also if the handler fails", () => {
    const { storage, alarm } = make();
    alarm.ensure(10_001);
    storage.now = 20_000;
    alarm.rang();
    alarm.check();
    expect(storage.sets).toEqual([10_001]);
    // what a handler does that could not do its work
    alarm.ensure(storage.now + TICK);
    expect(storage.sets).toEqual([10_001, 21_000]);
  });

  it("[NODE-22] that could not be set is set at the next entry", async () => {
    const { storage, alarm } = make();
    storage.failing = true;
    alarm.ensure(20_000);
    await Promise.resolve();
    await Promise.resolve();
    storage.failing = false;
    alarm.check();
    alarm.check();
    expect(storage.sets).toEqual([20_000, 20_000]);
    expect(storage.stored).toBe(20_000);
  });

  it("[NODE-22] rings at the time set last, later than before or never", () => {
    const { storage, alarm } = make();
    alarm.ensure(11_000);
    alarm.only(30_000);
    expect(storage.stored).toBe(30_000);
    alarm.only(Number.POSITIVE_INFINITY);
    expect(storage.stored).toBeNull();
    storage.now = 50_000;
    alarm.check();
    expect(storage.stored).toBeNull();
  });

  it("[NODE-22] does not wait for a time that was postponed by setting the clock back", () => {
    const { storage, alarm } = make();
    alarm.ensure(20_000);
    storage.now = -3_600_000;
    alarm.ensure(storage.now + TICK);
    expect(storage.stored).toBe(storage.now + TICK);
  });
});
