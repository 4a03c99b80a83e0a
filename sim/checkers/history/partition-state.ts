/** The znodes of a partition as the operations change them, and what each operation shows of them. */
import { assertNever } from "../../../core/assert.ts";
import {
  type ChangeRequest,
  isRead,
  type ReadRequest,
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
import { type Entry, isWithin, type Partition, UNNAMED } from "./partition.ts";
import { errorOf } from "./replay.ts";

/** The znodes of a partition, and the sessions that are over. Never changed in place. */
export class State {
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
      // A parent that is only assumed to exist has no state.
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

/** The state after an operation, or null when its result shows that it cannot happen in that state. */
export function step(partition: Partition, state: State, entry: Entry): State | null {
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
  // An operation of unknown outcome that would change nothing need not happen.
  const after = state.with(decision.writes, partition);
  return after === state ? null : after;
}

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
  switch (request.type) {
    case "exists":
      return true;
    case "getData":
      return result.type === "getData" && result.data === node.data;
    case "getChildren": {
      if (result.type !== "getChildren") return false;
      const prefix = path === "/" ? "/" : `${path}/`;
      const names = [...state.nodes.keys()].filter((each) => each !== "/" && parentOf(each) === path);
      return (
        names.length === result.children.length &&
        result.children.every((each) => state.nodes.has(prefix + each))
      );
    }
    default:
      return assertNever(request);
  }
}

/** Compares the result that a client got with that of the model. */
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
