/** What a broker answers over RPC. Only plain data crosses; operating errors are values. */

import type { BrokerIdentity } from "../../core/broker/broker-records.ts";
import type { ClusterMetadata, TopicMetadata } from "../../core/broker/cluster-view.ts";
import type { Leadership } from "../../core/broker/partition.ts";
import type { Parked } from "../../core/broker/program.ts";
import type { BrokerOutcome, TopicRequest } from "../../core/broker/topics.ts";
import type { DemoMetadataAnswer, DemoMetadataRequest } from "../../core/demo/goals.ts";
import type { SessionId } from "../../core/znode/types.ts";
import type { Counters } from "../shared/counters.ts";
import type { Fault, FaultName, FaultView } from "../shared/faults.ts";

/** The answer of a broker: operating errors are values. */
export type BrokerAnswer<T> = BrokerOutcome<T>;

/** Status of a broker. */
export interface BrokerStatus {
  /** −1 while it was never started */
  readonly id: number;
  /** its session of the ensemble; null while it has none */
  readonly session: SessionId | null;
  readonly registered: boolean;
  readonly isController: boolean;
  /** starts of this broker so far */
  readonly boot: number;
  /** asleep with the ensemble; all the rest is as it was when it fell asleep */
  readonly quiet: boolean;
  /** ms since 1970; null while awake */
  readonly quietSince: number | null;
  readonly counters: Counters;
  /** calls that led to the deepest event so far; the platform allows 16. Absent: an earlier version */
  readonly callDepth?: number;
}

/** Faults of a broker that last. Those of links are about all its calls: to nodes, brokers and partitions. */
export const BROKER_FAULTS = [
  "kill",
  "pause",
  "isolate",
  "drop",
  "delay",
  "duplicate",
  "lose-return",
] as const satisfies readonly FaultName[];

/** What can be done to a broker. `ttlMs` null: until it is healed. */
export type BrokerFault =
  | { readonly fault: "crash" }
  | (Fault & { readonly fault: (typeof BROKER_FAULTS)[number] } & {
      readonly ttlMs: number | null;
      readonly seed?: number;
    });

/**
 * The methods that the Worker and other brokers may call on a broker. A killed one rejects all of them but
 * those about faults with an Error whose message begins with `BROKER_DOWN`.
 */
export interface BrokerRpc {
  /** Starts the broker unless it runs; resolves at once. */
  start(identity: BrokerIdentity): Promise<void>;
  /** Does not wake the broker. @param depth of the event that calls, as in all methods here; absent: it is not known */
  status(depth?: number): Promise<BrokerStatus>;
  metadata(): Promise<BrokerAnswer<ClusterMetadata>>;
  /** Who leads a partition, as the ensemble says; null: no broker, or there is no such partition. */
  leadershipOf(topicId: string, partition: number, depth?: number): Promise<BrokerAnswer<Leadership | null>>;
  createTopic(request: TopicRequest): Promise<BrokerAnswer<TopicMetadata>>;
  deleteTopic(name: string): Promise<BrokerAnswer<null>>;
  demoMetadata(request: DemoMetadataRequest): Promise<BrokerAnswer<DemoMetadataAnswer>>;
  /**
   * A call that is held open: that it breaks is how others notice a crash. Returns after `parkMs`, or when the broker
   * sleeps, which it says.
   */
  park(from: number, depth?: number): Promise<Parked>;
  /** The ensemble is awake again, in this epoch. Returns the session that the broker has; null: none. */
  wake(epoch: number, depth?: number): Promise<SessionId | null>;
  /** As with a node: kill and crash end the object, so the call itself rejects. */
  fault(fault: "kill" | "revive" | "crash" | BrokerFault): Promise<void>;
  /** Ends one fault, or all. @returns those that were on */
  heal(fault?: FaultName): Promise<readonly FaultName[]>;
  /** What is on; also from a broker that is killed or paused. */
  faults(): Promise<readonly FaultView[]>;
}
