import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ExpiryQueue, Session, SessionTable } from "../../../core/znode/session.ts";
import {
  anonymousSession,
  CreateMode,
  isAnonymous,
  makeSessionId,
  NO_SESSION,
  type SessionId,
  sessionFromText,
  sessionToText,
} from "../../../core/znode/types.ts";
import { create, remove, sessionId, setData, World } from "./world.ts";

describe("sessions of the tree", () => {
  test("[SESSION-1] open and close by txns, with their ephemerals", () => {
    const world = new World();
    const session = world.open(1, 7000);
    expect(world.tree.sessions.get(session)).toMatchObject({
      id: session,
      timeoutMs: 7000,
      lastXid: 0,
      lastResult: null,
    });
    world.write(create("/e", CreateMode.EPHEMERAL), session);
    world.write(create("/p"), session);
    expect(world.tree.ephemeralsOf(session)).toEqual(new Set(["/e"]));
    world.write({ type: "closeSession" }, session);
    expect(world.tree.sessions.has(session)).toBe(false);
    expect(world.tree.get("/e")).toBeUndefined();
    expect(world.stat("/p").ephemeralOwner).toBe(NO_SESSION);
    expect(world.stat("/").pzxid).toEqual(world.last);
  });

  test("[SESSION-1] opening an open session again keeps its state", () => {
    const world = new World();
    const session = world.open(1);
    world.write(create("/e", CreateMode.EPHEMERAL), session);
    world.write({ type: "createSession", timeoutMs: 99 }, session);
    expect(world.tree.sessions.get(session)).toMatchObject({ timeoutMs: 99, lastXid: 1 });
    expect(world.stat("/e").ephemeralOwner).toBe(session);
  });

  test("[SESSION-3] the last result of each is kept, with its number and zxid; refusals are results too", () => {
    const world = new World();
    const session = world.open(1);
    const results = [
      create("/a"),
      setData("/a", "x"),
      remove("/none"),
      { type: "multi", ops: [] } as const,
      { type: "sync" } as const,
    ].map((request, i) => {
      const result = world.write(request, session);
      expect(world.tree.sessions.get(session)).toMatchObject({
        lastXid: i + 1,
        lastZxid: world.last,
        lastResult: result,
      });
      expect(world.tree.sessions.get(session)?.lastResult).toBe(result);
      return result.type;
    });
    expect(results).toEqual(["create", "setData", "error", "multi", "sync"]);
  });

  test("[SESSION-3] writes of the leader itself and without a session do not change it", () => {
    const world = new World();
    const session = world.open(1);
    world.write(create("/a"), session);
    const before = world.tree.sessions.get(session)?.lastResult;
    world.write(setData("/a", "x"));
    expect(world.tree.sessions.get(session)?.lastResult).toBe(before);
  });

  test("[SESSION-1] the table adds once, finds, and removes", () => {
    const table = new SessionTable();
    const session = new Session(sessionId(1), 1);
    table.add(session);
    expect(() => table.add(session)).toThrow(/added once/);
    expect(table.get(sessionId(1))).toBe(session);
    expect(table.get(sessionId(1))).toBe(session);
    expect([...table.values()]).toEqual([session]);
    expect(table.remove(sessionId(1))).toBe(true);
    expect(table.remove(sessionId(1))).toBe(false);
    expect(table.get(sessionId(1))).toBeUndefined();
    expect(table.size).toBe(0);
  });

  test("[SESSION-9] ids are safe integers that survive their text form; values that stand for no session are no ids", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 2 ** 49 - 1 }), (sid, random) => {
        const id = makeSessionId(sid, random);
        expect(Number.isSafeInteger(id)).toBe(true);
        expect(isAnonymous(id)).toBe(false);
        expect(sessionFromText(sessionToText(id))).toBe(id);
        const nobody = anonymousSession(sid, random, random % 2 ** 32);
        expect(isAnonymous(nobody)).toBe(true);
        expect(Number.isSafeInteger(nobody)).toBe(true);
      }),
    );
    for (const text of [
      "0x0",
      "",
      "0x",
      "12",
      "0xg",
      sessionToText(anonymousSession(1, 1, 1)),
      `0x${"f".repeat(16)}`,
    ]) {
      expect(sessionFromText(text)).toBeUndefined();
    }
  });
});

