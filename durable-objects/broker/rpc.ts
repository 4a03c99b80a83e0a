/** The RPC interface of a broker. Only plain data are sent; operating errors are values. */

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
  /** −1 if it was never started */
  readonly id: number;
  /** its session with the ensemble; null while it has none */
  readonly session: SessionId | null;
  readonly registered: boolean;
  readonly isController: boolean;
  /** number of starts of this broker */
  readonly boot: number;
  /** asleep with the ensemble; all other fields are as of the time when it fell asleep */
  readonly quiet: boolean;
  /** ms since 1970; null while awake */
  readonly quietSince: number | null;
  readonly counters: Counters;
  /** greatest depth of an event so far; the platform allows 16. Absent in an earlier version */
  readonly callDepth?: number;
}

/** Lasting faults of a broker. Faults of links affect all its calls: to nodes, brokers and partitions. */
export const BROKER_FAULTS = [
  "kill",
  "pause",
  "isolate",
  "drop",
  "delay",
  "duplicate",
  "lose-return",
] as const satisfies readonly FaultName[];

/** A fault of a broker. `ttlMs` null: until it is healed. */
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
  /** Does not wake the broker. @param depth depth of the calling event, as in all methods here; absent if unknown */
  status(depth?: number): Promise<BrokerStatus>;
  metadata(): Promise<BrokerAnswer<ClusterMetadata>>;
  /** The leadership of a partition, as stored in the ensemble; null if it has no leader or does not exist. */
  leadershipOf(topicId: string, partition: number, depth?: number): Promise<BrokerAnswer<Leadership | null>>;
  createTopic(request: TopicRequest): Promise<BrokerAnswer<TopicMetadata>>;
  deleteTopic(name: string): Promise<BrokerAnswer<null>>;
  demoMetadata(request: DemoMetadataRequest): Promise<BrokerAnswer<DemoMetadataAnswer>>;
  /**
   * A call that is kept open: when it breaks, the caller has detected a crash. Returns after `parkMs`, or ASLEEP when the
   * broker sleeps.
   */
  park(from: number, depth?: number): Promise<Parked>;
  /** Reports that the ensemble is awake again, in this epoch. Returns the broker's session; null if it has none. */
  wake(epoch: number, depth?: number): Promise<SessionId | null>;
  /** Kill and crash end the object, so the call itself rejects. */
  fault(fault: "kill" | "revive" | "crash" | BrokerFault): Promise<void>;
  /** Ends one fault, or all. @returns those that were active */
  heal(fault?: FaultName): Promise<readonly FaultName[]>;
  /** The active faults, also of a broker that is killed or paused. */
  faults(): Promise<readonly FaultView[]>;
}
