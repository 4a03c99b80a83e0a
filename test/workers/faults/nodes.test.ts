/** Every fault of a node, on real objects: its effect, that the others detect it by themselves, and that it ends. */
import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { call, problemOf, send, until } from "../api/helpers.ts";
import { Victims } from "./helpers.ts";

describe.concurrent("a paused node", () => {
  it("[FAULT-8] is detected by the others, continues with its old memory, and loses nothing", async () => {
    const ensemble = await Victims.found("pause");
    const old = await ensemble.leader();
    const before = await ensemble.status(old);
    await ensemble.fault(old, "pause", { ttlMs: 600_000 });
    expect(await ensemble.faults(old)).toMatchObject([{ fault: "pause" }]);
    expect(await ensemble.status(old)).toBeUndefined();
    await ensemble.until(({ leader }) => leader !== null && leader !== old);
    await ensemble.write("/meanwhile");
    await ensemble.fault(old, "resume");
    await ensemble.whole();
    expect((await ensemble.status(old))?.boot).toBe(before?.boot);
    expect(await ensemble.children(old)).toContain("meanwhile");
    expect(await ensemble.faults(old)).toEqual([]);
  });

  it("[FAULT-9] continues by itself at the time limit, and at once when its memory is lost", async () => {
    const ensemble = await Victims.found("pause-ends");
    const victim = await ensemble.follower();
    const before = await ensemble.status(victim);
    await ensemble.fault(victim, "pause", { ttlMs: 300 });
    await ensemble.whole();
    expect((await ensemble.status(victim))?.boot).toBe(before?.boot);
    await ensemble.fault(victim, "pause");
    await ensemble.fault(victim, "crash");
    await ensemble.whole();
    expect((await ensemble.status(victim))?.boot).toBe((before?.boot ?? 0) + 1);
    expect(await ensemble.faults(victim)).toEqual([]);
  });
});

describe.concurrent("a cut", () => {
  it.each(["both", "in", "out"])(
    "[FAULT-10] around the leader (%s): the others elect another, it is back after",
    async (direction) => {
      const ensemble = await Victims.found(`cut-${direction}`);
      const old = await ensemble.leader();
      await ensemble.fault(old, "isolate", { direction, ttlMs: 600_000 });
      await ensemble.until(({ leader }) => leader !== null && leader !== old);
      await ensemble.write("/meanwhile");
      await ensemble.end(old, "isolate");
      await ensemble.whole();
      expect(await ensemble.children(old)).toContain("meanwhile");
    },
  );

  it("[FAULT-11] survives a crash of the node, and ends by itself", async () => {
    const ensemble = await Victims.found("cut-crash");
    const victim = await ensemble.follower();
    await ensemble.fault(victim, "isolate", { ttlMs: 600_000 });
    await ensemble.fault(victim, "crash");
    expect(await ensemble.faults(victim)).toMatchObject([{ fault: "isolate" }]);
    await ensemble.write("/meanwhile");
    // It is up and looks for the others in vain.
    await ensemble.until(({ nodes }) =>
      nodes.some((node) => node.up && node.sid === victim && node.role === "LOOKING"),
    );
    await ensemble.fault(victim, "isolate", { ttlMs: 100 });
    await ensemble.whole();
    expect(await ensemble.faults(victim)).toEqual([]);
  });
});

