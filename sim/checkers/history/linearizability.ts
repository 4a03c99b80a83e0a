/**
 * Linearizability (T7): is there an order of the operations, in agreement with real time, in which every one gets the result
 * that its client got? It takes no zxid for an order. A zxid that a client was told is only a name here: what one write was
 * told to be, a read may show, and nothing else.
 *
 * In it are the writes, and the reads that promise it: linearizable ones, and a plain read whose session's last answer was
 * that of a `sync` on the same connection (from the moment the sync was first asked for). The end of a session is in it as a write
 * that takes its ephemerals with it.
 *
 * Operations fall apart by path: znodes that no operation ties together are checked apart. A multi ties its paths; a parent
 * is tied to its children when it may go away, numbers them, or is listed. Otherwise it is taken to be there.
 *
 * Where the log tells the place of an operation, that is where the search looks first: right histories are found right at
 * once, and wrong ones are searched to the end all the same.
 *
 * The search is bounded by steps, not by time, so that a verdict does not depend on the machine. One that runs out of steps
 * is a fault.
 *
 * @source Wing and Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for linearizability" (2017)
 */
import {
  type ChangeRequest,
  describeOp,
  type History,
  isRead,
  type Op,
  type ReadRequest,
  type Request,
  type Result,
  type Stat,
  type WriteRequest,
} from "../../history/history.ts";
import {
  type Decision,
  decideChange,
  decideMulti,
  type ModelNode,
  newNode,
  parentOf,
  statOf,
} from "./model.ts";
import { errorOf, place, type Write, writesOf } from "./replay.ts";

/** What the search has checked. */
export interface LinearizabilityCounts {
  readonly linearizableOps: number;
  readonly partitions: number;
  /** operations of the largest partition */
  readonly partitionMax: number;
  readonly steps: number;
  /** partitions without a verdict */
  readonly undecided: number;
}

/** An operation, as the search sees it. */
export interface Entry {
  readonly session: number;
  readonly request: Request;
  readonly invoke: number;
  /** Infinity: it may happen at any time after `invoke`, or never */
  readonly return: number;
  /** null: nobody knows */
  readonly result: Result | null;
  /** the name of its change, if its client knows it */
  readonly name: number;
  /** what has the lower one is tried first; it decides nothing */
  readonly hint: number;
  readonly text: () => string;
}

/** Its zxid is not known: it may be any. */
const UNNAMED = -1;

/** Codes that tell of a session, or of the member that was asked, and not of a znode. */
const ASIDE: ReadonlySet<string> = new Set([
  "SESSION_EXPIRED",
  "SESSION_MOVED",
  "MARSHALLING_ERROR",
  "UNIMPLEMENTED",
]);

/** @param placed the writes with their places in the log: where the search looks first */
export function checkLinearizability(
  history: History,
  stepsMax: number,
  faults: string[],
  placed: readonly Write[] = place(history, true).writes,
): LinearizabilityCounts {
  const partitions = partition(entriesOf(history, placed));
  let linearizableOps = 0;
  let partitionMax = 0;
  let steps = 0;
  let undecided = 0;
  for (const each of partitions) {
    linearizableOps += each.entries.length;
    partitionMax = Math.max(partitionMax, each.entries.length);
    const verdict = search(each, stepsMax);
    steps += verdict.steps;
    if (verdict.type === "ok") continue;
    if (verdict.type === "undecided") undecided += 1;
    faults.push(describeVerdict(each, verdict));
  }
  return { linearizableOps, partitions: partitions.length, partitionMax, steps, undecided };
}

// ── what is in it ────────────────────────────────────────────────────────────

