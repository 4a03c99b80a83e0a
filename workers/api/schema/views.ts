/**
 * JSON that the page reads: the ensemble, its events, faults, the brokers' cluster, records. Types only, and none that
 * needs the platform, so that the page can import them.
 */
import type { TraceEvent } from "../../../core/zab/effects.ts";
import type { Zxid } from "../../../core/zab/zxid.ts";
import type { FaultEvent, FaultView } from "../../../durable-objects/shared/faults.ts";
import type { NodeStatus } from "../../../durable-objects/zooweeper-node/rpc.ts";

type KeyOf<Union> = Union extends unknown ? keyof Union : never;
type FieldOf<Union, Key extends PropertyKey> = Union extends { readonly [K in Key]?: infer Value }
  ? Value
  : never;

/** A union as one object type: the fields in `Common` are in every member, any other may be absent. */
type Merged<Union, Common extends KeyOf<Union>> = {
  readonly [K in Common]: FieldOf<Union, K>;
} & { readonly [K in Exclude<KeyOf<Union>, Common>]?: FieldOf<Union, K> };

/** A node that answers. */
export type NodeUp = { readonly up: true } & NodeStatus;

/** A node that does not answer. */
export interface NodeDown {
  readonly sid: number;
  readonly up: false;
  readonly code: "NODE_DOWN";
  readonly detail: string;
  /** why it stays down, and how to repair it, for example a damaged database; absent if no cause is known */
  readonly reason?: string;
  /** what is damaged */
  readonly damage?: string;
}

/** One node, as seen from outside. */
export type NodeView = NodeUp | NodeDown;

/** `GET /v1/ensemble` */
export interface EnsembleJson {
  readonly ensemble: string;
  readonly size: number;
  /** members that make a quorum */
  readonly quorum: number;
  readonly hasQuorum: boolean;
  readonly leader: number | null;
  /** epoch of the leader, else the highest that a live member has */
  readonly epoch: number;
  /** why there is no quorum, as a sentence; null if there is one */
  readonly reason: string | null;
  /** whether every node that is up sleeps. The first request causes an election; all other fields are as of before the sleep */
  readonly quiet: boolean;
  /** ms since 1970; null while a node is awake */
  readonly quietSince: number | null;
  readonly nodes: readonly NodeView[];
}

/** An active fault, as its target reports it. `fault` determines the other fields. */
export type FaultJson = Merged<FaultView, "fault" | "remainingMs">;

/** `GET /v1/faults` */
export interface FaultsJson {
  readonly nodes: readonly {
    readonly sid: number;
    readonly up: boolean;
    readonly faults: readonly FaultJson[];
  }[];
  readonly brokers: readonly {
    readonly id: number;
    readonly up: boolean;
    readonly faults: readonly FaultJson[];
  }[];
  /** demo clients of a local run */
  readonly clients: readonly ClientJson[];
}

/** A demo client of a local run. */
export interface ClientJson {
  readonly client: number;
  readonly port: number;
  readonly up: boolean;
}

/** A value of the core in JSON: zxids are text, other branded numbers plain. */
type InJson<Value> = Value extends Zxid
  ? string
  : Value extends number
    ? number
    : Value extends readonly (infer Element)[]
      ? readonly InJson<Element>[]
      : Value;
type FieldsInJson<Event> = Event extends unknown ? { readonly [K in keyof Event]: InJson<Event[K]> } : never;

/** The node no longer has the events between the id `after` and this event. */
interface GapEvent {
  readonly type: "gap";
  readonly after: string;
}

interface FaultEventJson extends Omit<FaultEvent, "faults"> {
  /** the broker, in an event that the Worker sends for it: such an event has no `sid` */
  readonly broker?: number;
  readonly faults: readonly FaultJson[];
}

type EventBody = FieldsInJson<TraceEvent> | FaultEventJson | GapEvent;

/** Types of the events in `GET /v1/events`. */
export type EventType = EventBody["type"];

/** An event of a node (`GET /v1/events`). `type` determines the other fields. */
export type EventJson = {
  /** `boot-seq` of the node: per node strictly increasing */
  readonly id: string;
  /** the node's clock, ms since 1970 */
  readonly at: number;
  readonly sid: number;
} & Merged<EventBody, "type">;

/** A broker; the fields of its registration are null while it is not registered. */
export interface BrokerJson {
  readonly id: number;
  readonly up: boolean;
  readonly epoch: number | null;
  readonly host: string | null;
  readonly port: number | null;
}

/** A partition; `leader` is null while it has none, `logEndOffset` while it does not answer. */
export interface PartitionJson {
  readonly partition: number;
  readonly leader: number | null;
  readonly leaderEpoch: number;
  readonly isr: readonly number[];
  readonly replicas: readonly number[];
  readonly logEndOffset: number | null;
}

/** `GET /cluster` */
export interface ClusterJson {
  readonly clusterId: string | null;
  readonly controller: number | null;
  readonly controllerEpoch: number | null;
  readonly brokers: readonly BrokerJson[];
  readonly topics: readonly {
    readonly name: string;
    readonly topicId: string;
    readonly partitions: readonly PartitionJson[];
  }[];
}

/** A goal, with the names and the order of keys of the original demo. */
export interface Goal {
  readonly Minute: number;
  readonly Player: string;
  readonly Club: string;
  readonly Score: string;
}

/** One record of a partition. In the JSON format `key` and `value` are any JSON, in the binary one base64 text. */
export interface RecordJson {
  readonly key: unknown;
  readonly value: unknown;
  readonly partition: number;
  readonly offset: number;
  /** ms since 1970 */
  readonly timestamp?: number;
}

/** `data` of an `event: records`. */
export interface RecordsJson {
  readonly records: readonly RecordJson[];
  readonly next_offset: number;
  readonly high_watermark: number;
}
