/** The shapes that the page reads from the API, under the names that it uses. */
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

export type Role = NodeUpJson["role"];
export type Phase = NodeUpJson["phase"];

/** What one node last heard of another. */
export type PingReport = NodeUpJson["pings"][number];

export type NodeUp = NodeUpJson & {
  /** sids that have lost their link to it since; not of the API */
  readonly lostBy?: readonly number[];
};

export type NodeDown = NodeDownJson & {
  /** When most others had lost their links to it, and what it said before; not of the API. */
  readonly lost?: { readonly at: number; readonly before: NodeUp };
};

export type NodeState = NodeUp | NodeDown;

/** `GET /v1/ensemble`, with what the page adds to its nodes. */
export type EnsembleState = Omit<EnsembleJson, "nodes"> & { readonly nodes: readonly NodeState[] };

/** Whether the log of events offers to filter by this type. */
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

export const EVENT_TYPES: readonly string[] = Object.entries(FILTERED).flatMap(([type, filtered]) =>
  filtered ? [type] : [],
);
