/** What a broker does over time: sessions, registration, elections, the controller's work, sleep; without a platform. */
import { describe, expect, test } from "vitest";
import { metadataOf, type TopicMetadata } from "../../../core/broker/cluster-view.ts";
import { BROKER_CONFIG } from "../../../core/broker/config.ts";
import type { Outcome, PartitionCall } from "../../../core/broker/program.ts";
import {
  brokerIdPath,
  decodeState,
  encodeControllerEpoch,
  PATHS,
  statePath,
} from "../../../core/broker/znodes.ts";
import { NO_SESSION } from "../../../core/znode/types.ts";
import { World } from "./runner.ts";

/** Three brokers that are registered, one of them the controller. */
function whole(): World {
  const world = new World(3);
  world.until(() => world.isWhole);
  return world;
}

const epochOf = (world: World): number => world.broker(0).loop.view?.controllerEpoch ?? -1;

/** Creates a topic at a broker. @returns its answer */
function create(world: World, id: number, name: string, partitions = 3): Outcome<TopicMetadata, string> {
  let answer: Outcome<TopicMetadata, string> | undefined;
  world.broker(id).start(world.broker(id).topics.create({ name, partitions }), (value) => {
    answer = value;
  });
  world.until(() => answer !== undefined);
  if (answer === undefined) throw new Error("the broker did not answer");
  return answer;
}

const partitionsOf = (world: World, id: number, name: string) =>
  metadataOf(world.broker(id).loop.view ?? raise("it is not registered")).topics.find(
    (topic) => topic.name === name,
  )?.partitions ?? [];

const raise = (message: string): never => {
  throw new Error(message);
};

describe("a broker's life", () => {
  test("[BROKER-60] brokers create the base once, register, and elect one controller under epoch 1", () => {
    const world = whole();
    expect(world.ensemble.tree.children(PATHS.brokerIds)).toEqual(["0", "1", "2"]);
    expect(world.ensemble.tree.get("/app")).toBeDefined();
    expect(epochOf(world)).toBe(1);
    const { ephemeralOwner } = world.ensemble.tree.stat(
      world.ensemble.tree.get(PATHS.controller) ?? raise("there is no controller"),
    );
    expect(ephemeralOwner).toBe(world.broker(world.controller ?? -1).session.id);
  });

  test("[BROKER-60] a broker whose session has expired opens another and registers under a new broker epoch", () => {
    const world = whole();
    const id = [0, 1, 2].find((each) => each !== world.controller) ?? raise("all are controllers");
    const { session } = world.broker(id);
    const [before, epoch] = [session.id, world.broker(id).loop.view?.brokers[id]?.brokerEpoch];
    world.ensemble.close(before);
    world.until(() => session.id !== before && world.isWhole);
    expect(session.id).not.toBe(NO_SESSION);
    expect(world.broker(id).stored).toBe(session.id);
    expect(world.broker(id).loop.view?.brokers[id]?.brokerEpoch).not.toBe(epoch);
  });

  test("[BROKER-60] a heartbeat of an expired session makes the broker drop it, and ends the wait for changes", () => {
    const world = whole();
    const id = [0, 1, 2].find((each) => each !== world.controller) ?? raise("all are controllers");
    const broker = world.broker(id);
    const before = broker.session.id;
    world.ensemble.close(before);
    broker.start(broker.session.touch());
    world.until(() => broker.session.id === NO_SESSION);
    world.until(() => world.isWhole);
    expect(broker.session.id).not.toBe(before);
  });

  test("[BROKER-60] a broker that crashed closes its stored session", () => {
    const world = whole();
    const broker = world.broker(1);
    const before = broker.stored ?? raise("nothing was stored");
    broker.crash();
    world.until(() => world.isWhole);
    expect(world.ensemble.has(before)).toBe(false);
    expect(broker.stored).toBe(broker.session.id);
  });

  test("[BROKER-60] a dead broker is detected by its parked call, long before its session expires", () => {
    const world = whole();
    const id = [0, 1, 2].find((each) => each !== world.controller) ?? raise("all are controllers");
    const session = world.broker(id).session.id;
    const from = world.nowMs;
    world.kill(id);
    world.until(() => world.isWhole);
    expect(world.ensemble.has(session)).toBe(false);
    expect(world.ensemble.tree.get(brokerIdPath(id))).toBeUndefined();
    expect(world.nowMs - from).toBeLessThan(BROKER_CONFIG.sessionTimeoutMs);
    world.revive(id);
    world.until(() => world.isWhole);
  });

  test("[BROKER-61] a controller that dies is replaced under the next controller epoch", () => {
    const world = whole();
    const old = world.controller ?? raise("there is none");
    world.kill(old);
    world.until(() => world.isWhole);
    expect(world.controller).not.toBe(old);
    const view = world.broker(world.controller ?? -1).loop.view;
    expect(view?.controllerEpoch).toBe(2);
    world.revive(old);
    world.until(() => world.isWhole);
    expect(world.broker(old).loop.isController).toBe(false);
  });

  test("[BROKER-61] a controller that is deposed between its read and its write changes nothing, and stops acting", () => {
    const world = whole();
    const old = world.controller ?? raise("there is none");
    const { session } = world.broker(old);
    let deposed = 0;
    world.beforeWrite = (writer, request) => {
      const isPlan = request.type === "multi" && request.ops[0]?.type === "check";
      if (deposed > 0 || writer !== session.id || !isPlan) return;
      deposed += 1;
      // its session lives on, and another broker is the controller in the eyes of the ensemble
      world.ensemble.write(NO_SESSION, 0, { type: "delete", path: PATHS.controller, version: -1 });
      const data = encodeControllerEpoch(9);
      world.ensemble.write(NO_SESSION, 0, {
        type: "setData",
        path: PATHS.controllerEpoch,
        data,
        version: -1,
      });
    };
    const other = [0, 1, 2].find((id) => id !== old) ?? raise("all are controllers");
    expect(create(world, other, "t")).toMatchObject({ ok: true });
    expect(deposed).toBe(1);
    world.until(() => world.isWhole);
    const state = decodeState(world.ensemble.tree.get(statePath("t", 0))?.data ?? null);
    expect(state?.controllerEpoch).toBeGreaterThanOrEqual(10);
    const epochs = world.told.flatMap((call) =>
      call.name === "leaderAndIsr" ? [call.leadership.controllerEpoch] : [],
    );
    expect(Math.min(...epochs)).toBeGreaterThanOrEqual(10);
  });

  test("[BROKER-62] a broker leaves a node that is down for another, with its session", () => {
    const world = whole();
    const sessions = world.brokers.map(({ session }) => session.id);
    for (const sid of [1, 2, 3]) {
      world.down.clear();
      world.down.add(sid);
      expect(create(world, 0, `t${sid}`)).toMatchObject({ ok: true });
    }
    expect(world.brokers.map(({ session }) => session.id)).toEqual(sessions);
  });

  test("[BROKER-62] requests end at their deadline if no node answers, and later ones succeed", () => {
    const world = whole();
    for (const sid of [1, 2, 3]) world.down.add(sid);
    expect(create(world, 0, "t")).toMatchObject({ ok: false, code: "NO_QUORUM" });
    world.down.clear();
    expect(create(world, 0, "t")).toMatchObject({ ok: true });
  });
});