function entriesOf(history: History, placed: readonly Write[]): Entry[] {
  const entries: Entry[] = [];
  const places = new Map(placed.map(({ ops, zxid }) => [ops[0], zxid]));
  const closings = new Map<number, number>();
  const refusals = new Set<number>();
  for (const { session, txn, zxid } of history.log ?? []) {
    if (txn.type === "closeSession") closings.set(session, zxid);
    if (txn.type === "error") refusals.add(zxid);
  }
  /** What nobody knows the outcome of and the log refused has no place, as if it were not there: anywhere later it might fit. */
  const hintOf = (write: Write): number => {
    const zxid = places.get(write.ops[0]) ?? write.zxid ?? Number.POSITIVE_INFINITY;
    return write.result === null && refusals.has(zxid) ? Number.POSITIVE_INFINITY : zxid;
  };
  for (const write of writesOf(history)) {
    const { request, session, invoke, result, refused } = write;
    if (
      refused ||
      request.type === "sync" ||
      request.type === "createSession" ||
      ASIDE.has(errorOf(result) ?? "")
    ) {
      continue;
    }
    const name = write.zxid ?? UNNAMED;
    entries.push({
      session,
      request,
      invoke,
      return: write.return,
      result,
      name,
      hint: hintOf(write),
      text: () => write.ops.map(describeOp).join(" and "),
    });
  }
  for (const [op, invoke] of freshReads(history)) {
    const { session, request, outcome } = op;
    if (outcome.type !== "done" || ASIDE.has(errorOf(outcome.result) ?? "")) continue;
    // A read comes behind the write that it shows.
    const hint = (outcome.zxid ?? Number.POSITIVE_INFINITY) + 0.5;
    const text = () => describeOp(op);
    entries.push({
      session,
      request,
      invoke,
      return: op.return,
      result: outcome.result,
      name: UNNAMED,
      hint,
      text,
    });
  }
  entries.push(...endsOf(history, entries, closings));
  return entries.sort((a, b) => a.invoke - b.invoke);
}

/** The reads that promise to be fresh, each with the moment from which on it is. */
function freshReads(history: History): Map<Op, number> {
  const fresh = new Map<Op, number>();
  /** *map connection → the sync that is its last request* */
  const synced = new Map<number, Op>();
  /** *map session and number → when that sync was asked for first*: asked again, it has its first result */
  const asked = new Map<string, number>();
  for (const op of history.ops) {
    const name = `${op.session} ${op.xid}`;
    if (op.request.type === "sync" && op.xid > 0 && !asked.has(name)) asked.set(name, op.invoke);
    if (isRead(op.request)) {
      const sync = op.conn > 0 ? synced.get(op.conn) : undefined;
      synced.delete(op.conn);
      if (op.linearizable) fresh.set(op, op.invoke);
      else if (sync?.outcome.type === "done" && errorOf(sync.outcome.result) === null)
        fresh.set(op, asked.get(`${sync.session} ${sync.xid}`) ?? sync.invoke);
    } else if (op.request.type === "sync") synced.set(op.conn, op);
    else synced.delete(op.conn);
  }
  return fresh;
}

const isEphemeral = (request: Request | ChangeRequest): boolean =>
  request.type === "multi"
    ? request.ops.some(isEphemeral)
    : request.type === "create" && (request.mode === 1 || request.mode === 3);

/** A session may end by itself at any time; it has ended when its client is told so. */
function endsOf(history: History, entries: readonly Entry[], closings: ReadonlyMap<number, number>): Entry[] {
  const told = new Map<number, number>();
  for (const { type, session, at } of history.sessions) {
    if (type === "expired" && !told.has(session)) told.set(session, at);
  }
  const sessions = new Map<number, number>();
  const closed = new Set<number>();
  for (const { session, request, invoke, result } of entries) {
    if (isEphemeral(request) && !sessions.has(session)) sessions.set(session, invoke);
    if (request.type === "closeSession" && result !== null) closed.add(session);
  }
  return [...sessions]
    .filter(([session]) => session > 0 && !closed.has(session))
    .map(([session, invoke]) => {
      const at = told.get(session);
      return {
        session,
        request: { type: "closeSession" } as const,
        invoke,
        return: at ?? Number.POSITIVE_INFINITY,
        result: at === undefined ? null : ({ type: "closeSession" } as const),
        name: UNNAMED,
        hint: closings.get(session) ?? Number.POSITIVE_INFINITY,
        text: () => `the end of session 0x${session.toString(16)}`,
      };
    });
}

// ── what falls apart ─────────────────────────────────────────────────────────

/** Znodes that operations connect; partitions are checked separately. */
export interface Partition {
  readonly paths: ReadonlySet<string>;
  /** paths whose children are in it too, or that have none */
  readonly whole: ReadonlySet<string>;
  readonly entries: readonly Entry[];
}

