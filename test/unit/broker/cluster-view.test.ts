import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ClusterView, metadataOf, ReadCache, readMissing } from "../../../core/broker/cluster-view.ts";
import { baseZnodes } from "../../../core/broker/znodes.ts";
import { zxidToText } from "../../../core/zab/zxid.ts";
import type { SessionId } from "../../../core/znode/types.ts";
import { Cluster } from "./cluster.ts";

/** Paths of the conditions that no longer hold, as a node would find them. */
function outdated(cluster: Cluster, view: ClusterView): string[] {
  return view.conditions.flatMap(({ path, kind, since }) => {
    const node = cluster.tree.get(path);
    const stat = node && cluster.tree.stat(node);
    const now = stat === undefined ? "0x0" : zxidToText(kind === "data" ? stat.mzxid : stat.pzxid);
    return now === since ? [] : [path];
  });
}

/** A reader that remembers, told of changes by its conditions only. */
class Follower {
  readonly #cache = new ReadCache();
  #view: ClusterView | undefined;

  read(cluster: Cluster): ClusterView {
    for (const path of this.#view === undefined ? [] : outdated(cluster, this.#view))
      this.#cache.forget(path);
    this.#view = cluster.view(this.#cache.read());
    return this.#view;
  }
}

describe("the view of the cluster", () => {
  test("[CONTROLLER-13] a view read by changes alone equals a full read", () => {
    const step = fc.record({
      type: fc.constantFrom("join", "leave", "create", "delete", "settle", "bounce"),
      id: fc.nat(3),
      look: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const cluster = new Cluster();
        const follower = new Follower();
        const sessions = new Map<number, SessionId>();
        const leave = (id: number): void => {
          const session = sessions.get(id);
          if (session !== undefined) cluster.leave(session);
          sessions.delete(id);
        };
        let topics = 0;
        for (const { type, id, look } of steps) {
          if (type === "leave" || type === "bounce") leave(id);
          if ((type === "join" || type === "bounce") && !sessions.has(id)) sessions.set(id, cluster.join(id));
          if (type === "create") cluster.createTopic(`t${id}`, { 0: [0, 1], 1: [id] }, `id${topics++}`);
          if (type === "delete") cluster.requestDeletion(`t${id}`);
          const [first] = sessions;
          if (type === "settle" && first !== undefined) {
            if (cluster.view().controller === undefined) cluster.elect(first[1], first[0]);
            cluster.settle(cluster.view().controller?.session ?? first[1]);
          }
          // a reader that looks rarely misses steps, never their outcome
          if (look) expect(follower.read(cluster)).toEqual(cluster.view());
        }
        expect(follower.read(cluster)).toEqual(cluster.view());
      }),
      { numRuns: 300 },
    );
  });

  test("[CONTROLLER-13] a change costs a few reads, however many partitions there are", () => {
    const cluster = new Cluster();
    const session = cluster.join(0);
    cluster.elect(session, 0);
    for (let i = 0; i < 10; i++)
      cluster.createTopic(`t${i}`, Object.fromEntries(Array.from({ length: 60 }, (_, p) => [p, [0]])));
    cluster.settle(session);
    const follower = new Follower();
    follower.read(cluster);
    cluster.join(1);
    cluster.reads = 0;
    expect(metadataOf(follower.read(cluster)).brokers).toHaveLength(2);
    expect(cluster.reads).toBeLessThan(10);
  });

  test("[BROKER-11] missing znodes of the base are found, and no others", () => {
    const cluster = new Cluster();
    const base = baseZnodes("other");
    const missing = (): string[] => {
      const steps = readMissing(base);
      const first = steps.next();
      if (first.done) return [];
      const last = steps.next(
        first.value.map(({ path }) => {
          const node = cluster.tree.get(path);
          return node && { data: node.data, children: [], stat: cluster.tree.stat(node) };
        }),
      );
      return last.done ? last.value.map(({ path }) => path) : [];
    };
    expect(missing()).toEqual([]);
    cluster.write(0 as SessionId, { type: "delete", path: "/admin/delete_topics", version: -1 });
    expect(missing()).toEqual(["/admin/delete_topics"]);
  });
});
