/** The shapes the page reads from the API. Plain data; what is missing is treated as unknown. */

export type Role = "LOOKING" | "FOLLOWING" | "LEADING";
export type Phase = "ELECTION" | "DISCOVERY" | "SYNCHRONIZATION" | "BROADCAST";

/** What one node last heard of another. */
export interface PingReport {
  readonly sid: number;
  /** Round trip of the last answered ping, in ms; null: none answered since the last silence. */
  readonly rttMs: number | null;
  /** Time since anything was heard of it, in ms; null: never. */
  readonly heardMsAgo: number | null;
  readonly role: string | null;
}

export interface NodeUp {
  readonly sid: number;
  readonly up: true;
  readonly role: Role;
  readonly phase: Phase;
  readonly leader: number | null;
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
  /** `0x…`, 64 bits: epoch and counter. */
  readonly lastZxid: string;
  readonly committedZxid: string;
  readonly appliedZxid: string;
  readonly digest: string;
  readonly activeSet: readonly number[];
  readonly boot: number;
  /** `boot-seq` of the last event before this status. */
  readonly lastEvent?: string;
  readonly sessions: number;
  readonly znodes: number;
  readonly watches: number;
  readonly elections: number;
  readonly serving: boolean;
  /** Its storage was damaged, and it does not count yet. */
  readonly reason?: string;
  readonly pings: readonly PingReport[];
  /** Who has lost its link to it since; absent in answers of the API. */
  readonly lostBy?: readonly number[];
}

export interface NodeDown {
  readonly sid: number;
  readonly up: false;
  readonly code: string;
  readonly detail: string;
  /** Its database is damaged, and what brings it back. */
  readonly reason?: string;
  /** When most others had lost their links to it, and what it said before; absent in answers of the API. */
  readonly lost?: { readonly at: number; readonly before: NodeUp };
}

export type NodeState = NodeUp | NodeDown;

/** `GET /v1/ensemble` */
export interface EnsembleState {
  readonly ensemble: string;
  readonly size: number;
  readonly quorum: number;
  readonly hasQuorum: boolean;
  readonly leader: number | null;
  readonly epoch: number;
  /** Why there is no quorum, in words; null while there is one. */
  readonly reason: string | null;
  /** Everybody sleeps; the first request wakes them. */
  readonly quiet: boolean;
  readonly nodes: readonly NodeState[];
}

export const EVENT_TYPES = [
  "propose",
  "ack",
  "commit",
  "ping",
  "vote",
  "role",
  "epoch",
  "sync",
  "active",
  "link",
  "session",
  "fault",
  "gap",
] as const;

/** One thing a node did or saw (`GET /v1/events`). Fields beyond the first four depend on the type. */
export interface ProtocolEvent {
  /** `boot-seq` of the node: per node strictly increasing. */
  readonly id: string;
  /** The node's clock, ms since 1970. */
  readonly at: number;
  readonly sid: number;
  readonly type: string;
  /** Receiver or receivers. */
  readonly to?: number | readonly number[];
  readonly from?: number;
  readonly zxid?: string;
  readonly count?: number;
  readonly epoch?: number;
  readonly role?: string;
  readonly phase?: string;
  readonly leader?: number | null;
  readonly rttMs?: number;
  readonly mode?: string;
  readonly round?: number;
  readonly kind?: string;
  readonly up?: boolean;
  readonly sids?: readonly number[];
  /** Of `fault`: what is on at the node after the event, what began, and what ended. */
  readonly faults?: readonly FaultView[];
  readonly began?: string;
  readonly ended?: readonly string[];
}

export interface BrokerState {
  readonly id: number;
  readonly up: boolean;
  readonly epoch: number | null;
  readonly host: string | null;
  readonly port: number | null;
}

export interface PartitionState {
  readonly partition: number;
  readonly leader: number | null;
  readonly leaderEpoch: number;
  readonly isr: readonly number[];
  readonly replicas: readonly number[];
  readonly logEndOffset: number | null;
}

/** `GET /cluster` */
export interface ClusterState {
  readonly clusterId: string;
  readonly controller: number | null;
  readonly controllerEpoch: number | null;
  readonly brokers: readonly BrokerState[];
  readonly topics: readonly {
    readonly name: string;
    readonly topicId: string;
    readonly partitions: readonly PartitionState[];
  }[];
}

/** A fault that is on, as its victim tells. Which members there are depends on the fault. */
export interface FaultView {
  readonly fault: string;
  /** null: until it is ended */
  readonly remainingMs: number | null;
  /** sids at the other end of the links that it is about; absent: all */
  readonly peers?: readonly number[];
  readonly direction?: "in" | "out" | "both";
  readonly probability?: number;
  readonly delayMs?: number;
  readonly jitterMs?: number;
  readonly skewMs?: number;
}

/** `GET /v1/faults` */
export interface FaultsState {
  readonly nodes: readonly { readonly sid: number; readonly faults: readonly FaultView[] }[];
  readonly brokers: readonly { readonly id: number; readonly faults: readonly FaultView[] }[];
}

/** A goal as the demo's producers write it. */
export interface Goal {
  readonly Minute: number;
  readonly Player: string;
  readonly Club: string;
  readonly Score: string;
}

/** One record of a partition, its value still as it came. */
export interface WireRecord {
  readonly key: unknown;
  readonly value: unknown;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp?: number;
}

/** `data` of an `event: records`. */
export interface RecordsEvent {
  readonly records: readonly WireRecord[];
  readonly next_offset: number;
  readonly high_watermark: number;
}
