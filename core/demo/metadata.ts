/**
 * The cluster metadata of the original demo: the leader of the ensemble, and which brokers list the goals that a broker
 * receives. All of it is in znodes under `/zooweeper/demo`, so that every node renders the same bytes.
 *
 * ```
 * /zooweeper/demo/rows            {"nextNodeId":4,"rows":[{"NodeId":2,…}]}   one row per change of a sender's clients
 * /zooweeper/demo/brokers/9090    {"Clients":"9090,9091,9092"}               written with every goal of that sender
 * ```
 * A row's `Version` counts the changes of its sender's clients from 0. The first row of a sender has the ensemble's entry
 * (NodeId 1) as parent, a later one the sender's first row.
 */
import type { ClusterRead, ClusterReadResult } from "../broker/cluster-read.ts";
import { decodeFields, encodeJson } from "../broker/json-text.ts";
import { CreateMode, type MultiRequestOp, type WriteRequest } from "../znode/types.ts";
import { ROWS_BYTES_MAX, TRIES_MAX } from "./config.ts";
import { nodePort } from "./ports.ts";

/** Znodes of the demo. */
export const DEMO_PATHS = {
  root: "/zooweeper/demo",
  rows: "/zooweeper/demo/rows",
  brokers: "/zooweeper/demo/brokers",
} as const;

/** Parents that must exist before the first write, in order. */
export const DEMO_PARENTS: readonly string[] = ["/zooweeper", DEMO_PATHS.root, DEMO_PATHS.brokers];

/** NodeId of the ensemble's entry. */
const ENSEMBLE_NODE_ID = 1;

/** One change of a sender's clients. */
export interface DemoRow {
  /** from 2, by order of creation */
  readonly nodeId: number;
  readonly parentId: number;
  readonly senderIp: string;
  readonly receiverIp: string;
  /** ports, separated by commas */
  readonly clients: string;
  /** changes of the sender's clients before this one */
  readonly version: number;
  /** ms since 1970 */
  readonly timestampMs: number;
}

/** All rows, by ascending nodeId, and the version of their znode; null if it does not exist. */
export interface DemoRows {
  readonly rows: readonly DemoRow[];
  readonly nextNodeId: number;
  readonly version: number | null;
}

/** A goal's clients of its sender. */
export interface ClientsChange {
  readonly sender: string;
  /** the port of the node that receives the write, as text */
  readonly receiver: string;
  /** empty for the sender's current clients */
  readonly clients: string;
  /** clients used for a sender that has none yet and names none */
  readonly otherwise: string;
  readonly nowMs: number;
}

/** A step of {@link recordClients}: a linearizable read of the rows, or a write. */
export type DemoStep = { readonly type: "read" } | { readonly type: "write"; readonly request: WriteRequest };

/** Refusals of a write that {@link recordClients} handles itself; any other one ends it. */
export type DemoRefusal = "NO_NODE" | "NODE_EXISTS" | "BAD_VERSION";
/** Whether a result is a refusal. */
export const isDemoRefusal = (code: string): code is DemoRefusal =>
  code === "NO_NODE" || code === "NODE_EXISTS" || code === "BAD_VERSION";

/** The answer to a {@link DemoStep}: the rows of a read; OK or the refusal of a write. */
export type DemoAnswer = DemoRows | "OK" | DemoRefusal;

/** The clients of a sender after a change. */
export interface RecordedClients {
  readonly rows: DemoRows;
  /** the clients of the sender from now on */
  readonly clients: string;
}

/**
 * Records a goal's clients of its sender: with a new row if they change, and always with a committed write.
 * @param known rows from an earlier call, which a check in the write validates; undefined for none
 * @returns undefined if others keep changing the same znodes
 */
export function* recordClients(
  known: DemoRows | undefined,
  change: ClientsChange,
): Generator<DemoStep, RecordedClients | undefined, DemoAnswer> {
  let rows = known;
  let isNew = false;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    if (rows === undefined) {
      const answer: DemoAnswer = yield { type: "read" };
      if (typeof answer === "string") return undefined;
      rows = answer;
    }
    const next = changed(rows, change);
    const clients = clientsOf(next, change.sender) ?? "";
    const ops: readonly MultiRequestOp[] = [
      writeOfRows(rows, next),
      writeOfSender(change.sender, clients, isNew),
    ];
    const answer: DemoAnswer = yield { type: "write", request: { type: "multi", ops } };
    if (answer === "OK") return { rows: next, clients };
    rows = undefined;
    isNew = answer === "NO_NODE";
    if (isNew)
      for (const path of DEMO_PARENTS) {
        const request = { type: "create", path, data: null, mode: CreateMode.PERSISTENT } as const;
        yield { type: "write", request: { ...request, withStat: false } };
      }
  }
  return undefined;
}

/** The rows with the change; unchanged if the sender's clients do not change. */
function changed(rows: DemoRows, { sender, receiver, clients, otherwise, nowMs }: ClientsChange): DemoRows {
  const last = rows.rows.findLast((row) => row.senderIp === sender);
  const wanted = clients === "" ? (last?.clients ?? otherwise) : clients;
  if (last !== undefined && last.clients === wanted && rows.version !== null) return rows;
  const version = rows.version === null ? 0 : rows.version + 1;
  if (last !== undefined && last.clients === wanted) return { ...rows, version };
  const row: DemoRow = {
    nodeId: rows.nextNodeId,
    parentId: parentOf(last),
    senderIp: sender,
    receiverIp: receiver,
    clients: wanted,
    version: last === undefined ? 0 : last.version + 1,
    timestampMs: nowMs,
  };
  const kept = [...rows.rows, row];
  while (kept.length > 1 && encodeRows(kept, rows.nextNodeId + 1).length > ROWS_BYTES_MAX) kept.shift();
  return { rows: kept, nextNodeId: rows.nextNodeId + 1, version };
}