describe("expiry", () => {
  const TICK = 1000;
  const queue = (...timeouts: number[]): ExpiryQueue => {
    const made = new ExpiryQueue(TICK);
    for (const [i, timeoutMs] of timeouts.entries()) made.add(sessionId(i + 1), timeoutMs, 0);
    return made;
  };

  test("[SESSION-4] a deadline is the next tick strictly after the timeout", () => {
    const expiry = queue(1500, 2000, 0);
    expect([1, 2, 3].map((n) => expiry.deadlineOf(sessionId(n)))).toEqual([2000, 3000, 1000]);
    expect(expiry.nextDeadline()).toBe(1000);
    expect(expiry.expire(999)).toEqual([]);
    expect(expiry.expire(1000)).toEqual([sessionId(3)]);
    expect(expiry.expire(5000)).toEqual([sessionId(1), sessionId(2)]);
    expect([expiry.size, expiry.nextDeadline(), expiry.deadlineOf(sessionId(1))]).toEqual([
      0,
      undefined,
      undefined,
    ]);
  });

  test("[SESSION-4] a tick's sessions expire together, in the order of their ids, once", () => {
    const expiry = new ExpiryQueue(TICK);
    for (const n of [3, 1, 2]) expiry.add(sessionId(n), 100 * n, 0);
    expect(expiry.expire(1000)).toEqual([1, 2, 3].map(sessionId));
    expect(expiry.expire(1000)).toEqual([]);
  });

  test("[SESSION-5] a heartbeat restarts the full timeout and never moves a deadline back", () => {
    const expiry = queue(1500);
    expect(expiry.touch(sessionId(1), 1800)).toBe(true);
    expect(expiry.deadlineOf(sessionId(1))).toBe(4000);
    expect(expiry.touch(sessionId(1), 100)).toBe(true);
    expect(expiry.deadlineOf(sessionId(1))).toBe(4000);
    expect(expiry.expire(3999)).toEqual([]);
    expect(expiry.touch(sessionId(2), 0)).toBe(false);
    expiry.remove(sessionId(1));
    expiry.remove(sessionId(1));
    expect(expiry.touch(sessionId(1), 0)).toBe(false);
    expect(expiry.nextDeadline()).toBeUndefined();
  });

  test("[SESSION-6] a new leader gives every session its full timeout", () => {
    const expiry = queue(100, 200);
    const table = [new Session(sessionId(5), 3000), new Session(sessionId(6), 500)];
    expiry.restart(table, 10_000);
    expect(expiry.size).toBe(2);
    expect(expiry.deadlineOf(sessionId(1))).toBeUndefined();
    expect([expiry.deadlineOf(sessionId(5)), expiry.deadlineOf(sessionId(6))]).toEqual([14_000, 11_000]);
  });

  test("[SESSION-6] a stored deadline is restored unchanged, also one that has passed", () => {
    const expiry = new ExpiryQueue(TICK);
    expiry.restore(sessionId(1), 5000, 4000);
    expiry.restore(sessionId(2), 5000, 4001);
    expect([expiry.deadlineOf(sessionId(1)), expiry.deadlineOf(sessionId(2))]).toEqual([4000, 5000]);
    expect(expiry.expire(4500)).toEqual([sessionId(1)]);
  });

  test("[SESSION-4] no session expires before its timeout, and none lives a tick longer", () => {
    const event = fc.record({
      n: fc.integer({ min: 1, max: 4 }),
      wait: fc.nat(1500),
      kind: fc.constantFrom("touch", "expire", "add", "remove"),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.integer({ min: 1, max: 700 }), (events, tick) => {
        const expiry = new ExpiryQueue(tick);
        const heard = new Map<SessionId, { at: number; timeoutMs: number }>();
        let now = 0;
        for (const { n, wait, kind } of events) {
          now += wait;
          const id = sessionId(n);
          const known = heard.get(id);
          if (kind === "add") {
            expiry.add(id, n * 400, now);
            heard.set(id, { at: now, timeoutMs: n * 400 });
          } else if (kind === "remove") {
            expiry.remove(id);
            heard.delete(id);
          } else if (kind === "touch") {
            expect(expiry.touch(id, now)).toBe(known !== undefined);
            if (known !== undefined) known.at = now;
          } else {
            for (const gone of expiry.expire(now)) {
              const last = heard.get(gone);
              expect(now - (last?.at ?? Number.NaN)).toBeGreaterThan(last?.timeoutMs ?? Number.NaN);
              heard.delete(gone);
            }
            for (const { at, timeoutMs } of heard.values()) expect(now - at).toBeLessThan(timeoutMs + tick);
          }
          expect(expiry.size).toBe(heard.size);
          const deadlines = [...heard.keys()].map((each) => expiry.deadlineOf(each) ?? Number.NaN);
          expect(expiry.nextDeadline()).toBe(deadlines.length === 0 ? undefined : Math.min(...deadlines));
        }
      }),
    );
  });

  test("[SERVER-40] time in which no heartbeat was possible is added in full once, then less one to two ticks", () => {
    const expiry = new ExpiryQueue(TICK);
    const [silent, heard] = [sessionId(1), sessionId(2)];
    for (const id of [silent, heard]) expiry.add(id, 5 * TICK, 0);
    expiry.excuseAll(100 * TICK, 96 * TICK);
    expect(expiry.expire(100 * TICK)).toEqual([]);
    expect(expiry.deadlineOf(silent)).toBe(106 * TICK);
    expect([expiry.isExcused(silent), expiry.isExcused(heard)]).toEqual([true, true]);
    expiry.touch(heard, 101 * TICK);
    expect(expiry.isExcused(heard)).toBe(false);
    expiry.excuseAll(111 * TICK + 1, 10 * TICK + 1);
    expect(expiry.deadlineOf(silent)).toBe(115 * TICK);
    expect(expiry.deadlineOf(heard)).toBe(117 * TICK);
    for (let looks = 2, now = 111 * TICK; looks <= 6; looks++) {
      now += 3 * TICK + 1;
      expiry.excuseAll(now, 3 * TICK + 1);
      if (expiry.expire(now).includes(silent)) break;
      expect(looks).toBeLessThan(6);
    }
  });

  test("[SERVER-41] the sessions that a lost learner reported last get their full timeout, and only once", () => {
    const expiry = new ExpiryQueue(TICK);
    const [one, other] = [sessionId(1), sessionId(2)];
    for (const id of [one, other]) expiry.add(id, 5 * TICK, 0);
    expiry.touch(one, TICK, 3);
    expiry.touch(other, TICK, 2);
    expiry.learnerLeft(3, 4 * TICK);
    expiry.learnerLeft(3, 5 * TICK);
    expect([expiry.deadlineOf(one), expiry.deadlineOf(other)]).toEqual([10 * TICK, 7 * TICK]);
    expect(expiry.heardSince(3 * TICK)).toEqual([one]);
  });

  test("[SESSION-4] a tick must be a positive number of ms", () => {
    for (const tick of [0, -1, 0.5, Number.NaN]) expect(() => new ExpiryQueue(tick)).toThrow(/positive/);
  });
});