describe.concurrent("bad links", () => {
  it("[FAULT-12] that lose messages: the link breaks, no acknowledged write is lost", async () => {
    const ensemble = await Victims.found("drop");
    const victim = await ensemble.follower();
    const before = await ensemble.status(victim);
    await ensemble.fault(victim, "drop", { probability: 0.3, seed: 4, ttlMs: 600_000 });
    for (let i = 0; i < 10; i++) await ensemble.write(`/w${i}`);
    await ensemble.until(({ nodes }) =>
      nodes.some((node) => node.up && node.sid === victim && node.elections > (before?.elections ?? 0)),
    );
    await ensemble.end(victim, "drop");
    await ensemble.whole();
    for (const sid of [1, 2, 3]) expect(await ensemble.children(sid)).toHaveLength(11);
  });

  it("[FAULT-13] that are slow: a round trip takes as long as the delay, until the fault ends", async () => {
    const ensemble = await Victims.found("delay");
    const victim = await ensemble.follower();
    /** Waits for such a round trip between the leader at that time and the victim. */
    const untilRtt = (holds: (ms: number) => boolean) =>
      ensemble.until(({ leader, nodes }) => {
        const node = nodes.find(({ sid }) => sid === leader);
        const ping = node?.up === true ? node.pings.find(({ sid }) => sid === victim) : undefined;
        return ping !== undefined && ping.rttMs !== null && holds(ping.rttMs);
      });
    await ensemble.fault(victim, "delay", { delayMs: 150, jitterMs: 50, ttlMs: 600_000 });
    await untilRtt((ms) => ms >= 300);
    await ensemble.write("/slow");
    expect(await ensemble.children(victim)).toContain("slow");
    await ensemble.end(victim, "delay");
    await untilRtt((ms) => ms < 300);
    await ensemble.whole();
  });

  it("[FAULT-14] that deliver twice: a repeated call is carried out once", async () => {
    const ensemble = await Victims.found("twice");
    await ensemble.fault("all", "duplicate", { probability: 1, ttlMs: 600_000 });
    let made = 0;
    /** On a busy machine a leader may be missed for other reasons; not every time. */
    const epochs = async (): Promise<readonly number[]> => {
      const { epoch } = await ensemble.view();
      for (let i = 0; i < 10; i++) await ensemble.write(`/w${made++}`);
      return [epoch, (await ensemble.view()).epoch];
    };
    await until(epochs, ([before, after]) => before === after);
    const { session } = await (await send("POST", `${ensemble.prefix}/v1/sessions`, {})).json<{
      session: string;
    }>();
    const headers = { "zoo-session": session, "zoo-xid": "1" };
    await until(
      () => call(`${ensemble.prefix}/v1/znodes/n-?mode=sequential`, { method: "POST", headers }),
      ({ status }) => status === 201,
    );
    expect(await ensemble.children(await ensemble.follower())).toHaveLength(made + 2);
    await ensemble.heal();
  });

  it("[FAULT-15] whose returns fail: calls are carried out, and the caller considers the link broken", async () => {
    const ensemble = await Victims.found("returns");
    const old = await ensemble.leader();
    await ensemble.fault(old, "lose-return", { probability: 1, ttlMs: 600_000 });
    await ensemble.until(({ leader }) => leader !== null && leader !== old);
    await ensemble.write("/meanwhile");
    await ensemble.end(old, "lose-return");
    await ensemble.whole();
    expect(await ensemble.children(old)).toContain("meanwhile");
  });
});

describe.concurrent("a node that ends", () => {
  it("[FAULT-16] by a kill with a time limit returns by itself, without a request", async () => {
    const ensemble = await Victims.found("kill-ends");
    const { leader, epoch } = await ensemble.whole();
    await ensemble.fault(leader ?? 0, "kill", { ttlMs: 1_500 });
    await ensemble.until((view) => view.hasQuorum && view.epoch > epoch);
    await ensemble.whole();
    await ensemble.fault("all", "kill", { ttlMs: 300 });
    await ensemble.whole();
  });

  it("[FAULT-17] by an eviction has lost its memory only", async () => {
    const ensemble = await Victims.found("evict");
    await ensemble.write("/kept");
    const before = await ensemble.whole();
    await ensemble.fault("all", "evict");
    const after = await ensemble.whole();
    expect(after.nodes.map((node) => node.up && node.boot)).toEqual(
      before.nodes.map((node) => node.up && node.boot + 1),
    );
    expect(await ensemble.children(1)).toContain("kept");
  });

  it("[FAULT-18] together with all others: crashed nodes return, killed ones stay dead until they are revived", async () => {
    const ensemble = await Victims.found("all-at-once");
    await ensemble.write("/kept");
    await ensemble.fault("all", "crash");
    await ensemble.whole();
    await ensemble.fault("all", "kill");
    expect(await ensemble.view()).toMatchObject({
      hasQuorum: false,
      nodes: [{ up: false }, { up: false }, { up: false }],
    });
    expect(await ensemble.faults(2)).toEqual([{ fault: "kill", remainingMs: null }]);
    await ensemble.fault("all", "revive");
    await ensemble.whole();
    expect(await ensemble.children(3)).toContain("kept");
  });
});

