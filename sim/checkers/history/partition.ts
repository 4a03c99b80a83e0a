/**
 * Partitions of the operations by path: znodes that no operation relates are checked separately. A multi relates its
 * paths. A parent is related to its children when it may be deleted, numbers them, or is listed; otherwise it is
 * assumed to exist.
 */
import {
  type ChangeRequest,
  isRead,
  type ReadRequest,
  type Request,
  type Result,
} from "../../history/history.ts";
import { parentOf } from "./model.ts";
import { errorOf } from "./replay.ts";

/** An operation, as the search sees it. */
export interface Entry {
  readonly session: number;
  readonly request: Request;
  readonly invoke: number;
  /** Infinity: it may happen at any time after `invoke`, or never */
  readonly return: number;
  /** null if unknown */
  readonly result: Result | null;
  /** the name of its change, if its client knows it */
  readonly name: number;
  /** the operation with the lower hint is tried first; hints decide nothing else */
  readonly hint: number;
  readonly text: () => string;
}

/** Stands for an unknown zxid. */
export const UNNAMED = -1;

/** Whether the request creates an ephemeral. */
export const isEphemeral = (request: Request | ChangeRequest): boolean =>
  request.type === "multi"
    ? request.ops.some(isEphemeral)
    : request.type === "create" && (request.mode === 1 || request.mode === 3);

/** Operations that are checked together, with the znodes that relate them. */
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

/**
 * The znode that an operation is about. Of a sequential create it is the parent, since the name is not known before.
 */
const subjectOf = (op: ChangeRequest | ReadRequest): string | null => {
  if (op.type === "refused") return null;
  if (isSequential(op)) return parentOf(op.path);
  return op.path === "" ? "/" : op.path;
};

/** Result of one operation of a request. */
const resultOf = (result: Result | null, i: number): Result | null =>
  result?.type === "multi" ? (result.results[i] ?? null) : result;

/** The codes of a create that concern its parent. */
const OF_PARENT: ReadonlySet<string> = new Set(["NO_NODE", "NO_CHILDREN_FOR_EPHEMERALS"]);

/** Sets of paths that are joined pair by pair. @source Tarjan, union–find with path compression (1975) */
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

/** Parents that are related to their children. */
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

/** Splits the operations by the znodes that relate them. */
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
      // The name that a sequential create got.
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

/**
 * Does the path have a state here? A child of unknown name (of a sequential create without an answer) has its
 * parent's.
 */
export const isWithin = ({ paths, whole }: Partition, path: string): boolean =>
  paths.has(path) || (path !== "/" && paths.has(parentOf(path)) && whole.has(parentOf(path)));
