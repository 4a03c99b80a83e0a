/**
 * The znode tree as a client understands it: a map of paths and one function of rules. It shares no code with the
 * core, so an agreement of the two means something.
 * @source ZooKeeper programmer's guide; `docs/spec/znode.md`
 */
import type { ZooErrorCode } from "../../../core/errors.ts";
import type {
  ChangeRequest,
  ChangeResult,
  ReadRequest,
  ReadResult,
  Stat,
  Txn,
  WriteRequest,
  WriteResult,
} from "../../history/history.ts";

/** A znode. Never changed in place. */
export interface ModelNode {
  readonly data: string | null;
  readonly version: number;
  /** number of children ever created: the counter of sequential names */
  readonly created: number;
  /** children now */
  readonly children: number;
  readonly czxid: number;
  readonly mzxid: number;
  readonly pzxid: number;
  /** session that owns it; 0: it is persistent */
  readonly owner: number;
  readonly aversion: number;
}

/** Effect of a change on the tree. */
export interface Decision<R> {
  readonly result: R;
  /** *map path → the znode, or null if it was deleted*; empty if the change was refused */
  readonly writes: ReadonlyMap<string, ModelNode | null>;
  /** in order */
  readonly events: readonly ModelEvent[];
}

/** A change that may fire a watch, with ZooKeeper's numbers. */
export interface ModelEvent {
  readonly type: 1 | 2 | 3 | 4;
  readonly path: string;
}
const CREATED = 1;
const DELETED = 2;
const DATA_CHANGED = 3;
const CHILDREN_CHANGED = 4;

const BUILT_IN = ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"];

/** Path of the parent; the root's is "". */
export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

/** A znode as it is created. */
export const newNode = (zxid: number, data: string | null, owner: number): ModelNode => ({
  data,
  version: 0,
  created: 0,
  children: 0,
  czxid: zxid,
  mzxid: zxid,
  pzxid: zxid,
  owner,
  aversion: 0,
});

type View = (path: string) => ModelNode | undefined;

const refused = (code: ZooErrorCode): Decision<ChangeResult> => ({
  result: { type: "error", code },
  writes: new Map(),
  events: [],
});

const matches = (expected: number, version: number): boolean => expected === -1 || expected === version;

function isLegal(path: string): boolean {
  if (path === "/") return true;
  if (!path.startsWith("/")) return false;
  return path
    .slice(1)
    .split("/")
    .every(
      (part) =>
        part !== "" &&
        part !== "." &&
        part !== ".." &&
        !/[\p{Cc}\ud800-\uf8ff\ufff0-\uffff\u{10000}-\u{10ffff}]/u.test(part),
    );
}

/** Effect of one change on the tree that `view` shows. */
export function decideChange(
  view: View,
  zxid: number,
  session: number,
  request: ChangeRequest,
): Decision<ChangeResult> {
  switch (request.type) {
    case "refused":
      return refused(request.code);
    case "check": {
      const node = view(request.path);
      if (node === undefined) return refused(isLegal(request.path) ? "NO_NODE" : "BAD_ARGUMENTS");
      if (!matches(request.version, node.version)) return refused("BAD_VERSION");
      return { result: { type: "check" }, writes: new Map(), events: [] };
    }
    case "setData": {
      const { path } = request;
      const node = view(path);
      if (node === undefined) return refused(isLegal(path) ? "NO_NODE" : "BAD_ARGUMENTS");
      if (!matches(request.version, node.version)) return refused("BAD_VERSION");
      const changed = { ...node, data: request.data, version: node.version + 1, mzxid: zxid };
      return {
        result: { type: "setData", stat: statOf(changed) },
        writes: new Map([[path, changed]]),
        events: [{ type: DATA_CHANGED, path }],
      };
    }
    case "create":
      return decideCreate(view, zxid, session, request);
    case "delete":
      return decideDelete(view, zxid, request.path, request.version);
  }
}