describe.concurrent("bad storage", () => {
  it("[FAULT-19] wiped: the node keeps its identity, and gets everything else from the others", async () => {
    const ensemble = await Victims.found("wipe");
    for (let i = 0; i < 5; i++) await ensemble.write(`/w${i}`);
    const victim = await ensemble.leader();
    const stored = () =>
      runInDurableObject(
        env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`wipe/${victim}`)),
        (_object, { storage }) =>
          storage.sql.exec("SELECT key FROM meta WHERE key IN ('config', 'mark') ORDER BY key").toArray(),
      );
    await runInDurableObject(
      env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`wipe/${victim}`)),
      (_object, { storage }) => {
        storage.sql.exec("INSERT INTO meta (key, value) VALUES ('mark', 'here')");
      },
    );
    expect(await stored()).toEqual([{ key: "config" }, { key: "mark" }]);
    await ensemble.fault(victim, "wipe");
    await ensemble.until(({ leader }) => leader !== null && leader !== victim);
    await ensemble.whole();
    expect(await stored()).toEqual([{ key: "config" }]);
    expect(await ensemble.children(victim)).toHaveLength(6);
  });

  it("[FAULT-20] no majority is wiped or corrupted unless it is forced", async () => {
    const ensemble = await Victims.found("wipe-majority");
    const victim = await ensemble.leader();
    const dead = (victim % 3) + 1;
    await ensemble.fault(dead, "kill");
    const wipe = (sid: number | "all", body: unknown) =>
      send("POST", `${ensemble.prefix}/v1/faults/nodes/${sid}/wipe`, body);
    await problemOf(await wipe(victim, {}), 409, "WOULD_LOSE_MAJORITY");
    const corrupted = await send("POST", `${ensemble.prefix}/v1/faults/nodes/${victim}/corrupt`, {});
    await problemOf(corrupted, 409, "WOULD_LOSE_MAJORITY");
    await ensemble.fault(dead, "revive");
    await ensemble.whole();
    await problemOf(await wipe("all", { force: false }), 409, "WOULD_LOSE_MAJORITY");
    expect((await wipe("all", { force: true })).status).toBe(200);
  });

  it("[FAULT-38] of several requested at the same time only so many are carried out that a majority stays whole", async () => {
    const ensemble = await Victims.found("wipes", 5);
    await ensemble.write("/kept");
    const boots = async (): Promise<readonly number[]> =>
      (await ensemble.whole()).nodes.map((node) => (node.up ? node.boot : 0));
    for (let round = 0; round < 5; round++) {
      // who was brought up by a SNAP has nothing in its log that could be corrupted
      await ensemble.write(`/round${round}`);
      const before = await boots();
      // one that is wiped cannot catch up, and be whole again, before all have decided; a fault outlives a wipe
      await ensemble.fault("all", "isolate", {});
      const answers = await Promise.all(
        [1, 2, 3, 4, 5].map((sid) =>
          send("POST", `${ensemble.prefix}/v1/faults/nodes/${sid}/${sid === 5 ? "corrupt" : "wipe"}`, {}),
        ),
      );
      // 504: it was not told in time
      for (const answer of answers) expect([200, 409, 504], await answer.text()).toContain(answer.status);
      const of = (status: number) => answers.filter((answer) => answer.status === status).length;
      await ensemble.heal();
      const after = await boots();
      const lost = after.filter((boot, at) => boot !== before[at]).length;
      expect(lost).toBeGreaterThanOrEqual(of(200));
      expect(lost).toBeLessThanOrEqual(Math.min(2, of(200) + of(504)));
      expect(await ensemble.children(1)).toContain("kept");
    }
  });

  it("[FAULT-38] a wipe after another fault is carried out or refused, but never lost", async () => {
    const ensemble = await Victims.found("wipe-crash");
    await ensemble.write("/kept");
    for (let round = 0; round < 10; round++) {
      const victim = (round % 3) + 1;
      // a stub is of no use any more when its object has died
      const object = () => env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`wipe-crash/${victim}`));
      await ensemble.whole();
      await runInDurableObject(object(), (_object, { storage }) => {
        storage.sql.exec("INSERT OR REPLACE INTO meta (key, value) VALUES ('mark', 'here')");
      });
      const path = `${ensemble.prefix}/v1/faults/nodes/${victim}`;
      const [wiped] = await Promise.all([
        send("POST", `${path}/wipe`, {}),
        call(`${path}/crash`, { method: "POST" }),
      ]);
      await ensemble.whole();
      const marks = await runInDurableObject(object(), (_object, { storage }) =>
        storage.sql.exec("SELECT key FROM meta WHERE key = 'mark'").toArray(),
      );
      expect([200, 409, 504], await wiped.text()).toContain(wiped.status);
      if (wiped.status !== 504) expect(marks).toHaveLength(wiped.status === 200 ? 0 : 1);
    }
  });

  it.each(["oldest", "newest"])(
    "[FAULT-21] a bit of the %s row of the log is flipped: nothing wrong is served, and the row can be mended",
    async (row) => {
      const ensemble = await Victims.found(`corrupt-${row}`);
      for (let i = 0; i < 10; i++) await ensemble.write(`/w${i}`);
      const victim = await ensemble.follower();
      await ensemble.fault(victim, "corrupt", { row });
      for (let i = 10; i < 15; i++) await ensemble.write(`/w${i}`);
      await ensemble.heal();
      for (const sid of [1, 2, 3]) expect(await ensemble.children(sid)).toHaveLength(16);
    },
  );

  it("[FAULT-22] slow: writes take as long as the delay, and are not lost", async () => {
    const ensemble = await Victims.found("slow");
    await ensemble.fault("all", "slow-storage", { delayMs: 200 });
    const start = Date.now();
    await ensemble.write("/slow");
    expect(Date.now() - start).toBeGreaterThanOrEqual(200);
    await ensemble.heal();
    expect(await ensemble.children(1)).toContain("slow");
  });
});

