/** Types of the API, under the names that the page uses. */
import type {
  EnsembleJson,
  EventType,
  NodeDown as NodeDownJson,
  NodeUp as NodeUpJson,
} from "../../../workers/api/schema/views.ts";

export type {
  BrokerJson as BrokerState,
  ClusterJson as ClusterState,
  EventJson as ProtocolEvent,
  FaultJson as FaultView,
  FaultsJson as FaultsState,
  Goal,
  PartitionJson as PartitionState,
  RecordJson as WireRecord,
  RecordsJson as RecordsEvent,
} from "../../../workers/api/schema/views.ts";

/** Role of a node in the ensemble. */
export type Role = NodeUpJson["role"];
/** Phase of Zab in which a node is. */
export type Phase = NodeUpJson["phase"];

/** Last ping of one node to another. */
export type PingReport = NodeUpJson["pings"][number];

/** A node that answers. */
export type NodeUp = NodeUpJson & {
  /** sids that have lost their link to it since; added by the page */
  readonly lostBy?: readonly number[];
};

/** A node that does not answer, or that the others have lost. */
export type NodeDown = NodeDownJson & {
  /** When most other nodes had lost their links to it, and its state before; added by the page. */
  readonly lost?: { readonly at: number; readonly before: NodeUp };
};

/** One node as the page shows it. */
export type NodeState = NodeUp | NodeDown;

/** `GET /v1/ensemble`, with what the page adds to its nodes. */
export type EnsembleState = Omit<EnsembleJson, "nodes"> & { readonly nodes: readonly NodeState[] };

/** Whether the event log can filter by this type. */
const FILTERED: Readonly<Record<EventType, boolean>> = {
  propose: true,
  ack: true,
  commit: true,
  ping: true,
  vote: true,
  role: true,
  epoch: true,
  sync: true,
  active: true,
  link: true,
  fault: true,
  gap: false,
};

/** Types of events that the event log can filter. */
export const EVENT_TYPES: readonly string[] = Object.entries(FILTERED).flatMap(([type, filtered]) =>
  filtered ? [type] : [],
);
