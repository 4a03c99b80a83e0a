/** The faults of the broker profile: chooses them, and ends each. */
import { assertNever } from "../../core/assert.ts";
import type { Cluster } from "../cluster.ts";
import type { Chance } from "../random.ts";
import type { SimBroker } from "./broker.ts";
import type { BrokerFaultKind, BrokerOptions } from "./options.ts";
import type { SimPartition } from "./partition.ts";

/** What the faults act on. */
export interface BrokerNemesisPorts {
  readonly options: BrokerOptions;
  readonly chance: Chance;
  readonly cluster: Cluster;
  readonly brokers: readonly SimBroker[];
  readonly partitions: ReadonlyMap<string, SimPartition>;
  readonly count: (what: string) => void;
}

/** How long a fault lasts, ms: [least, most]. */
const LASTS_MS = [100, 9_000] as const;
/** How late the calls of a broker are, ms. */
const LATE_MS = [500, 6_000] as const;

/** Effects before and after which a partition crashes. */
const CRASH_EFFECTS = [
  "persist",
  "respond",
  "sync",
  "wakeTails",
  "tellTails",
  "deadline",
  "removeAll",
] as const;

/** Invariant: after {@link heal} no fault is active, and none begins. */
export class BrokerNemesis {
  readonly #ports: BrokerNemesisPorts;
  readonly #cut = new Set<number>();
  readonly #late = new Set<number>();
  #isOver = false;

  constructor(ports: BrokerNemesisPorts) {
    this.#ports = ports;
  }

  /** Whether all messages from and to this broker are lost. */
  isCut(broker: number): boolean {
    return this.#cut.has(broker);
  }

  /** Delay of a call of this broker to a partition, ms. */
  lateMs(broker: number): number {
    return this.#late.has(broker) ? this.#ports.chance.between(...LATE_MS) : 0;
  }

  begin(): void {
    const { chance, cluster, options } = this.#ports;
    cluster.after(chance.between(...options.everyMs), () => {
      if (this.#isOver) return;
      this.#strike(chance.oneOf(options.kinds));
      this.begin();
    });
  }

  heal(): void {
    const { cluster, brokers, partitions } = this.#ports;
    this.#isOver = true;
    this.#cut.clear();
    this.#late.clear();
    cluster.healCuts();
    for (const { sid, life } of cluster.members) if (life === null) cluster.start(sid);
    for (const broker of brokers) broker.start();
    for (const partition of partitions.values()) {
      partition.crashOrder = undefined;
      partition.rows.failures = 0;
    }
  }

  #strike(kind: BrokerFaultKind): void {
    const { chance, count } = this.#ports;
    count(`fault ${kind}`);
    switch (kind) {
      case "broker-crash":
        this.#endBroker(0);
        return;
      case "broker-kill":
        this.#endBroker(chance.between(...LASTS_MS));
        return;
      case "broker-cut":
        this.#for(this.#cut);
        return;
      case "broker-late-calls":
        this.#for(this.#late);
        return;
      case "partition-crash":
        this.#onPartition((partition) => partition.crash(chance.below(3)));
        return;
      case "partition-crash-at-effect":
        this.#onPartition((partition) => {
          partition.crashOrder = {
            effect: chance.oneOf(CRASH_EFFECTS),
            when: chance.oneOf(["before", "after"]),
            keep: chance.below(3),
          };
        });
        return;
      case "partition-disk-full":
        this.#onPartition((partition) => {
          partition.rows.failures = chance.between(1, 3);
        });
        return;
      case "node-crash":
        this.#crashNode();
        return;
      case "node-cut":
        this.#cutNode();
        return;
      default:
        assertNever(kind);
    }
  }

  #endBroker(ms: number): void {
    const { chance, brokers, cluster } = this.#ports;
    // prefer the controller, whose end has the most effects
    const controller = brokers.find(({ isController }) => isController);
    const broker = controller !== undefined && chance.oneIn(2) ? controller : chance.oneOf(brokers);
    if (!broker.isUp) return;
    broker.crash();
    cluster.after(ms, () => broker.start());
  }

  #for(faulty: Set<number>): void {
    const { chance, brokers, cluster } = this.#ports;
    const controller = brokers.find(({ isController }) => isController);
    const { id } = controller !== undefined && chance.oneIn(2) ? controller : chance.oneOf(brokers);
    faulty.add(id);
    cluster.after(chance.between(...LASTS_MS), () => faulty.delete(id));
  }

  #onPartition(act: (partition: SimPartition) => void): void {
    const { chance, partitions } = this.#ports;
    const all = [...partitions.values()];
    if (all.length > 0) act(chance.oneOf(all));
  }

  #crashNode(): void {
    const { chance, cluster } = this.#ports;
    const { sid } = chance.oneOf(cluster.members);
    if (cluster.member(sid).life === null) return;
    cluster.crash(sid, chance.below(3));
    cluster.after(chance.between(10, 3_000), () => {
      if (cluster.member(sid).life === null) cluster.start(sid);
    });
  }

  #cutNode(): void {
    const { chance, cluster } = this.#ports;
    cluster.isolate(chance.oneOf(cluster.members).sid);
    cluster.after(chance.between(...LASTS_MS), () => cluster.healCuts());
  }
}
