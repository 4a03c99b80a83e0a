/**
 * Finds the order in which the writes of a history happened: joins the attempts of each write, gives each write its
 * place among the committed txns, and carries them out in the model ({@link replay}).
 */
import { isAnonymous, type SessionId } from "../../../core/znode/types.ts";
import {
  type ChangeRequest,
  describeOp,
  describeRequest,
  type History,
  isWrite,
  type LogEntry,
  type Op,
  type Result,
  type Stat,
  type Txn,
  type WriteRequest,
  zxidText,
} from "../../history/history.ts";
import { type Decision, requestOf, TreeModel } from "./model.ts";

/** A write with all of its attempts. */
export interface Write {
  /** its attempts, by invoke */
  readonly ops: readonly Op[];
  readonly session: number;
  readonly xid: number;
  readonly request: WriteRequest;
  /** of the first attempt */
  readonly invoke: number;
  /** of the first answer with its outcome; Infinity: none has it */
  readonly return: number;
  /** null: no answer has it */
  readonly result: Result | null;
  /** every attempt was refused: it must have no txn */
  readonly refused: boolean;
  /** its zxid, as far as that is known */
  zxid: number | null;
}

/** A place in the order: a committed txn, and the write of this history that it carries out, if it is one. */
export interface Commit {
  readonly zxid: number;
  readonly session: number;
  /** undefined: a refused write of another client */
  readonly request: WriteRequest | undefined;
  readonly write: Write | null;
  readonly entry: LogEntry | null;
}

/** The writes of a history, with their places in the log. */
export interface Placed {
  readonly writes: readonly Write[];
  /** by zxid; null when there is no log, and the writes do not show all txns */
  readonly commits: readonly Commit[] | null;
  readonly faults: readonly string[];
}

/** The stand-ins for "no session". */
const isNobody = (session: number): boolean => session === 0 || isAnonymous(session as SessionId);

/** Answers that are about the session, not about the write. */
const TURNED_AWAY = new Set(["SESSION_EXPIRED", "SESSION_MOVED"]);

/** Refusals that only a txn can decide. */
const DECIDED = new Set(["NO_NODE", "NODE_EXISTS", "BAD_VERSION", "NOT_EMPTY", "NO_CHILDREN_FOR_EPHEMERALS"]);

/** Code of a result; null if it is not an error. */
export const errorOf = (result: Result | null): string | null =>
  result !== null && result.type === "error" ? result.code : null;

const describeWrite = (write: Write): string => write.ops.map(describeOp).join(" and ");

