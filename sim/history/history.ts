/**
 * The history of an ensemble as its clients saw it: the format that the simulator and the runs on the real runtime record
 * and that the checkers read. As text it is NDJSON, one entry per line (see {@link formatHistory}):
 *
 * | line | what |
 * |---|---|
 * | `history` | version of the format, and description of the run |
 * | `op` | one attempt of a request: when it was sent, when its answer arrived, and the answer |
 * | `watch` | a watch event that arrived |
 * | `session` | a connection that began or ended, or a session that its client knows to have ended |
 * | `stream` | all that a reader of a watch stream received about one znode |
 * | `txn` | one committed txn, read from the ensemble's log at the end |
 *
 * **Time** is a counter, not a clock. The one recorder of a history increments it for everything that a client sends or
 * receives, so it only determines the order; no two numbers are equal. Events in one process are ordered as they really
 * happened.
 *
 * A zxid is one number, epoch · 2^32 + counter (exact while epoch < 2^21); `Number("0x100000003")` reads ZooKeeper's text.
 * Data are text with one character, U+0000 to U+00FF, per byte. {@link plain} turns values of the core into both.
 *
 * The first txn of a log is the first of the ensemble: a history without its ensemble's beginning cannot be replayed.
 */
import type { ZooErrorCode } from "../../core/errors.ts";
import type { RequestResult } from "../../core/server/answers.ts";
import type { Zxid } from "../../core/zab/zxid.ts";
import type * as znode from "../../core/znode/types.ts";
import type { StreamRecord } from "./stream-record.ts";

/** A value of the core in the form of a history. */
export type Plain<T> = T extends Uint8Array
  ? string
  : T extends number
    ? number
    : T extends Zxid
      ? number
      : T extends readonly (infer Item)[]
        ? readonly Plain<Item>[]
        : T extends object
          ? { readonly [Key in keyof T]: Plain<T[Key]> }
          : T;

/** A Stat, with plain numbers. */
export type Stat = Plain<znode.Stat>;
/** A change, with plain numbers. */
export type ChangeRequest = Plain<znode.MultiRequestOp>;
/** A write, with plain numbers. */
export type WriteRequest = Plain<znode.WriteRequest>;
/**
 * A read that a history contains, with plain numbers: one of a znode. When a type is added to this union, code that does
 * not generate, model or check it does not compile.
 */
export type ReadRequest = Plain<znode.ReadRequestOf<znode.ZnodeReadType>>;
/** Result of a change, with plain numbers. */
export type ChangeResult = Plain<znode.ChangeResult>;
/** Result of a write, with plain numbers. */
export type WriteResult = Plain<znode.WriteResult>;
/** Result of a read, with plain numbers. */
export type ReadResult = Plain<znode.ReadOutcome>;
/** A txn, with plain numbers. */
export type Txn = Plain<znode.Txn>;

/** Sets the watches of an earlier connection again. @source ZooKeeper `SetWatches` */
export interface SetWatchesRequest {
  readonly type: "setWatches";
  /** last zxid that the client has seen */
  readonly relativeZxid: number;
  readonly data: readonly string[];
  readonly exist: readonly string[];
  readonly child: readonly string[];
}

/** Any request of a client. */
export type Request = WriteRequest | ReadRequest | SetWatchesRequest;
/** Result of any request. */
export type Result = WriteResult | ReadResult | { readonly type: "setWatches" };

/** A client's knowledge of the outcome of a request. */
export type Outcome =
  /**
   * It was carried out, or refused in the state of the tree (then the result is an error, or a multi of errors). `zxid` is
   * that of the write, or for a read the last one applied at the answering member; null if the answer did not contain it,
   * like HTTP's for a refused write.
   */
  | { readonly type: "done"; readonly zxid: number | null; readonly result: Result }
  /** it was not accepted and will never happen */
  | { readonly type: "refused"; readonly code: ZooErrorCode }
  /** it may have happened, or may still happen, or never */
  | { readonly type: "unknown"; readonly code?: ZooErrorCode };

/**
 * One attempt of a request. Attempts of one write have the same session and xid (both > 0) and the same request, and
 * at most one of them happens.
 */
export interface Op {
  readonly client: number;
  /** 0 for none. Requests without a session have no guaranteed order. */
  session: number;
  /** number of the write within its session; 0 if it is not numbered */
  readonly xid: number;
  /** the connection, unique in the history, on which answers come in order and watches exist; 0 for none, as over HTTP */
  readonly conn: number;
  /** sid of the receiving member; 0 if unknown */
  readonly member: number;
  readonly linearizable: boolean;
  readonly request: Request;
  readonly invoke: number;
  /** Infinity if no answer came */
  return: number;
  outcome: Outcome;
}