describe("a broker's writes", () => {
  test("[BROKER-63] a write whose answer is lost is sent again under its number, and happens once", () => {
    const world = whole();
    for (const sid of [1, 2]) world.mute.add(sid);
    expect(create(world, 0, "t")).toMatchObject({ ok: true });
    const topic = world.ensemble.tree.get("/brokers/topics/t") ?? raise("there is no topic");
    expect(world.ensemble.tree.stat(topic).version).toBe(0);
    expect(create(world, 0, "t")).toMatchObject({ code: "TOPIC_ALREADY_EXISTS" });
  });

  test("[BROKER-63] are sent one after the other, in order, and too many are refused", () => {
    const world = whole();
    const { session } = world.broker(0);
    const answers: string[] = [];
    const write = (path: string) => {
      const request = { type: "create", path, data: null, mode: 0, withStat: false } as const;
      world.broker(0).start(session.write(request), (value) => {
        answers.push(value.ok ? path : value.code);
      });
    };
    for (let i = 0; i <= BROKER_CONFIG.writeQueueMax; i++) write(`/w${i}`);
    expect(answers).toEqual(["THROTTLED"]);
    expect(session.isWriting).toBe(true);
    world.until(() => answers.length > BROKER_CONFIG.writeQueueMax);
    expect(answers.slice(1)).toEqual(Array.from({ length: BROKER_CONFIG.writeQueueMax }, (_, i) => `/w${i}`));
    expect(session.isWriting).toBe(false);
  });

  test("[BROKER-63] fail when the session has ended; the code of a multi is that of the failed operation", () => {
    const world = whole();
    expect(create(world, 0, "t")).toMatchObject({ ok: true });
    const { session } = world.broker(0);
    world.ensemble.close(session.id);
    let code = "";
    const request = { type: "delete", path: "/none", version: -1 } as const;
    world.broker(0).start(session.write(request), (value) => {
      code = value.ok ? "OK" : value.code;
    });
    world.until(() => code !== "");
    expect(code).toBe("SESSION_EXPIRED");
  });
});