function decideCreate(
  view: View,
  zxid: number,
  session: number,
  request: Extract<ChangeRequest, { type: "create" }>,
): Decision<ChangeResult> {
  const ephemeral = request.mode === 1 || request.mode === 3;
  const sequential = request.mode === 2 || request.mode === 3;
  if (ephemeral && session === 0) return refused("BAD_ARGUMENTS");
  if (!request.path.includes("/")) return refused("BAD_ARGUMENTS");
  const parentPath = parentOf(request.path);
  const parent = view(parentPath);
  if (parent === undefined) return refused("NO_NODE");
  const path = sequential ? request.path + String(parent.created).padStart(10, "0") : request.path;
  if (!isLegal(path)) return refused("BAD_ARGUMENTS");
  if (view(path) !== undefined) return refused("NODE_EXISTS");
  if (parent.owner !== 0) return refused("NO_CHILDREN_FOR_EPHEMERALS");
  const node = newNode(zxid, request.data, ephemeral ? session : 0);
  return {
    result: { type: "create", path, stat: request.withStat ? statOf(node) : null },
    writes: new Map([
      [path, node],
      [parentPath, { ...parent, created: parent.created + 1, children: parent.children + 1, pzxid: zxid }],
    ]),
    events: [
      { type: CREATED, path },
      { type: CHILDREN_CHANGED, path: parentPath },
    ],
  };
}

function decideDelete(view: View, zxid: number, path: string, version: number): Decision<ChangeResult> {
  if (!path.includes("/") || BUILT_IN.includes(path)) return refused("BAD_ARGUMENTS");
  const parentPath = parentOf(path);
  const parent = view(parentPath);
  const node = view(path);
  if (parent === undefined || node === undefined) return refused("NO_NODE");
  if (!matches(version, node.version)) return refused("BAD_VERSION");
  if (node.children > 0) return refused("NOT_EMPTY");
  return {
    result: { type: "delete" },
    writes: new Map([
      [path, null],
      [parentPath, { ...parent, children: parent.children - 1, pzxid: zxid }],
    ]),
    events: [
      { type: DELETED, path },
      { type: CHILDREN_CHANGED, path: parentPath },
    ],
  };
}

/** Several changes, each of which sees those before it: all of them, or none. */
export function decideMulti(
  view: View,
  zxid: number,
  session: number,
  ops: readonly ChangeRequest[],
): Decision<WriteResult> {
  const writes = new Map<string, ModelNode | null>();
  const events: ModelEvent[] = [];
  const results: ChangeResult[] = [];
  const within: View = (path) => {
    const written = writes.get(path);
    return written === undefined ? view(path) : (written ?? undefined);
  };
  for (const [at, op] of ops.entries()) {
    const each = decideChange(within, zxid, session, op);
    if (each.result.type === "error") {
      return { result: failedMulti(ops.length, at, each.result.code), writes: new Map(), events: [] };
    }
    for (const [path, node] of each.writes) writes.set(path, node);
    events.push(...each.events);
    results.push(each.result);
  }
  return { result: { type: "multi", results }, writes, events };
}

/** Results of a multi whose operation number `at` failed. */
export function failedMulti(count: number, at: number, code: ZooErrorCode): WriteResult {
  const results = Array.from(
    { length: count },
    (_, i): ChangeResult => ({
      type: "error",
      code: i < at ? "OK" : i === at ? code : "RUNTIME_INCONSISTENCY",
    }),
  );
  return { type: "multi", results };
}

/** A znode as an answer shows it. The model has no times: they are 0. */
export const statOf = (node: ModelNode): Stat => ({
  czxid: node.czxid,
  mzxid: node.mzxid,
  pzxid: node.pzxid,
  ctime: 0,
  mtime: 0,
  version: node.version,
  cversion: 2 * node.created - node.children,
  aversion: node.aversion,
  ephemeralOwner: node.owner,
  dataLength: node.data?.length ?? 0,
  numChildren: node.children,
});

/** The tree, and the sessions that are open. */
export class TreeModel {
  readonly #nodes = new Map<string, ModelNode>();
  /** *map path → names of its children* */
  readonly #children = new Map<string, Set<string>>();
  /** *map session → paths of the ephemerals that it owns* */
  readonly #sessions = new Map<number, Set<string>>();

