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

/** What the event log does with events of a type at first; null: it has no filter for them. */
const LISTED: Readonly<Record<EventType, "SHOWN" | "HIDDEN" | null>> = {
  propose: "SHOWN",
  ack: "SHOWN",
  commit: "SHOWN",
  ping: "HIDDEN",
  vote: "SHOWN",
  role: "SHOWN",
  epoch: "SHOWN",
  sync: "SHOWN",
  active: "SHOWN",
  link: "SHOWN",
  fault: "SHOWN",
  gap: null,
};

/** Types of events that the event log can filter. */
export const EVENT_TYPES: readonly string[] = Object.entries(LISTED).flatMap(([type, listed]) =>
  listed === null ? [] : [type],
);

/** Types of events that the event log hides at first. */
export const HIDDEN_TYPES: ReadonlySet<string> = new Set(
  Object.entries(LISTED).flatMap(([type, listed]) => (listed === "HIDDEN" ? [type] : [])),
);
