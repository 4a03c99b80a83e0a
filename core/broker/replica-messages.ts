/** Inputs, effects and answers of a `Replica`, as plain data. */
import type {
  AppendRequest,
  AppendResult,
  IdempotencyKey,
  Leadership,
  PartitionFailure,
  ReadFrom,
} from "./partition.ts";
import type { PartitionWrite } from "./partition-backend.ts";
import type { EpochStart } from "./partition-rows.ts";

/** The answer of a partition: operating errors are values. */
export type PartitionAnswer<T> = (T & { readonly ok: true }) | PartitionFailure;

/** Bounds of a log: 0 ≤ logStartOffset ≤ highWatermark ≤ logEndOffset. */
export interface LogBounds {
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly logEndOffset: number;
  readonly leaderEpoch: number;
  /** id of the leading broker */
  readonly leader: number;
}

/** A read of records. */
export interface ReadRequest {
  readonly from: ReadFrom;
  /** maximum of bytes of the batches, of which at least one is returned */
  readonly bytesMax: number;
  /** how long to wait if there is nothing to read yet, ms; capped */
  readonly waitMs: number;
  /** −1 matches any epoch */
  readonly leaderEpoch: number;
}

/** Answer to a read. */
export interface ReadAnswer extends LogBounds {
  /** offset at which the read began; the first batch may begin before it */
  readonly offset: number;
  readonly batches: Uint8Array;
}

/** A read, with the offset at which the next one begins. */
export interface TailFrameAnswer extends ReadAnswer {
  readonly nextOffset: number;
}

/** Status of a partition. */
export interface PartitionStatus extends LogBounds {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly chunks: number;
  readonly bytes: number;
  readonly tails: number;
  /** leader epochs and the offsets at which they began, oldest first, the newest 100 */
  readonly epochs: readonly EpochStart[];
}

/** First offset whose record has the timestamp or a later one; null if there is none. */
export interface OffsetOfTime extends LogBounds {
  readonly offset: number | null;
}

/** A call of a client. Each is answered once, by `respond` or `reject` with its id. */
export type ReplicaCall =
  | { readonly type: "append"; readonly request: AppendRequest }
  /** stores a key for a request whose records go to other partitions */
  | { readonly type: "claim"; readonly key: IdempotencyKey; readonly leaderEpoch: number }
  | { readonly type: "read"; readonly request: ReadRequest }
  | { readonly type: "bounds"; readonly leaderEpoch: number }
  | { readonly type: "offsetOfTime"; readonly timestampMs: number; readonly leaderEpoch: number }
  /** `tails`: how many are open */
  | { readonly type: "status"; readonly tails: number }
  /** checks that a tail may begin at an offset */
  | {
      readonly type: "tail";
      readonly offset: number;
      readonly leaderEpoch: number;
      readonly tails: number;
    }
  /** the leadership, sent by the controller; creates the partition */
  | { readonly type: "leaderAndIsr"; readonly leadership: Leadership }
  /** deletes the log and everything else */
  | { readonly type: "remove"; readonly topicId: string; readonly controllerEpoch: number };

/** One input of a step. */
export type ReplicaInput =
  | { readonly type: "call"; readonly id: number; readonly call: ReplicaCall }
  /** a turn of I/O has passed since the effect `gather` */
  | { readonly type: "gathered" }
  /** the transaction of the last `persist` is written, or failed; it comes before any other input */
  | { readonly type: "persisted" }
  | { readonly type: "persistFailed"; readonly message: string }
  /** everything written before the effect `sync` is on disk */
  | { readonly type: "synced" }
  /** a long poll has timed out; it may already be answered */
  | { readonly type: "pollExpired"; readonly id: number }
  | { readonly type: "endTimer" }
  | { readonly type: "alarm" }
  /** the leadership known to a broker that was asked; null if it does not know it, or did not answer */
  | { readonly type: "leaderFound"; readonly leadership: Leadership | null }
  /** all rows are deleted */
  | { readonly type: "removed"; readonly id: number };

/** An event on an open tail, beside records. */
export type TailEvent =
  | {
      readonly type: "leader";
      readonly leader: number;
      readonly leader_epoch: number;
      readonly isr: readonly number[];
    }
  | { readonly type: "deleted" };

/** Any answer to a {@link ReplicaCall}. */
export type ReplicaAnswer =
  | AppendResult
  | PartitionAnswer<object | LogBounds | TailFrameAnswer | OffsetOfTime | PartitionStatus>;

/** An effect, run in the order of the list. `persist` is the last effect of its list. */
export type ReplicaEffect =
  /** one transaction; then `persisted` or `persistFailed` */
  | { readonly type: "persist"; readonly writes: readonly PartitionWrite[] }
  /** answers a call; the answer is sent once all earlier writes are durable */
  | { readonly type: "respond"; readonly id: number; readonly answer: ReplicaAnswer }
  /** ends a call with an error: the storage failed, and its caller should call again */
  | { readonly type: "reject"; readonly id: number; readonly message: string }
  | { readonly type: "sync" }
  | { readonly type: "gather" }
  | { readonly type: "pollTimer"; readonly id: number; readonly ms: number }
  | { readonly type: "endTimer"; readonly ms: number }
  /** latest time of the next alarm; ms since 1970 */
  | { readonly type: "deadline"; readonly atMs: number }
  | { readonly type: "noDeadline" }
  /** asks a broker for this partition's leadership */
  | {
      readonly type: "findLeader";
      readonly broker: number;
      readonly topicId: string;
      readonly partition: number;
    }
  /** the log has grown: open tails get their next frames */
  | { readonly type: "wakeTails" }
  | { readonly type: "tellTails"; readonly event: TailEvent }
  | { readonly type: "closeTails"; readonly code: number; readonly reason: string }
  /** deletes all rows; then `removed` */
  | { readonly type: "removeAll"; readonly id: number };
