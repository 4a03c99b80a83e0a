import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { controllerViewOf, metadataOf } from "../../../core/broker/cluster-view.ts";
import { announcements, assignReplicas, electLeader, nextState } from "../../../core/broker/controller.ts";
import { statePath, topicPath } from "../../../core/broker/znodes.ts";
import type { SessionId } from "../../../core/znode/types.ts";
import { Cluster } from "./cluster.ts";

/** Leader and leader epoch of a partition. */
function leaderOf(cluster: Cluster, topic: string, partition = 0): [number, number] {
  const found = metadataOf(cluster.view()).topics.find((each) => each.name === topic);
  const state = found?.partitions.find((each) => each.partition === partition);
  return [state?.leader ?? -1, state?.leaderEpoch ?? -1];
}

describe("the election of the controller", () => {
  test("[CONTROLLER-1] one broker wins, the epoch rises by one, the others are refused", () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.join(0), cluster.join(1)];
    expect(cluster.elect(a, 0)).toBeUndefined();
    expect(cluster.elect(b, 1)).toBe("NODE_EXISTS");
    expect(cluster.view()).toMatchObject({ controller: { id: 0, session: a }, controllerEpoch: 1 });
    cluster.leave(a);
    expect(cluster.view().controller).toBeUndefined();
    expect(cluster.elect(b, 1)).toBeUndefined();
    expect(cluster.view()).toMatchObject({ controller: { id: 1, session: b }, controllerEpoch: 2 });
  });

  test("[CONTROLLER-2] a deposed controller changes nothing", () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.join(0), cluster.join(1)];
    cluster.elect(a, 0);
    cluster.createTopic("t", { 0: [0, 1] });
    const late = cluster.plan();
    expect(late).toHaveLength(1);
    cluster.write(a, { type: "delete", path: "/controller", version: -1 });
    cluster.elect(b, 1);
    for (const { ops } of late) expect(cluster.multi(a, ops)).toBe("BAD_VERSION");
    expect(cluster.tree.get(statePath("t", 0))).toBeUndefined();
    cluster.settle(b);
    expect(leaderOf(cluster, "t")).toEqual([0, 0]);
  });
});