/** The first row of a sender is a child of the ensemble's entry, every later one a child of that first row. */
function parentOf(last: DemoRow | undefined): number {
  if (last === undefined) return ENSEMBLE_NODE_ID;
  return last.parentId === ENSEMBLE_NODE_ID ? last.nodeId : last.parentId;
}

const clientsOf = ({ rows }: DemoRows, sender: string): string | undefined =>
  rows.findLast((row) => row.senderIp === sender)?.clients;

function writeOfRows(rows: DemoRows, next: DemoRows): MultiRequestOp {
  const path = DEMO_PATHS.rows;
  if (rows.version === null) {
    const data = encodeRows(next.rows, next.nextNodeId);
    return { type: "create", path, data, mode: CreateMode.PERSISTENT, withStat: false };
  }
  if (next === rows) return { type: "check", path, version: rows.version };
  return { type: "setData", path, data: encodeRows(next.rows, next.nextNodeId), version: rows.version };
}

function writeOfSender(sender: string, clients: string, isNew: boolean): MultiRequestOp {
  const path = `${DEMO_PATHS.brokers}/${sender}`;
  const data = encodeJson({ Clients: clients });
  return isNew
    ? { type: "create", path, data, mode: CreateMode.PERSISTENT, withStat: false }
    : { type: "setData", path, data, version: -1 };
}

// ── reading ─────────────────────────────────────────────────────────────────

/**
 * Reads the rows. If an earlier version has written only the senders' znodes, each of them counts as a row, in the order of
 * creation.
 */
export function* readDemoRows(): Generator<readonly ClusterRead[], DemoRows, readonly ClusterReadResult[]> {
  const [stored, senders] = yield [
    { type: "getData", path: DEMO_PATHS.rows },
    { type: "getChildren", path: DEMO_PATHS.brokers },
  ];
  if (stored !== undefined) return { ...decodeRows(stored.data), version: stored.stat.version };
  const names = senders?.children ?? [];
  const znodes = yield names.map((name) => ({ type: "getData", path: `${DEMO_PATHS.brokers}/${name}` }));
  const found = names
    .flatMap((name, i) => {
      const znode = znodes[i];
      return znode === undefined ? [] : [{ name, ...znode }];
    })
    .sort((a, b) => a.stat.czxid.epoch - b.stat.czxid.epoch || a.stat.czxid.counter - b.stat.czxid.counter);
  const rows = found.map(({ name, data, stat }, i): DemoRow => {
    const { Clients } = decodeFields(data);
    return {
      nodeId: ENSEMBLE_NODE_ID + 1 + i,
      parentId: ENSEMBLE_NODE_ID,
      senderIp: name,
      receiverIp: "",
      clients: typeof Clients === "string" ? Clients : "",
      version: 0,
      timestampMs: stat.mtime,
    };
  });
  return { rows, nextNodeId: ENSEMBLE_NODE_ID + 1 + rows.length, version: null };
}

const encodeRows = (rows: readonly DemoRow[], nextNodeId: number): Uint8Array =>
  encodeJson({ nextNodeId, rows });

/** Decodes the rows and drops invalid ones, because any client may write the znode. */
function decodeRows(data: Uint8Array | null): Omit<DemoRows, "version"> {
  const fields = decodeFields(data);
  const rows = (Array.isArray(fields.rows) ? (fields.rows as unknown[]) : []).filter(isRow);
  const highest = rows.reduce((most, row) => Math.max(most, row.nodeId), ENSEMBLE_NODE_ID);
  const next = Number.isSafeInteger(fields.nextNodeId) ? Number(fields.nextNodeId) : 0;
  return { rows, nextNodeId: Math.max(next, highest + 1) };
}

function isRow(value: unknown): value is DemoRow {
  if (typeof value !== "object" || value === null) return false;
  const row = value as Partial<Record<keyof DemoRow, unknown>>;
  const numbers = [row.nodeId, row.parentId, row.version, row.timestampMs];
  const texts = [row.senderIp, row.receiverIp, row.clients];
  return numbers.every(Number.isSafeInteger) && texts.every((text) => typeof text === "string");
}

/**
 * Renders the body of `GET /metadata`: the ensemble's entry, then the rows by NodeId. Every entry has all the fields
 * of the original's rows, in one order; a pure function of its arguments.
 * @param leader sid of the leader
 * @param size members of the ensemble
 */
export function renderDemoMetadata(leader: number, size: number, { rows }: DemoRows): string {
  const ports = Array.from({ length: size }, (_, i) => nodePort(i + 1));
  const ensemble = {
    NodeId: `${ENSEMBLE_NODE_ID}`,
    NodePort: `${nodePort(leader)}`,
    Leader: `${nodePort(leader)}`,
    Servers: ports.join(","),
    Timestamp: 0,
    Version: 0,
    ParentId: 0,
    Clients: "",
    SenderIp: "",
    ReceiverIp: "",
  };
  const entries = rows.map((row) => ({
    NodeId: `${row.nodeId}`,
    NodePort: "",
    Leader: "",
    Servers: "",
    Timestamp: row.timestampMs,
    Version: row.version,
    ParentId: row.parentId,
    Clients: row.clients,
    SenderIp: row.senderIp,
    ReceiverIp: row.receiverIp,
  }));
  return JSON.stringify([ensemble, ...entries]);
}
