/** Changes of controllers: their calls to the partitions arrive in any order, and some are lost. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { controllerViewOf, metadataOf } from "../../../core/broker/cluster-view.ts";
import { announcements, type ControllerWrite } from "../../../core/broker/controller.ts";
import {
  checkLeaderEpoch,
  decideLeadership,
  EMPTY_PARTITION,
  type Leadership,
  type PartitionState,
} from "../../../core/broker/partition.ts";
import type { SessionId } from "../../../core/znode/types.ts";
import { Cluster } from "./cluster.ts";

const BROKERS = [0, 1, 2, 3];

/** A cluster whose brokers act one step at a time, each on what it read last. */
class World {
  readonly cluster = new Cluster();
  readonly sessions = new Map<number, SessionId>();
  /** what each broker would write next, if it believes itself the controller */
  readonly plans = new Map<number, ControllerWrite[]>();
  /** words to the partition that are under way */
  readonly mail: Leadership[] = [];
  partition: PartitionState = EMPTY_PARTITION;
  /** map leader epoch → the one leader it ever had */
  readonly leaders = new Map<number, number>();
  refusedWrites = 0;

  constructor() {
    for (const id of BROKERS) this.join(id);
    this.cluster.createTopic("t", { 0: [0, 1, 2] });
  }

  join(id: number): void {
    if (!this.sessions.has(id)) this.sessions.set(id, this.cluster.join(id));
  }

  /** The session ends; the broker may not know it, and may continue with its plans. */
  expire(id: number): void {
    const session = this.sessions.get(id);
    if (session !== undefined) this.cluster.leave(session);
    this.sessions.delete(id);
  }

  /** The first live broker from `id` on stands for election as controller. */
  elect(id: number): void {
    const live = BROKERS.map((_, i) => (id + i) % BROKERS.length).find((each) => this.sessions.has(each));
    const session = live === undefined ? undefined : this.sessions.get(live);
    if (live !== undefined && session !== undefined) this.cluster.elect(session, live);
  }

  /** The controller reads the cluster, plans and announces leaders. */
  read(): void {
    const view = this.cluster.view();
    const id = view.controller?.id;
    if (id === undefined) return;
    this.plans.set(id, [...this.cluster.plan()]);
    this.mail.push(...announcements(controllerViewOf(view)));
  }

  /** The broker carries out one planned write, however old the plan is. */
  write(id: number): void {
    const next = this.plans.get(id)?.shift();
    const session = this.sessions.get(id) ?? (0 as SessionId);
    if (next !== undefined && this.cluster.multi(session, next.ops) !== undefined) this.refusedWrites += 1;
  }

  /** One word arrives, or is lost. */
  deliver(pick: number, lost: boolean): void {
    const [word] = this.mail.splice(pick % Math.max(1, this.mail.length), 1);
    if (word === undefined || lost) return;
    const before = this.partition.leadership;
    const decision = decideLeadership(this.partition, word);
    if (!decision.ok) return;
    this.partition = decision.state;
    expect(word.leaderEpoch).toBeGreaterThanOrEqual(before?.leaderEpoch ?? 0);
    expect(word.controllerEpoch).toBeGreaterThanOrEqual(before?.controllerEpoch ?? 0);
    const known = this.leaders.get(word.leaderEpoch);
    if (known !== undefined) expect(word.leader).toBe(known);
    this.leaders.set(word.leaderEpoch, word.leader);
  }

  /** No more faults: a controller is elected, acts and is heard. */
  heal(): void {
    for (const id of BROKERS) this.join(id);
    if (this.cluster.view().controller === undefined) this.elect(0);
    this.cluster.settle(this.cluster.view().controller?.session ?? (0 as SessionId));
    this.read();
    while (this.mail.length > 0) this.deliver(0, false);
  }
}

const broker = fc.constantFrom(...BROKERS);
const often = <T>(arbitrary: fc.Arbitrary<T>) => ({ arbitrary, weight: 3 });
const step = fc.oneof(
  fc.record({ type: fc.constant("join" as const), id: broker }),
  fc.record({ type: fc.constant("expire" as const), id: broker }),
  fc.record({ type: fc.constant("elect" as const), id: broker }),
  often(fc.record({ type: fc.constant("read" as const), id: broker })),
  often(fc.record({ type: fc.constant("write" as const), id: broker })),
  often(fc.record({ type: fc.constant("deliver" as const), pick: fc.nat(20), lost: fc.boolean() })),
);

describe("failover", () => {
  test("[CONTROLLER-12] if messages and writes of old controllers are late or lost, epochs rise and the latest leadership wins", () => {
    let refused = 0;
    let delivered = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
        const world = new World();
        for (const each of steps) {
          if (each.type === "deliver") world.deliver(each.pick, each.lost);
          else world[each.type](each.id);
        }
        refused += world.refusedWrites;
        delivered += world.leaders.size;
        world.heal();
        const [state] = metadataOf(world.cluster.view()).topics[0]?.partitions ?? [];
        expect(world.partition.leadership).toMatchObject({
          leader: state?.leader,
          leaderEpoch: state?.leaderEpoch,
        });
        expect(BROKERS).toContain(state?.leader);
        expect(checkLeaderEpoch(world.partition, state?.leaderEpoch ?? -2)).toBeUndefined();
        for (const epoch of world.leaders.keys())
          if (epoch < (state?.leaderEpoch ?? 0))
            expect(checkLeaderEpoch(world.partition, epoch)).toMatchObject({ code: "FENCED_LEADER_EPOCH" });
      }),
      { numRuns: 400, seed: 20_061 },
    );
    // the run was worth something: late writes were refused, and partitions heard of several epochs
    expect(refused).toBeGreaterThan(5);
    expect(delivered).toBeGreaterThan(100);
  });
});