const changesOf = (request: Request): readonly (ChangeRequest | ReadRequest)[] => {
  if (request.type === "multi") return request.ops;
  if (isRead(request)) return [request];
  return request.type === "create" || request.type === "setData" || request.type === "delete"
    ? [request]
    : [];
};

const isSequential = (op: ChangeRequest | ReadRequest): boolean => op.type === "create" && op.mode >= 2;

/** The znode that an operation is about; of a sequential create its parent, which alone knows the name. */
const subjectOf = (op: ChangeRequest | ReadRequest): string | null => {
  if (op.type === "refused") return null;
  if (isSequential(op)) return parentOf(op.path);
  return op.path === "" ? "/" : op.path;
};

/** What became of one operation of a request. */
const resultOf = (result: Result | null, i: number): Result | null =>
  result?.type === "multi" ? (result.results[i] ?? null) : result;

/** The codes of a create that speak of its parent. */
const OF_PARENT: ReadonlySet<string> = new Set(["NO_NODE", "NO_CHILDREN_FOR_EPHEMERALS"]);

class Union {
  readonly #above = new Map<string, string>();

  find(path: string): string {
    let top = path;
    for (let above = this.#above.get(top); above !== undefined; above = this.#above.get(top)) top = above;
    for (let each = path; each !== top; ) {
      const above = this.#above.get(each) ?? top;
      this.#above.set(each, top);
      each = above;
    }
    return top;
  }

  join(a: string, b: string): void {
    const [first, second] = [this.find(a), this.find(b)];
    if (first !== second) this.#above.set(first, second);
  }
}

/** Parents that are tied to their children. */
function tiedParents(entries: readonly Entry[]): Set<string> {
  const tied = new Set<string>();
  for (const { request, result } of entries) {
    for (const [i, op] of changesOf(request).entries()) {
      if (op.type === "refused") continue;
      if (op.type === "delete" || op.type === "getChildren" || (op.type === "create" && op.mode === 1))
        tied.add(op.path);
      if (isSequential(op)) tied.add(parentOf(op.path));
      const code = errorOf(resultOf(result, i)) ?? "";
      if (op.type === "create" && OF_PARENT.has(code)) tied.add(parentOf(op.path));
    }
  }
  return tied;
}

/** Splits the operations by the znodes that they tie together. */
export function partition(entries: readonly Entry[]): Partition[] {
  const union = new Union();
  const tied = tiedParents(entries);
  const paths = new Set<string>();
  /** *map session → paths of its ephemerals* */
  const owned = new Map<number, Set<string>>();
  for (const { request, session, result } of entries) {
    let first: string | null = null;
    for (const [i, op] of changesOf(request).entries()) {
      const path = subjectOf(op);
      if (path === null) continue;
      const each = resultOf(result, i);
      // The name that a sequential create was given.
      const named = isSequential(op) && each?.type === "create" ? each.path : path;
      for (const member of [path, named]) {
        paths.add(member);
        union.join(first ?? member, member);
        if (member === "/" || !tied.has(parentOf(member))) continue;
        paths.add(parentOf(member));
        union.join(member, parentOf(member));
      }
      first ??= path;
      if (isEphemeral(op as ChangeRequest)) owned.set(session, (owned.get(session) ?? new Set()).add(named));
    }
  }
  const found = new Map<string, { paths: Set<string>; whole: Set<string>; entries: Entry[] }>();
  const parents = new Set([...paths].filter((path) => path !== "/").map(parentOf));
  for (const path of paths) {
    const top = union.find(path);
    const each = found.get(top) ?? { paths: new Set<string>(), whole: new Set<string>(), entries: [] };
    each.paths.add(path);
    if (tied.has(path) || !parents.has(path)) each.whole.add(path);
    found.set(top, each);
  }
  for (const entry of entries) {
    const tops = new Set<string>();
    if (entry.request.type === "closeSession") {
      for (const path of owned.get(entry.session) ?? []) tops.add(union.find(path));
    } else {
      for (const op of changesOf(entry.request)) {
        const path = subjectOf(op);
        if (path !== null) tops.add(union.find(path));
      }
    }
    for (const top of tops) found.get(top)?.entries.push(entry);
  }
  return [...found.values()];
}

// ── the state of a partition ─────────────────────────────────────────────────

/** The znodes of a partition, and the sessions that are over. Never changed in place. */
class State {
  readonly nodes: ReadonlyMap<string, ModelNode>;
  readonly ended: ReadonlySet<number>;
  #text: string | undefined;