  constructor() {
    for (const path of BUILT_IN)
      this.#put(path, { ...newNode(0, "", 0), aversion: path.endsWith("/config") ? -1 : 0 });
    // The built-in nodes count as children, but not as creations.
    this.#put("/", { ...newNode(0, "", 0), children: 1 });
    this.#put("/zookeeper", { ...newNode(0, "", 0), children: 2 });
  }

  get(path: string): ModelNode | undefined {
    return this.#nodes.get(path);
  }

  isOpen(session: number): boolean {
    return this.#sessions.has(session);
  }

  /** Carries out a write. @returns the result for its client, and the events of its changes, in order */
  apply(zxid: number, session: number, request: WriteRequest): Decision<WriteResult> {
    const decision = this.#decide(zxid, session, request);
    for (const [path, node] of decision.writes) this.#put(path, node);
    if (request.type === "createSession" && !this.isOpen(session)) this.#sessions.set(session, new Set());
    if (request.type === "closeSession") this.#sessions.delete(session);
    return decision;
  }

  #decide(zxid: number, session: number, request: WriteRequest): Decision<WriteResult> {
    const view: View = (path) => this.#nodes.get(path);
    if (request.type === "createSession") {
      return {
        result: { type: "createSession", timeoutMs: request.timeoutMs },
        writes: new Map(),
        events: [],
      };
    }
    if (session !== 0 && !this.isOpen(session)) return refused("SESSION_EXPIRED");
    switch (request.type) {
      case "multi":
        return decideMulti(view, zxid, session, request.ops);
      case "sync":
        return { result: { type: "sync" }, writes: new Map(), events: [] };
      case "closeSession": {
        if (session === 0) return refused("BAD_ARGUMENTS");
        const ops = [...(this.#sessions.get(session) ?? [])]
          .sort()
          .map((path) => ({ type: "delete", path, version: -1 }) as const);
        const { writes, events } = decideMulti(view, zxid, session, ops);
        return { result: { type: "closeSession" }, writes, events };
      }
      default:
        return decideChange(view, zxid, session, request);
    }
  }

  read(request: ReadRequest): ReadResult {
    const path = request.path === "" ? "/" : request.path;
    const node = this.#nodes.get(path);
    if (node === undefined) return { type: "error", code: "NO_NODE" };
    const stat = statOf(node);
    switch (request.type) {
      case "exists":
        return { type: "exists", stat };
      case "getData":
        return { type: "getData", data: node.data, stat };
      case "getChildren":
        return { type: "getChildren", children: [...(this.#children.get(path) ?? [])].sort(), stat };
    }
  }

  #put(path: string, node: ModelNode | null): void {
    const before = this.#nodes.get(path);
    const siblings = this.#children.get(parentOf(path)) ?? new Set();
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (node === null) {
      this.#nodes.delete(path);
      siblings.delete(name);
      this.#sessions.get(before?.owner ?? 0)?.delete(path);
      return;
    }
    this.#nodes.set(path, node);
    if (before !== undefined || path === "/") return;
    siblings.add(name);
    this.#children.set(parentOf(path), siblings);
    this.#sessions.get(node.owner)?.add(path);
  }
}

/** The request that this txn carries out; undefined for a refused one. */
export function requestOf(txn: Txn): WriteRequest | undefined {
  switch (txn.type) {
    case "error":
      return undefined;
    case "multi": {
      const ops = txn.txns.map(requestOf);
      return { type: "multi", ops: ops.filter((op): op is ChangeRequest & WriteRequest => op !== undefined) };
    }
    case "create":
      return {
        type: "create",
        path: txn.path,
        data: txn.data,
        mode: txn.ephemeral ? 1 : 0,
        withStat: txn.withStat,
      };
    case "delete":
      return { type: "delete", path: txn.path, version: -1 };
    case "setData":
      return { type: "setData", path: txn.path, data: txn.data, version: -1 };
    case "check":
      return undefined;
    default:
      return txn;
  }
}