/** Joins the attempts of each write. */
export function writesOf(history: History, faults: string[] = []): Write[] {
  const groups = new Map<string, Op[]>();
  for (const [i, op] of history.ops.entries()) {
    if (!isWrite(op.request)) continue;
    const code = op.outcome.type === "done" ? errorOf(op.outcome.result) : null;
    const alone = op.session === 0 || op.xid <= 0 || TURNED_AWAY.has(code ?? "");
    const key = alone ? `#${i}` : `${op.session}/${op.xid}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [op]);
    else group.push(op);
  }
  return [...groups.values()].map((ops) => writeOf(ops, faults));
}

function writeOf(ops: readonly Op[], faults: string[]): Write {
  const first = ops[0] as Op;
  let zxid: number | null = null;
  let result: Result | null = null;
  let answered = Number.POSITIVE_INFINITY;
  for (const op of ops) {
    if (describeRequest(op.request) !== describeRequest(first.request)) {
      faults.push(`one number for two writes: ${describeOp(first)} and ${describeOp(op)}`);
    }
    const { outcome } = op;
    if (outcome.type !== "done") continue;
    const sameZxid = zxid === null || outcome.zxid === null || zxid === outcome.zxid;
    if (result !== null && (!sameZxid || JSON.stringify(result) !== JSON.stringify(outcome.result))) {
      faults.push(`one write, two answers: ${ops.map(describeOp).join(" and ")}`);
    }
    zxid ??= outcome.zxid;
    result ??= outcome.result;
    answered = Math.min(answered, op.return);
  }
  return {
    ops,
    session: first.session,
    xid: first.xid,
    request: first.request as WriteRequest,
    invoke: Math.min(...ops.map((op) => op.invoke)),
    return: answered,
    result,
    refused: ops.every((op) => op.outcome.type === "refused"),
    zxid,
  };
}

/**
 * Does this txn carry out this request, or refuse it? Data must be unique where nothing else distinguishes two
 * requests.
 */
function fits(txn: Txn, request: WriteRequest | ChangeRequest): boolean {
  if (txn.type !== request.type) return false;
  switch (request.type) {
    case "create": {
      const { path, data, ephemeral } = txn as Extract<Txn, { type: "create" }>;
      const sequential = request.mode >= 2;
      const samePath = sequential
        ? path.startsWith(request.path) && /^-?\d+$/.test(path.slice(request.path.length))
        : path === request.path;
      return samePath && data === request.data && ephemeral === (request.mode % 2 === 1);
    }
    case "setData": {
      const { path, data } = txn as Extract<Txn, { type: "setData" }>;
      return path === request.path && data === request.data;
    }
    case "delete":
    case "check":
      return (txn as Extract<Txn, { type: "delete" }>).path === request.path;
    case "multi": {
      const { txns } = txn as Extract<Txn, { type: "multi" }>;
      return txns.length === request.ops.length && request.ops.every((op, i) => fits(txns[i] as Txn, op));
    }
    default:
      return true;
  }
}

/** Finds the place of every write. @param strangers other clients wrote whose requests are not in the history */
export function place(history: History, strangers: boolean): Placed {
  const faults: string[] = [];
  const writes = writesOf(history, faults);
  const commits =
    history.log === null
      ? placeWithoutLog(history, writes, faults)
      : placeInLog(history.log, writes, strangers, faults);
  return { writes, commits, faults };
}

/** Without a log the writes are their own order, if each has its zxid. */
function placeWithoutLog(history: History, writes: readonly Write[], faults: string[]): Commit[] | null {
  const open = writes.filter((write) => write.zxid === null && !write.refused);
  const owned = writes.some(({ request }) => JSON.stringify(request).match(/"mode":[13]/));
  if (open.length > 0 || owned) {
    const why = open.length > 0 ? `${open.length} writes of unknown outcome` : "ephemerals";
    faults.push(`${history.about}: without the committed log, ${why} cannot be placed`);
    return null;
  }
  const placed = writes.filter(
    (write) => write.zxid !== null && !TURNED_AWAY.has(errorOf(write.result) ?? ""),
  );
  placed.sort((a, b) => (a.zxid as number) - (b.zxid as number));
  for (const [i, write] of placed.entries()) {
    const before = placed[i - 1];
    if (before?.zxid !== write.zxid) continue;
    faults.push(
      `two writes at ${zxidText(write.zxid ?? 0)}: ${describeWrite(before)}; ${describeWrite(write)}`,
    );
  }
  return placed.map((write) => ({
    zxid: write.zxid as number,
    session: write.session,
    request: write.request,
    write,
    entry: null,
  }));
}

/** The committed txns, and those of them that no write has claimed yet. */
class LogIndex {
  readonly byZxid = new Map<number, LogEntry>();
  readonly #byNumber = new Map<string, LogEntry[]>();
  readonly #ofSession = new Map<number, LogEntry[]>();
  readonly #anonymous: LogEntry[] = [];
  readonly owner = new Map<LogEntry, Write>();

  constructor(log: readonly LogEntry[], faults: string[]) {
    let last = 0;
    for (const entry of log) {
      if (entry.zxid <= last)
        faults.push(`the log is out of order: ${zxidText(entry.zxid)} after ${zxidText(last)}`);
      last = entry.zxid;
      this.byZxid.set(entry.zxid, entry);
      if (isNobody(entry.session)) {
        this.#anonymous.push(entry);
        continue;
      }
      push(this.#ofSession, entry.session, entry);
      if (entry.xid > 0) push(this.#byNumber, `${entry.session}/${entry.xid}`, entry);
    }
    for (const [key, entries] of this.#byNumber) {
      const happened = entries.filter(({ txn }) => txn.type !== "error");
      if (happened.length < 2) continue;
      faults.push(
        `${key} happened ${happened.length} times: ${happened.map(({ zxid }) => zxidText(zxid)).join(", ")}`,
      );
    }
  }

  /** The txns that carry out this write or refuse it. */
  find(write: Write): LogEntry | undefined {
    const { session, xid, request } = write;
    if (session > 0 && xid > 0) {
      const entries = this.#byNumber.get(`${session}/${xid}`) ?? [];
      return entries.find(({ txn }) => txn.type !== "error") ?? entries[0];
    }
    const among = session > 0 ? (this.#ofSession.get(session) ?? []) : this.#anonymous;
    return among.find((entry) => !this.owner.has(entry) && fits(entry.txn, request));
  }
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function placeInLog(
  log: readonly LogEntry[],
  writes: readonly Write[],
  strangers: boolean,
  faults: string[],
): Commit[] {
  const index = new LogIndex(log, faults);
  const claim = (write: Write, entry: LogEntry): void => {
    const other = index.owner.get(entry);
    // One refusal refuses every attempt of the write that it names.
    if (other !== undefined && isAttemptOf(other, write)) return;
    if (other !== undefined) {
      faults.push(`two writes at ${zxidText(entry.zxid)}: ${describeWrite(other)}; ${describeWrite(write)}`);
    }
    index.owner.set(entry, write);
    write.zxid = entry.zxid;
  };
  // Writes with a zxid go first; the others are looked for among the remaining txns.
  for (const write of writes) {
    if (write.result !== null) placeAnswered(write, index, claim, faults);
  }
  for (const write of writes) {
    if (write.result !== null) continue;
    const entry = index.find(write);
    if (entry === undefined) continue;
    if (write.refused && entry.txn.type !== "error") {
      faults.push(`refused, but it happened at ${zxidText(entry.zxid)}: ${describeWrite(write)}`);
    }
    claim(write, entry);
  }
  return log.map((entry) => {
    const write = index.owner.get(entry) ?? null;
    if (write === null && !strangers && !isHousekeeping(entry.txn)) {
      faults.push(`nobody asked for the txn at ${zxidText(entry.zxid)}: ${JSON.stringify(entry)}`);
    }
    const { zxid, session } = entry;
    const request = write === null ? requestOf(entry.txn) : write.request;
    return { zxid, session: isNobody(session) ? 0 : session, request, write, entry };
  });
}

/** Both are attempts under one number, and the answer of the first was about its session, not about its write. */
const isAttemptOf = (turnedAway: Write, write: Write): boolean =>
  write.session > 0 &&
  write.xid > 0 &&
  turnedAway.session === write.session &&
  turnedAway.xid === write.xid &&
  TURNED_AWAY.has(errorOf(turnedAway.result) ?? "") &&
  (write.result === null || TURNED_AWAY.has(errorOf(write.result) ?? ""));

/** Txns that members make by themselves or that change no znode; openings come from handshakes too. */
const isHousekeeping = (txn: Txn): boolean =>
  txn.type === "createSession" || txn.type === "closeSession" || txn.type === "sync" || txn.type === "error";

function placeAnswered(
  write: Write,
  index: LogIndex,
  claim: (write: Write, entry: LogEntry) => void,
  faults: string[],
): void {
  const code = errorOf(write.result);
  const told = write.zxid === null ? undefined : index.byZxid.get(write.zxid);
  const owns =
    told !== undefined &&
    (write.session === 0 ? isNobody(told.session) : told.session === write.session) &&
    (write.xid <= 0 || write.session === 0 || told.xid === write.xid);
  if (owns && (code === null || told.txn.type === "error")) {
    claim(write, told);
    return;
  }
  if (code === null) {
    const entry = write.zxid === null ? index.find(write) : undefined;
    if (entry !== undefined) claim(write, entry);
    else if (told !== undefined)
      faults.push(`answered with the zxid of ${JSON.stringify(told)}: ${describeWrite(write)}`);
    else faults.push(`lost: acknowledged, but not in the log: ${describeWrite(write)}`);
    return;
  }
  // Another error may come from the member that was asked. Then the write has no zxid, and the answer's is that of the member.
  const tells = write.zxid !== null;
  write.zxid = null;
  const numbered = write.session > 0 && write.xid > 0;
  const entry = numbered && !TURNED_AWAY.has(code) ? index.find(write) : undefined;
  if (entry === undefined) {
    if (DECIDED.has(code) && (tells || numbered)) {
      faults.push(`answered ${code}, but no txn says so: ${describeWrite(write)}`);
    }
    return;
  }
  if (entry.txn.type !== "error") {
    faults.push(`answered ${code}, but it happened at ${zxidText(entry.zxid)}: ${describeWrite(write)}`);
  }
  claim(write, entry);
}

/** A tree, valid from `since` on and before `until`. */
export interface Standing {
  readonly model: TreeModel;
  readonly since: number;
  readonly until: number;
  /** the txn that made it; null: it is the first tree of every ensemble */
  readonly commit: Commit | null;
  /** the model's result of that txn; null also when it is a refused write of another client */
  readonly decision: Decision<Result> | null;
}

/** Carries out the committed writes in their order. @param visit sees every tree, the first one too */
export function replay(commits: readonly Commit[], visit: (standing: Standing) => void): void {
  const model = new TreeModel();
  const closed = new Set<number>();
  const until = (i: number): number => commits[i]?.zxid ?? Number.POSITIVE_INFINITY;
  visit({ model, since: 0, until: until(0), commit: null, decision: null });
  for (const [i, commit] of commits.entries()) {
    const { zxid, session, request, entry } = commit;
    // Without a log nothing shows the openings in handshakes.
    const implied = entry === null && session > 0 && !model.isOpen(session) && !closed.has(session);
    if (implied) model.apply(0, session, { type: "createSession", timeoutMs: 0 });
    const decision = request === undefined ? null : model.apply(zxid, session, request);
    if (request?.type === "closeSession") closed.add(session);
    visit({ model, since: zxid, until: until(i + 1), commit, decision });
  }
}

/** Compares results. Times are learned: each zxid has one, at every member. */
export class Comparison {
  /** *map zxid → ms* */
  readonly #times = new Map<number, number>([[0, 0]]);

  constructor(log: readonly LogEntry[] | null) {
    for (const { zxid, timeMs } of log ?? []) this.#times.set(zxid, timeMs);
  }

  same(expected: Result, actual: Result): boolean {
    return this.#same(expected, actual);
  }

  #same(expected: unknown, actual: unknown): boolean {
    if (typeof expected !== "object" || expected === null || typeof actual !== "object" || actual === null) {
      return expected === actual;
    }
    if (Array.isArray(expected)) {
      return (
        Array.isArray(actual) &&
        actual.length === expected.length &&
        expected.every((each, i) => this.#same(each, actual[i]))
      );
    }
    if ("czxid" in expected) return this.#sameStat(expected as Stat, actual as Stat);
    const wanted = expected as Record<string, unknown>;
    const got = actual as Record<string, unknown>;
    // The leader bounds what a client asks for.
    if (wanted.type === "createSession") return got.type === "createSession";
    // Not every transport hands the Stat on.
    return Object.keys(wanted).every(
      (key) => (key === "stat" && (got[key] ?? null) === null) || this.#same(wanted[key], got[key]),
    );
  }

  #sameStat(expected: Stat, actual: Stat): boolean {
    for (const key of Object.keys(expected) as (keyof Stat)[]) {
      if (key !== "ctime" && key !== "mtime" && expected[key] !== actual[key]) return false;
    }
    return this.#sameTime(expected.czxid, actual.ctime) && this.#sameTime(expected.mzxid, actual.mtime);
  }

  #sameTime(zxid: number, ms: number): boolean {
    const known = this.#times.get(zxid);
    if (known === undefined) this.#times.set(zxid, ms);
    return known === undefined || known === ms;
  }
}