/** A watch event that a client received. */
export interface WatchArrival {
  readonly session: number;
  readonly conn: number;
  readonly type: znode.WatchEventType;
  readonly path: string;
  /** zxid of the change; null if the event did not contain it, or reports a missed change */
  readonly zxid: number | null;
  readonly at: number;
}

/** An event of a session, as its client saw it. A move to another member is a `disconnect` and a `connect`. */
export interface SessionEvent {
  readonly type: "connect" | "disconnect" | "expired";
  readonly session: number;
  readonly conn: number;
  readonly member: number;
  readonly at: number;
}

/** A committed txn. */
export interface LogEntry {
  readonly zxid: number;
  readonly session: number;
  readonly xid: number;
  readonly timeMs: number;
  readonly txn: Txn;
}

/** One recorded run. */
export interface History {
  /** its origin: a seed, a nemesis */
  readonly about: string;
  /** by invoke */
  readonly ops: readonly Op[];
  /** in the order of their arrival */
  readonly watches: readonly WatchArrival[];
  readonly sessions: readonly SessionEvent[];
  readonly streams: readonly StreamRecord[];
  /** all committed txns, by zxid; null if the log could not be read */
  readonly log: readonly LogEntry[] | null;
}

const FORMAT_VERSION = 1;

/** Codes of requests that were not accepted and will not happen. */
const REFUSED: ReadonlySet<ZooErrorCode> = new Set([
  "THROTTLED",
  "NO_QUORUM",
  "NODE_DOWN",
  "UNKNOWN_ENSEMBLE",
]);
/** Codes after which a write may have happened. */
const UNKNOWN: ReadonlySet<ZooErrorCode> = new Set(["UNKNOWN_OUTCOME", "XID_TOO_OLD", "SYSTEM_ERROR"]);

/** Brings a value of the core into the form of a history. */
export function plain<T>(value: T): Plain<T> {
  return convert(value) as Plain<T>;
}

function convert(value: unknown): unknown {
  if (value instanceof Uint8Array) return bytesToText(value);
  if (Array.isArray(value)) return value.map(convert);
  if (typeof value !== "object" || value === null) return value;
  if ("epoch" in value && "counter" in value) return zxidToNumber(value as Zxid);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, convert(each)]));
}

/** A zxid as one number: it must be a safe integer. */
export const zxidToNumber = (zxid: Zxid): number => zxid.epoch * 2 ** 32 + zxid.counter;

/** epoch.counter, for people. */
export const zxidText = (zxid: number): string => `${Math.floor(zxid / 2 ** 32)}.${zxid % 2 ** 32}`;

function bytesToText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The bytes of a text of a history. */
export const textToBytes = (text: string): Uint8Array =>
  Uint8Array.from(text, (character) => character.charCodeAt(0));

/** The outcome in an answer of a member. The zxid of a refusal is not that of the request. */
export function outcomeOf(
  answer:
    | { readonly ok: true; readonly zxid: Zxid; readonly result: RequestResult }
    | { readonly ok: false; readonly zxid: Zxid | null; readonly code: ZooErrorCode },
): Outcome {
  if (answer.ok) return { type: "done", zxid: zxidToNumber(answer.zxid), result: plain(answer.result) };
  const { code, zxid } = answer;
  if (REFUSED.has(code)) return { type: "refused", code };
  if (UNKNOWN.has(code)) return { type: "unknown", code };
  const at = zxid === null ? null : zxidToNumber(zxid);
  return { type: "done", zxid: at, result: { type: "error", code } };
}

const READS: { readonly [Type in ReadRequest["type"]]: true } = {
  getData: true,
  exists: true,
  getChildren: true,
};

/** Whether a request changes nothing. */
export const isRead = (request: Request): request is ReadRequest => Object.hasOwn(READS, request.type);

/** Whether a request is a write. */
export const isWrite = (request: Request): request is WriteRequest =>
  request.type !== "setWatches" && !isRead(request);

/** Records a history. One recorder serves all clients: its counter is their common time. */
export class Recorder {
  readonly #ops: Op[] = [];
  readonly #watches: WatchArrival[] = [];
  readonly #sessions: SessionEvent[] = [];
  readonly #streams: StreamRecord[] = [];
  #log: readonly LogEntry[] | null = null;
  #now = 0;
  readonly #about: string;

  constructor(about: string) {
    this.#about = about;
  }