describe.concurrent("a wrong clock", () => {
  it.each([600_000, -600_000])(
    "[FAULT-23] by %i ms at every node in turn: the ensemble continues, also when it is right again",
    async (skewMs) => {
      const ensemble = await Victims.found(`skew${skewMs}`);
      for (const sid of [1, 2, 3]) {
        await ensemble.fault(sid, "skew", { skewMs });
        await ensemble.write(`/ahead${sid}`);
        await ensemble.whole();
        await ensemble.end(sid, "skew");
        await ensemble.write(`/right${sid}`);
        await ensemble.whole();
      }
      expect(await ensemble.children(1)).toHaveLength(7);
    },
  );

  it("[FAULT-35] set back does not stop time: a silent leader is still detected", async () => {
    const ensemble = await Victims.found("back");
    const old = await ensemble.leader();
    for (const sid of [1, 2, 3].filter((each) => each !== old)) {
      await ensemble.fault(sid, "skew", { skewMs: -600_000, ttlMs: 600_000 });
    }
    await ensemble.write("/behind");
    await ensemble.fault(old, "pause", { ttlMs: 600_000 });
    await ensemble.until(({ leader }) => leader !== null && leader !== old);
    await ensemble.heal();
  });
});

describe.concurrent("an ensemble that sleeps", () => {
  it("[FAULT-36] is not woken by the list of faults, nor by healing without a fault; broken and healed it serves", async () => {
    const ensemble = await Victims.found("sleeper");
    await ensemble.write("/before");
    const sleep = () =>
      until(
        () => ensemble.view(),
        ({ quiet, nodes }) => quiet && nodes.every(({ up }) => up),
      );
    const asleep = await sleep();
    expect(await ensemble.faults(1)).toEqual([]);
    const healed = await call(`${ensemble.prefix}/v1/faults/heal`, { method: "POST" });
    expect(healed.status).toBe(200);
    expect(await sleep()).toEqual(asleep);
    await ensemble.fault(1, "crash");
    await ensemble.fault(2, "pause");
    await ensemble.fault(3, "kill");
    expect((await ensemble.faults(2)).map(({ fault }) => fault)).toEqual(["pause"]);
    await ensemble.heal();
    for (const sid of [1, 2, 3]) expect(await ensemble.children(sid)).toContain("before");
  });
});
