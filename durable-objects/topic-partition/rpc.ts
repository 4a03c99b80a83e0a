/** What a partition's object answers over RPC. Only plain data crosses; operating errors are values. */
import type {
  AppendRequest,
  AppendResult,
  IdempotencyKey,
  Leadership,
  PartitionFailure,
  ReadFrom,
} from "../../core/broker/partition.ts";

export type PartitionAnswer<T> = (T & { readonly ok: true }) | PartitionFailure;

export interface LogBounds {
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly logEndOffset: number;
  readonly leaderEpoch: number;
  /** id of the broker that leads */
  readonly leader: number;
}

export interface ReadRequest {
  readonly from: ReadFrom;
  /** whole batches up to so many bytes, at least one */
  readonly bytesMax: number;
  /** how long to wait when there is nothing to read yet; capped */
  readonly waitMs: number;
  /** −1: whatever the epoch is */
  readonly leaderEpoch: number;
}

export interface ReadAnswer extends LogBounds {
  /** where the read began; the first batch may begin before it */
  readonly offset: number;
  readonly batches: Uint8Array;
}

export interface PartitionStatus extends LogBounds {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly chunks: number;
  readonly bytes: number;
  readonly tails: number;
  /** leader epochs and the offsets at which they began, oldest first, the newest 100 */
  readonly epochs: readonly { readonly leaderEpoch: number; readonly startOffset: number }[];
}

/** The methods that the Worker and the controller may call on a partition. */
export interface TopicPartitionRpc {
  /** The controller's word on who leads; creates the partition. */
  leaderAndIsr(leadership: Leadership): Promise<PartitionAnswer<LogBounds>>;
  append(request: AppendRequest): Promise<AppendResult>;
  /** Notes a key for a request whose records go to other partitions. Code: IDEMPOTENCY_KEY_REUSED. */
  claim(input: {
    readonly key: IdempotencyKey;
    readonly leaderEpoch: number;
  }): Promise<PartitionAnswer<object>>;
  read(request: ReadRequest): Promise<PartitionAnswer<ReadAnswer>>;
  bounds(leaderEpoch: number): Promise<PartitionAnswer<LogBounds>>;
  /** First offset whose record is at least so new; null: there is none. */
  offsetOfTime(input: {
    readonly timestampMs: number;
    readonly leaderEpoch: number;
  }): Promise<PartitionAnswer<LogBounds & { readonly offset: number | null }>>;
  status(): Promise<PartitionAnswer<PartitionStatus>>;
  /** Deletes the log and everything else. */
  remove(input: {
    readonly topicId: string;
    readonly controllerEpoch: number;
  }): Promise<PartitionAnswer<object>>;
}