  #tick(): number {
    this.#now += 1;
    return this.#now;
  }

  /** Records a request that is sent. Without {@link returned} its outcome stays unknown. */
  invoke(
    fields: Pick<Op, "client" | "request"> &
      Partial<Pick<Op, "session" | "xid" | "conn" | "member" | "linearizable">>,
  ): Op {
    const { client, request, session = 0, xid = 0, conn = 0, member = 0, linearizable = false } = fields;
    const op: Op = {
      client,
      session,
      xid,
      conn,
      member,
      linearizable,
      request,
      invoke: this.#tick(),
      return: Number.POSITIVE_INFINITY,
      outcome: { type: "unknown" },
    };
    this.#ops.push(op);
    return op;
  }

  /**
   * Records the answer that reaches the client.
   * @param session the session, if only the answer tells it (when a session is opened)
   */
  returned(op: Op, outcome: Outcome, session: number = op.session): void {
    op.return = this.#tick();
    op.outcome = outcome;
    op.session = session;
  }

  /** Records a watch event that reaches the client. */
  watch(event: Omit<WatchArrival, "at">): void {
    this.#watches.push({ ...event, at: this.#tick() });
  }

  session(event: Omit<SessionEvent, "at">): void {
    this.#sessions.push({ ...event, at: this.#tick() });
  }

  /** A reader begins to follow a znode, and adds the events that it gets to the entries. */
  stream(fields: Omit<StreamRecord, "entries">): StreamRecord {
    const record = { ...fields, entries: [] };
    this.#streams.push(record);
    return record;
  }

  /** Sets all committed txns, by zxid. */
  committed(log: readonly LogEntry[]): void {
    this.#log = log;
  }

  get history(): History {
    return {
      about: this.#about,
      ops: this.#ops,
      watches: this.#watches,
      sessions: this.#sessions,
      streams: this.#streams,
      log: this.#log,
    };
  }
}

/** A history as NDJSON. */
export function formatHistory(history: History): string {
  const lines: unknown[] = [{ line: "history", version: FORMAT_VERSION, about: history.about }];
  for (const op of history.ops) {
    lines.push({ line: "op", ...op, return: Number.isFinite(op.return) ? op.return : null });
  }
  for (const event of history.watches) lines.push({ line: "watch", ...event });
  for (const event of history.sessions) lines.push({ line: "session", ...event });
  for (const stream of history.streams) lines.push({ line: "stream", ...stream });
  // Marks a log that was read but is empty.
  if (history.log !== null) lines.push({ line: "log" });
  for (const entry of history.log ?? []) lines.push({ line: "txn", ...entry });
  return `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`;
}

/** Parses {@link formatHistory}. @throws Error if it is no history of this format */
export function parseHistory(text: string): History {
  const ops: Op[] = [];
  const watches: WatchArrival[] = [];
  const sessions: SessionEvent[] = [];
  const streams: StreamRecord[] = [];
  let log: LogEntry[] | null = null;
  let about: string | null = null;
  for (const [i, source] of text.split("\n").entries()) {
    if (source === "") continue;
    const { line, ...fields } = JSON.parse(source);
    if (about === null && line !== "history") throw new Error("a history begins with a line of its own");
    switch (line) {
      case "history":
        if (fields.version !== FORMAT_VERSION) throw new Error(`a history of format ${fields.version}`);
        about = fields.about;
        break;
      case "op":
        ops.push({ ...fields, return: fields.return ?? Number.POSITIVE_INFINITY });
        break;
      case "watch":
        watches.push(fields);
        break;
      case "session":
        sessions.push(fields);
        break;
      case "stream":
        streams.push(fields);
        break;
      case "log":
        log = [];
        break;
      case "txn":
        log ??= [];
        log.push(fields);
        break;
      default:
        throw new Error(`line ${i + 1} has an unknown type: ${line}`);
    }
  }
  if (about === null) throw new Error("a history is not empty");
  return { about, ops, watches, sessions, streams, log };
}

/** One readable line: client, request and outcome. */
export function describeOp(op: Op): string {
  const when = `${op.invoke}–${Number.isFinite(op.return) ? op.return : "∞"}`;
  const who = `client ${op.client}${op.session > 0 ? ` session 0x${op.session.toString(16)}` : ""}${op.xid > 0 ? ` xid ${op.xid}` : ""}`;
  const at = op.member > 0 ? ` at ${op.member}` : "";
  return `[${when}] ${who}${at}: ${describeRequest(op.request)}${op.linearizable ? " linearizable" : ""} → ${describeOutcome(op.outcome)}`;
}

/** One line of text for a request. */
export function describeRequest(request: Request | ChangeRequest): string {
  if (request.type === "multi") return `multi(${request.ops.map(describeRequest).join(", ")})`;
  const { type, ...fields } = request;
  return `${type}(${Object.values(fields)
    .map((value) => JSON.stringify(value))
    .join(" ")})`;
}

function describeOutcome(outcome: Outcome): string {
  if (outcome.type !== "done")
    return `${outcome.type}${outcome.code === undefined ? "" : ` ${outcome.code}`}`;
  const at = outcome.zxid === null ? "" : ` at ${zxidText(outcome.zxid)}`;
  return `${describeResult(outcome.result)}${at}`;
}

/** One line of text for a result. */
export function describeResult(result: Result | ChangeResult): string {
  if (result.type === "error") return result.code;
  if (result.type === "multi") return `multi[${result.results.map(describeResult).join(", ")}]`;
  return JSON.stringify(result);
}
