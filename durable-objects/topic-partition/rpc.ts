/** The RPC interface of a partition's object. Only plain data are sent; operating errors are values. */
import type { AppendRequest, AppendResult, IdempotencyKey, Leadership } from "../../core/broker/partition.ts";
import type {
  LogBounds,
  OffsetOfTime,
  PartitionAnswer,
  PartitionStatus,
  ReadAnswer,
  ReadRequest,
} from "../../core/broker/replica-messages.ts";
import type { Fault, FaultName, FaultView } from "../shared/faults.ts";

export type {
  LogBounds,
  PartitionAnswer,
  PartitionStatus,
  ReadAnswer,
  ReadRequest,
} from "../../core/broker/replica-messages.ts";

/** Lasting faults of a partition. Faults of links affect its calls to brokers. */
const PARTITION_FAULTS = ["kill", "pause", "skew", "slow-storage"] as const satisfies readonly FaultName[];

/** Faults of a partition. `ttlMs` null: until it is healed. */
export type PartitionFault =
  | { readonly fault: "crash" }
  | (Fault & { readonly fault: (typeof PARTITION_FAULTS)[number] } & { readonly ttlMs: number | null });

/**
 * The methods that the Worker and the controller may call on a partition. A killed one rejects all of them but those about
 * faults with an Error whose message begins with `PARTITION_DOWN`.
 */
export interface TopicPartitionRpc {
  /** Sets the leadership, as the controller decided; creates the partition. */
  leaderAndIsr(leadership: Leadership): Promise<PartitionAnswer<LogBounds>>;
  append(request: AppendRequest): Promise<AppendResult>;
  /** Stores a key for a request whose records go to other partitions. Code: IDEMPOTENCY_KEY_REUSED. */
  claim(input: {
    readonly key: IdempotencyKey;
    readonly leaderEpoch: number;
  }): Promise<PartitionAnswer<object>>;
  read(request: ReadRequest): Promise<PartitionAnswer<ReadAnswer>>;
  bounds(leaderEpoch: number): Promise<PartitionAnswer<LogBounds>>;
  /** First offset whose record has the timestamp or a later one; null: there is none. */
  offsetOfTime(input: {
    readonly timestampMs: number;
    readonly leaderEpoch: number;
  }): Promise<PartitionAnswer<OffsetOfTime>>;
  status(): Promise<PartitionAnswer<PartitionStatus>>;
  /** Deletes the log and everything else. */
  remove(input: {
    readonly topicId: string;
    readonly controllerEpoch: number;
  }): Promise<PartitionAnswer<object>>;
  /** Kill and crash end the object, so the call itself rejects. */
  fault(fault: PartitionFault): Promise<void>;
  /** Ends one fault, or all. @returns those that were active */
  heal(fault?: FaultName): Promise<readonly FaultName[]>;
  /** The active faults, also of a partition that is killed or paused. */
  faults(): Promise<readonly FaultView[]>;
}