  constructor(nodes: ReadonlyMap<string, ModelNode>, ended: ReadonlySet<number> = new Set()) {
    this.nodes = nodes;
    this.ended = ended;
  }

  /** Equal texts, equal states. */
  get text(): string {
    if (this.#text === undefined) {
      const parts: string[] = [];
      for (const [path, { data, version, created, czxid, mzxid, pzxid, owner }] of this.nodes) {
        const numbers = `${version},${created},${czxid},${mzxid},${pzxid},${owner}`;
        parts.push(`${path} ${numbers} ${data === null ? "" : `${data.length}:${data}`}`);
      }
      parts.push(...[...this.ended].map(String));
      this.#text = parts.length > 1 ? parts.sort().join("\n\n") : (parts[0] ?? "");
    }
    return this.#text;
  }

  with(writes: ReadonlyMap<string, ModelNode | null>, partition: Partition): State {
    const nodes = new Map(this.nodes);
    let changed = false;
    for (const [path, node] of writes) {
      if (node === null) changed = nodes.delete(path) || changed;
      // A parent that is only taken to be there has no state.
      else if (isWithin(partition, path)) {
        nodes.set(path, node);
        changed = true;
      }
    }
    return changed ? new State(nodes, this.ended) : this;
  }
}

/** A parent outside of the partition. */
const ASSUMED = newNode(UNNAMED, "", 0);

/** What an operation does to a state: the state after it, or null when its result shows that it cannot happen there. */
function step(partition: Partition, state: State, entry: Entry): State | null {
  const { request, result, session, name } = entry;
  const view = (path: string): ModelNode | undefined =>
    state.nodes.get(path) ?? (isWithin(partition, path) ? undefined : ASSUMED);
  if (isRead(request)) return shows(partition, state, request, result as Result, view) ? state : null;
  if (state.ended.has(session)) return null;
  const decision = decide(view, state, name, session, request as WriteRequest);
  if (request.type === "closeSession") {
    const { nodes, ended } = state.with(decision.writes, partition);
    return new State(nodes, new Set([...ended, session]));
  }
  if (result !== null) {
    if (!agrees(partition, decision.result, result, request as WriteRequest)) return null;
    return state.with(decision.writes, partition);
  }
  // What has no known outcome and would change nothing might as well never happen.
  const after = state.with(decision.writes, partition);
  return after === state ? null : after;
}

/** Has it a state here? A child that nobody named (a sequential one without an answer) has it with its parent. */
const isWithin = ({ paths, whole }: Partition, path: string): boolean =>
  paths.has(path) || (path !== "/" && paths.has(parentOf(path)) && whole.has(parentOf(path)));

function decide(
  view: (path: string) => ModelNode | undefined,
  state: State,
  name: number,
  session: number,
  request: WriteRequest,
): Decision<Result> {
  switch (request.type) {
    case "multi":
      return decideMulti(view, name, session, request.ops);
    case "closeSession": {
      const ops: ChangeRequest[] = [];
      for (const [path, { owner }] of state.nodes)
        if (owner === session) ops.push({ type: "delete", path, version: -1 });
      return { ...decideMulti(view, name, session, ops), result: { type: "closeSession" } };
    }
    case "create":
    case "setData":
    case "delete":
      return decideChange(view, name, session, request);
    default:
      return { result: request, writes: new Map(), events: [] };
  }
}

function shows(
  partition: Partition,
  state: State,
  request: ReadRequest,
  result: Result,
  view: (path: string) => ModelNode | undefined,
): boolean {
  const path = request.path === "" ? "/" : request.path;
  const node = view(path);
  if (node === undefined) return errorOf(result) === "NO_NODE";
  if (result.type !== request.type) return false;
  if ("stat" in result && result.stat !== null && !sameStat(partition, path, node, result.stat)) return false;
  if (result.type === "getData") return result.data === node.data;
  if (result.type !== "getChildren") return result.type === "exists";
  const prefix = path === "/" ? "/" : `${path}/`;
  const names = [...state.nodes.keys()].filter((each) => each !== "/" && parentOf(each) === path);
  return (
    names.length === result.children.length && result.children.every((each) => state.nodes.has(prefix + each))
  );
}

/** What a client was told, against what the model makes of it. */
function agrees(
  partition: Partition,
  expected: Result,
  actual: Result,
  request: WriteRequest | ChangeRequest,
): boolean {
  if (expected.type !== actual.type) return false;
  switch (expected.type) {
    case "error":
      return expected.code === errorOf(actual);
    case "create":
      return actual.type === "create" && actual.path === expected.path;
    case "setData": {
      if (actual.type !== "setData" || request.type !== "setData") return false;
      return (
        actual.stat.version === expected.stat.version && sameName(expected.stat.czxid, actual.stat.czxid)
      );
    }
    case "multi": {
      if (actual.type !== "multi" || request.type !== "multi") return false;
      const { results } = actual;
      return (
        results.length === expected.results.length &&
        expected.results.every((each, i) =>
          agrees(partition, each, results[i] as Result, request.ops[i] as ChangeRequest),
        )
      );
    }
    default:
      return true;
  }
}

const sameName = (expected: number, actual: number): boolean => expected === UNNAMED || expected === actual;

function sameStat(partition: Partition, path: string, node: ModelNode, actual: Stat): boolean {
  if (node === ASSUMED) return true;
  const expected = statOf(node);
  if (
    expected.version !== actual.version ||
    expected.dataLength !== actual.dataLength ||
    expected.ephemeralOwner !== actual.ephemeralOwner ||
    !sameName(expected.czxid, actual.czxid) ||
    !sameName(expected.mzxid, actual.mzxid)
  ) {
    return false;
  }
  if (!partition.whole.has(path)) return true;
  return (
    expected.cversion === actual.cversion &&
    expected.numChildren === actual.numChildren &&
    sameName(expected.pzxid, actual.pzxid)
  );
}

// ── the search ───────────────────────────────────────────────────────────────

/** Result of the search in one partition. */
export interface Verdict {
  readonly type: "ok" | "illegal" | "undecided";
  readonly steps: number;
  /** the longest order that was found, as indices of entries */
  readonly longest: readonly number[];
  /** the entry that could not be put behind it; −1: none */
  readonly stuck: number;
}

/** A place of the search: some operations are taken, and one more is to be chosen. */
interface Place {
  readonly state: State;
  /** what may be next, the likeliest first */
  readonly choices: readonly number[];
  tried: number;
  /** the one that is taken now; −1: none */
  taken: number;
}

/**
 * Searches for an order. `entries` are by invoke. Calls and returns stand in a doubly linked list by time: an operation may
 * be next while no return stands before its call, and both leave the list when it is taken.
 */
export function search(partition: Partition, stepsMax: number): Verdict {
  const { entries } = partition;
  const list = new CallList(entries);
  const taken = new Uint16Array(Math.ceil(entries.length / 16));
  const seen = new Set<string>();
  /** operations that have to be taken */
  let left = entries.filter((entry) => Number.isFinite(entry.return)).length;
  const untake = (index: number): void => {
    taken[index >> 4] = (taken[index >> 4] as number) & ~(1 << (index & 15));
    if (Number.isFinite((entries[index] as Entry).return)) left += 1;
    list.unlift(index);
  };
  let steps = 0;
  let longest: number[] = [];
  let stuck = -1;
  const stack: Place[] = [
    { state: new State(initialNodes(partition)), choices: list.choices(entries), tried: 0, taken: -1 },
  ];
  while (left > 0) {
    const here = stack.at(-1);
    if (here === undefined) return { type: "illegal", steps, longest, stuck };
    if (here.taken !== -1) {
      untake(here.taken);
      here.taken = -1;
    }
    const index = here.choices[here.tried];
    if (index === undefined) {
      if (stuck === -1 || stack.length > longest.length + 1) {
        longest = stack.slice(0, -1).map((place) => place.taken);
        stuck = list.bound;
      }
      stack.pop();
      continue;
    }
    here.tried += 1;
    steps += 1;
    if (steps > stepsMax) return { type: "undecided", steps, longest, stuck };
    const entry = entries[index] as Entry;
    const after = step(partition, here.state, entry);
    if (after === null) continue;
    // A read or a refusal that fits here loses nothing by being taken here: there is no other choice to try.
    const free = after === here.state;
    if (free) here.tried = here.choices.length;
    else if (!isNew(seen, taken, index, after)) continue;
    taken[index >> 4] = (taken[index >> 4] as number) | (1 << (index & 15));
    if (Number.isFinite(entry.return)) left -= 1;
    list.lift(index);
    here.taken = index;
    stack.push({ state: after, choices: list.choices(entries), tried: 0, taken: -1 });
  }
  return { type: "ok", steps, longest: [], stuck: -1 };
}

/** Has this place of the search not been seen yet? */
function isNew(seen: Set<string>, taken: Uint16Array, index: number, after: State): boolean {
  const word = taken[index >> 4] as number;
  taken[index >> 4] = word | (1 << (index & 15));
  const key = String.fromCharCode(...taken) + after.text;
  taken[index >> 4] = word;
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}

/** The built-in nodes are there from the beginning. */
function initialNodes({ paths }: Partition): Map<string, ModelNode> {
  const nodes = new Map<string, ModelNode>();
  if (!paths.has("/")) return nodes;
  nodes.set("/", { ...newNode(0, "", 0), children: 1 });
  nodes.set("/zookeeper", { ...newNode(0, "", 0), children: 2 });
  return nodes;
}

/** Calls (0 … n−1, by entry) and returns (n … 2n−1) in the order of time. The end is −1. */
class CallList {
  readonly #n: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;