describe("leaders of partitions", () => {
  test("[CONTROLLER-3] a new topic gets its first live replica as leader of every partition", () => {
    const cluster = new Cluster();
    const a = cluster.join(0);
    cluster.join(2);
    cluster.elect(a, 0);
    cluster.createTopic("t", { 0: [0, 1, 2], 1: [1, 2, 0], 2: [1] });
    expect(cluster.settle(a)).toBe(1);
    expect(leaderOf(cluster, "t", 0)).toEqual([0, 0]);
    expect(leaderOf(cluster, "t", 1)).toEqual([2, 0]);
    // no replica lives: the log belongs to no broker, so any live one may lead it
    expect(leaderOf(cluster, "t", 2)).toEqual([0, 0]);
    expect(announcements(controllerViewOf(cluster.view()))).toMatchObject([
      {
        topic: "t",
        topicId: "id-t",
        partition: 0,
        leader: 0,
        leaderEpoch: 0,
        controllerEpoch: 1,
        isr: [0, 2],
      },
      { partition: 1, leader: 2, isr: [2, 0] },
      { partition: 2, leader: 0, isr: [0] },
    ]);
  });

  test("[CONTROLLER-4] when the leader dies a live broker leads under the next leader epoch", () => {
    const cluster = new Cluster();
    const sessions = [0, 1, 2].map((id) => cluster.join(id));
    cluster.elect(sessions[1] as SessionId, 1);
    cluster.createTopic("t", { 0: [0, 1, 2] });
    cluster.settle(sessions[1] as SessionId);
    expect(leaderOf(cluster, "t")).toEqual([0, 0]);
    cluster.leave(sessions[0] as SessionId);
    expect(cluster.settle(sessions[1] as SessionId)).toBe(1);
    expect(leaderOf(cluster, "t")).toEqual([1, 1]);
  });

  test("[CONTROLLER-5] a broker that comes or goes without leading changes the ISR, never the leader epoch", () => {
    const cluster = new Cluster();
    const sessions = [0, 1, 2].map((id) => cluster.join(id));
    const controller = sessions[0] as SessionId;
    cluster.elect(controller, 0);
    cluster.createTopic("t", { 0: [0, 1, 2] });
    cluster.settle(controller);
    cluster.leave(sessions[2] as SessionId);
    cluster.settle(controller);
    expect(metadataOf(cluster.view()).topics[0]?.partitions[0]).toEqual({
      partition: 0,
      leader: 0,
      leaderEpoch: 0,
      isr: [0, 1],
      replicas: [0, 1, 2],
    });
    cluster.join(2);
    cluster.settle(controller);
    expect(metadataOf(cluster.view()).topics[0]?.partitions[0]).toMatchObject({
      leaderEpoch: 0,
      isr: [0, 1, 2],
    });
  });

  test("[CONTROLLER-6] a change of the state that the controller has not seen stops its write", () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.join(0), cluster.join(1)];
    cluster.elect(a, 0);
    cluster.createTopic("t", { 0: [1, 0] });
    cluster.settle(a);
    cluster.leave(b);
    const plan = cluster.plan();
    const state = cluster.tree.get(statePath("t", 0));
    cluster.write(a, { type: "setData", path: statePath("t", 0), data: state?.data ?? null, version: -1 });
    for (const { ops } of plan) expect(cluster.multi(a, ops)).toBe("BAD_VERSION");
    cluster.settle(a);
    expect(leaderOf(cluster, "t")).toEqual([0, 1]);
  });

  test("[CONTROLLER-7] many partitions are changed in multis of a bounded size", () => {
    const cluster = new Cluster();
    const a = cluster.join(0);
    cluster.elect(a, 0);
    cluster.createTopic("t", Object.fromEntries(Array.from({ length: 64 }, (_, p) => [p, [0]])));
    const plan = cluster.plan();
    expect(
      plan.map(({ ops }) => ops.filter((op) => "path" in op && op.path.endsWith("/state")).length),
    ).toEqual([30, 30, 4]);
    for (const { ops } of plan) expect(ops[0]).toMatchObject({ type: "check", path: "/controller_epoch" });
    cluster.settle(a);
    expect(announcements(controllerViewOf(cluster.view()))).toHaveLength(64);
  });

  test("[CONTROLLER-8] a deleted topic leaves no state, and its objects are emptied first", () => {
    const cluster = new Cluster();
    const a = cluster.join(0);
    cluster.elect(a, 0);
    cluster.createTopic("t", { 0: [0], 1: [0] });
    cluster.createTopic("stays", { 0: [0] });
    cluster.settle(a);
    cluster.requestDeletion("t");
    cluster.requestDeletion("never");
    const plan = cluster.plan();
    expect(plan.flatMap((write) => write.removal ?? [])).toEqual([
      { topic: "t", topicId: "id-t", partitions: [0, 1] },
    ]);
    expect(metadataOf(cluster.view()).topics.map((each) => each.name)).toEqual(["stays"]);
    expect(announcements(controllerViewOf(cluster.view())).map((each) => each.topic)).toEqual(["stays"]);
    cluster.settle(a);
    expect(cluster.tree.get(topicPath("t"))).toBeUndefined();
    expect(cluster.tree.children("/admin/delete_topics")).toEqual([]);
    expect(leaderOf(cluster, "stays")).toEqual([0, 0]);
  });

  test("[CONTROLLER-9] znodes that no broker wrote are ignored or overwritten", () => {
    const cluster = new Cluster();
    const a = cluster.join(0);
    cluster.elect(a, 0);
    const junk = Uint8Array.of(0xff, 1);
    const put = (path: string, data: Uint8Array | null) =>
      cluster.write(a, { type: "create", path, data, mode: 0, withStat: false });
    put("/brokers/topics/broken", junk);
    put("/brokers/topics/a b", null);
    put("/brokers/ids/x", null);
    put("/brokers/ids/7", null);
    cluster.createTopic("t", { 0: [0] });
    put("/brokers/topics/t/partitions", null);
    put("/brokers/topics/t/partitions/0", null);
    put(statePath("t", 0), junk);
    expect(cluster.view().brokers.map((each) => each.id)).toEqual([0]);
    cluster.settle(a);
    expect(leaderOf(cluster, "t")).toEqual([0, 0]);
  });

  test("[CONTROLLER-10] after any events the controller settles, leaders are alive, and epochs rise with every new leader", () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant("join" as const), id: fc.nat(4) }),
      fc.record({ type: fc.constant("leave" as const), id: fc.nat(4) }),
      fc.record({ type: fc.constant("create" as const), id: fc.nat(3) }),
      fc.record({ type: fc.constant("delete" as const), id: fc.nat(3) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const cluster = new Cluster();
        const sessions = new Map<number, SessionId>();
        const last = new Map<string, [number, number]>();
        let generation = 0;
        for (const { type, id } of steps) {
          if (type === "join" && !sessions.has(id)) sessions.set(id, cluster.join(id));
          if (type === "leave") {
            const session = sessions.get(id);
            if (session !== undefined) cluster.leave(session);
            sessions.delete(id);
          }
          if (type === "create")
            cluster.createTopic(`t${id}`, { 0: [id, (id + 1) % 5], 1: [(id + 2) % 5] }, `id${generation++}`);
          if (type === "delete") cluster.requestDeletion(`t${id}`);
          const controller = cluster.view().controller ?? { id: -1, session: undefined };
          if (controller.session === undefined && sessions.size > 0) {
            const [first, session] = [...sessions][0] ?? [0, 0 as SessionId];
            cluster.elect(session, first);
          }
          const now = cluster.view().controller;
          if (now === undefined) continue;
          cluster.settle(now.session);
          for (const topic of metadataOf(cluster.view()).topics) {
            for (const { partition, leader, leaderEpoch, isr } of topic.partitions) {
              expect(sessions.has(leader)).toBe(true);
              expect(isr).toContain(leader);
              const key = `${topic.topicId}/${partition}`;
              const before = last.get(key);
              if (before !== undefined) {
                if (before[0] === leader) expect(leaderEpoch).toBe(before[1]);
                else expect(leaderEpoch).toBe(before[1] + 1);
              }
              last.set(key, [leader, leaderEpoch]);
            }
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe("choices", () => {
  test("[CONTROLLER-3] the first live replica leads, else the lowest live broker, else none", () => {
    expect(electLeader([3, 1], [1, 2, 3])).toBe(3);
    expect(electLeader([3, 1], [1, 2])).toBe(1);
    expect(electLeader([3], [1, 2])).toBe(1);
    expect(electLeader([3], [])).toBeUndefined();
    expect(nextState([3], undefined, { live: [], controllerEpoch: 1 })).toBeUndefined();
  });

  test("[CONTROLLER-11] leaders and replicas of a new topic are distributed round robin over the live brokers", () => {
    const assignment = assignReplicas([0, 1, 2, 3], 5, 3, 1);
    expect([...assignment.values()]).toEqual([
      [1, 2, 3],
      [2, 3, 0],
      [3, 0, 1],
      [0, 1, 2],
      [1, 2, 3],
    ]);
    expect([...assignReplicas([5], 2, 3, 9).values()]).toEqual([[5], [5]]);
    expect([...assignReplicas([], 1, 3, 0).values()]).toEqual([[]]);
  });
});