describe("the controller's work", () => {
  test("[BROKER-64] a new topic's partitions acknowledge their leaders before its creation is answered", () => {
    const world = whole();
    expect(create(world, 0, "t")).toMatchObject({ ok: true, value: { name: "t" } });
    const told = world.told.filter(({ name }) => name === "leaderAndIsr");
    expect(told.map(({ partition }) => partition).sort()).toEqual([0, 1, 2]);
  });

  test("[BROKER-64] a leadership is sent again, soon, to a partition that was not reached, and only to it", () => {
    const world = whole();
    let lost = 0;
    world.unreachable = ({ name, partition }) => {
      const isLost = name === "leaderAndIsr" && partition === 1 && lost < 3;
      if (isLost) lost += 1;
      return isLost;
    };
    const from = world.nowMs;
    expect(create(world, 0, "t")).toMatchObject({ ok: true });
    expect(lost).toBe(3);
    expect(world.nowMs - from).toBeLessThan(BROKER_CONFIG.readyDeadlineMs);
    const told = world.told.filter(({ name, partition }) => name === "leaderAndIsr" && partition === 0);
    expect(told).toHaveLength(1);
  });

  test("[BROKER-64] partitions of a dead leader get another one under the next leader epoch, and acknowledge it", () => {
    const world = whole();
    create(world, 0, "t");
    const before = partitionsOf(world, 0, "t");
    const victim = before.find(({ leader }) => leader !== 0 && leader !== world.controller) ?? before[0];
    if (victim === undefined) throw new Error("there is no partition");
    world.kill(victim.leader);
    const [alive = 0] = [0, 1, 2].filter((id) => id !== victim.leader);
    const now = () => partitionsOf(world, alive, "t").find(({ partition }) => partition === victim.partition);
    world.until(() => world.isWhole && now()?.leaderEpoch === victim.leaderEpoch + 1);
    expect(now()?.leader).not.toBe(victim.leader);
    const isTold = (call: PartitionCall): boolean =>
      call.name === "leaderAndIsr" &&
      call.partition === victim.partition &&
      call.leadership.leaderEpoch === victim.leaderEpoch + 1;
    world.until(() => world.told.some(isTold));
  });

  test("[BROKER-65] a topic's partitions are emptied before its znodes are deleted; an unreachable one prevents it", () => {
    const world = whole();
    create(world, 0, "t");
    let isLost = true;
    world.unreachable = ({ name, partition }) => isLost && name === "remove" && partition === 2;
    let answer: Outcome<null, string> | undefined;
    world.broker(0).start(world.broker(0).topics.delete("t"), (value) => {
      answer = value;
    });
    world.until(() => world.told.filter(({ name }) => name === "remove").length > 4);
    expect(world.ensemble.tree.get("/brokers/topics/t")).toBeDefined();
    isLost = false;
    world.until(() => answer !== undefined);
    expect(answer).toMatchObject({ ok: true });
    expect(world.ensemble.tree.get("/brokers/topics/t")).toBeUndefined();
    expect(world.told.some(({ name, partition }) => name === "remove" && partition === 2)).toBe(true);
  });

  test("[BROKER-65] after an unreachable partition the later ones are not called", () => {
    const world = whole();
    const partitions = BROKER_CONFIG.callsAtOnce * 3;
    create(world, 0, "t", partitions);
    const called: number[][] = [];
    let isLost = true;
    world.unreachable = ({ name, partition }) => {
      if (name !== "remove") return false;
      if (partition === 0) called.push([]);
      called.at(-1)?.push(partition);
      return isLost && partition === 1;
    };
    world.broker(0).start(world.broker(0).topics.delete("t"), () => undefined);
    world.until(() => called.length > 1);
    isLost = false;
    world.until(() => world.ensemble.tree.get("/brokers/topics/t") === undefined);
    expect(called[0]).toEqual(Array.from({ length: BROKER_CONFIG.callsAtOnce }, (_, i) => i));
    expect(called.at(-1)).toEqual(Array.from({ length: partitions }, (_, i) => i));
  });
});

describe("a broker's sleep", () => {
  const allAsleep = (world: World): boolean => world.brokers.every(({ asleep }) => asleep !== undefined);

  test("[BROKER-66] begins with the ensemble's, unless a client waits, and keeps the session", () => {
    const world = whole();
    const sessions = world.brokers.map(({ session }) => session.id);
    world.broker(0).isIdle = false;
    world.asleepIn = 1;
    world.until(() => world.brokers.filter(({ asleep }) => asleep !== undefined).length === 2);
    expect(world.broker(0).asleep).toBeUndefined();
    world.broker(0).isIdle = true;
    world.until(() => allAsleep(world));
    world.asleepIn = undefined;
    for (const broker of world.brokers) broker.wake(2);
    world.until(() => world.isWhole);
    expect(world.brokers.map(({ session }) => session.id)).toEqual(sessions);
  });

  test("[BROKER-66] stays over: a late report of a node about a sleep that has ended is ignored", () => {
    const world = whole();
    world.asleepIn = 1;
    world.until(() => allAsleep(world));
    for (const broker of world.brokers) broker.wake(2);
    // the nodes still say that they slept in epoch 1
    let rounds = 0;
    world.until(() => rounds++ > 500);
    expect(world.brokers.every(({ asleep }) => asleep === undefined)).toBe(true);
    world.asleepIn = 2;
    world.until(() => allAsleep(world));
  });
});