  constructor(entries: readonly Entry[]) {
    this.#n = entries.length;
    const n = this.#n;
    const moments = entries.flatMap((entry, i) =>
      Number.isFinite(entry.return)
        ? [
            { at: entry.invoke, id: i },
            { at: entry.return, id: n + i },
          ]
        : [{ at: entry.invoke, id: i }],
    );
    moments.sort((a, b) => a.at - b.at);
    // One more place, at 2n, is the head.
    this.#next = new Int32Array(2 * n + 1).fill(-1);
    this.#previous = new Int32Array(2 * n + 1).fill(-1);
    let last = 2 * n;
    for (const { id } of moments) {
      this.#next[last] = id;
      this.#previous[id] = last;
      last = id;
    }
  }

  /** The calls that no return precedes. */
  choices(entries: readonly Entry[]): number[] {
    const calls: number[] = [];
    let id = this.#next[2 * this.#n] as number;
    for (; id !== -1 && id < this.#n; id = this.#next[id] as number) calls.push(id);
    return calls.sort((a, b) => (entries[a] as Entry).hint - (entries[b] as Entry).hint || a - b);
  }

  /** The call whose return stands first; −1: none. */
  get bound(): number {
    let id = this.#next[2 * this.#n] as number;
    while (id !== -1 && id < this.#n) id = this.#next[id] as number;
    return id === -1 ? -1 : id - this.#n;
  }

  lift(call: number): void {
    this.#remove(call);
    this.#remove(this.#n + call);
  }

  unlift(call: number): void {
    this.#restore(this.#n + call);
    this.#restore(call);
  }

  #remove(id: number): void {
    const previous = this.#previous[id] as number;
    const next = this.#next[id] as number;
    if (previous === -1) return;
    this.#next[previous] = next;
    if (next !== -1) this.#previous[next] = previous;
  }

  #restore(id: number): void {
    const previous = this.#previous[id] as number;
    const next = this.#next[id] as number;
    if (previous === -1) return;
    this.#next[previous] = id;
    if (next !== -1) this.#previous[next] = id;
  }
}

function describeVerdict(partition: Partition, verdict: Verdict): string {
  const { entries, paths } = partition;
  const what = verdict.type === "illegal" ? "not linearizable" : `no verdict after ${verdict.steps} steps`;
  const names = [...paths].slice(0, 5).join(", ");
  const last = verdict.longest.slice(-5).map((i) => `\n    ${entries[i]?.text()}`);
  const stuck =
    verdict.stuck === -1 ? "" : `\n  and this cannot follow:\n    ${entries[verdict.stuck]?.text()}`;
  return `${what}: ${names} (${entries.length} operations); ${verdict.longest.length} can be ordered, the last of them:${last.join("")}${stuck}`;
}
