/**
 * Guarantees of a session (T9): it never goes back, at any member; it reads its own writes; answers of one connection
 * come in the order of its requests. Every read, with or without a session, shows the tree exactly as it was at the
 * zxid of its answer; a read without a zxid shows it as it was at some zxid not before the session's last.
 */
import {
  describeOp,
  describeResult,
  type History,
  isRead,
  type Op,
  type ReadRequest,
  zxidText,
} from "../../history/history.ts";
import type { TreeModel } from "./model.ts";
import { Comparison, type Placed, replay, type Write } from "./replay.ts";

/** What the checker has checked. */
export interface SessionCounts {
  /** reads that were compared with the model */
  readonly reads: number;
  readonly sessions: number;
}

/** Checks the answers of each session. Adds faults to `faults`. @returns the counts */
export function checkSessions(history: History, placed: Placed, faults: string[]): SessionCounts {
  const writeOf = new Map<Op, Write>();
  for (const write of placed.writes) for (const op of write.ops) writeOf.set(op, write);
  const floors = checkForward(history, writeOf, faults);
  checkConnections(history, writeOf, faults);
  const reads = placed.commits === null ? 0 : checkReads(history, placed, floors, faults);
  return { reads, sessions: new Set(history.ops.map((op) => op.session)).size };
}

/**
 * No answer is older than the state that the session had seen when it sent the request. The answer to a repeated
 * write may have the old zxid of that write: the state at its first attempt counts.
 * @returns *map op → the last zxid that its session had seen*
 */
function checkForward(history: History, writeOf: ReadonlyMap<Op, Write>, faults: string[]): Map<Op, number> {
  const moments = history.ops.flatMap((op) => [
    { at: op.invoke, op, asked: true },
    { at: op.return, op, asked: false },
  ]);
  moments.sort((a, b) => a.at - b.at);
  const seen = new Map<number, Op & { outcome: { zxid: number } }>();
  const floors = new Map<Op, number>();
  for (const { op, asked } of moments) {
    if (op.session === 0) continue;
    const last = seen.get(op.session);
    if (asked) {
      floors.set(op, last?.outcome.zxid ?? 0);
      continue;
    }
    if (op.outcome.type !== "done" || op.outcome.zxid === null) continue;
    const { zxid } = op.outcome;
    const write = writeOf.get(op);
    const floor = floors.get(write?.ops[0] ?? op) ?? 0;
    const fresh = write !== undefined && write.zxid === zxid;
    if (zxid < floor || (fresh && zxid === floor)) {
      faults.push(
        `the session had seen ${zxidText(floor)}, and is answered at ${zxidText(zxid)}: ${describeOp(op)}`,
      );
    }
    if (last === undefined || zxid > last.outcome.zxid)
      seen.set(op.session, op as Op & { outcome: { zxid: number } });
  }
  return floors;
}

/** Answers of a connection: in the order of the requests, and never back. */
function checkConnections(history: History, writeOf: ReadonlyMap<Op, Write>, faults: string[]): void {
  const last = new Map<number, Op>();
  const highest = new Map<number, { zxid: number; op: Op }>();
  for (const op of history.ops) {
    if (op.conn === 0 || op.linearizable || op.outcome.type !== "done") continue;
    const before = last.get(op.conn);
    if (before !== undefined && before.return > op.return) {
      faults.push(`answered out of order: ${describeOp(before)}; ${describeOp(op)}`);
    }
    last.set(op.conn, op);
    const { zxid } = op.outcome;
    if (zxid === null || (writeOf.get(op)?.ops.length ?? 1) > 1) continue;
    const high = highest.get(op.conn);
    if (high !== undefined && high.zxid > zxid) {
      faults.push(`a connection goes back: ${describeOp(high.op)}; ${describeOp(op)}`);
    }
    if (high === undefined || zxid >= high.zxid) highest.set(op.conn, { zxid, op });
  }
}

/** A read without a zxid: it has to fit one of the trees after `floor`. */
interface Floating {
  readonly op: Op;
  readonly floor: number;
  /** the current tree is the one that it shows */
  fits: boolean;
  found: boolean;
}

function checkReads(
  history: History,
  placed: Placed,
  floors: ReadonlyMap<Op, number>,
  faults: string[],
): number {
  const commits = placed.commits ?? [];
  const comparison = new Comparison(history.log);
  const shows = (op: Op, model: TreeModel): boolean =>
    op.outcome.type === "done" && comparison.same(model.read(op.request as ReadRequest), op.outcome.result);
  const fixed: { readonly op: Op; readonly zxid: number }[] = [];
  /** *map path → reads of it* */
  const floating = new Map<string, Floating[]>();
  for (const op of history.ops) {
    const { outcome, request } = op;
    if (!isRead(request) || outcome.type !== "done") continue;
    if (outcome.zxid !== null) {
      fixed.push({ op, zxid: outcome.zxid });
      continue;
    }
    const list = floating.get(request.path) ?? [];
    list.push({ op, floor: floors.get(op) ?? 0, fits: false, found: false });
    floating.set(request.path, list);
  }
  fixed.sort((a, b) => a.zxid - b.zxid);

  let next = 0;
  replay(commits, ({ model, since, until, decision }) => {
    for (let each = fixed[next]; each !== undefined && each.zxid < until; each = fixed[next]) {
      next += 1;
      const { op, zxid } = each;
      if (zxid !== since) faults.push(`nothing was committed at ${zxidText(zxid)}: ${describeOp(op)}`);
      else if (!shows(op, model)) {
        const right = describeResult(model.read(op.request as ReadRequest));
        faults.push(`wrong read, the model says ${right}: ${describeOp(op)}`);
      }
    }
    if (floating.size === 0) return;
    for (const path of decision?.writes.keys() ?? floating.keys()) {
      for (const each of floating.get(path) ?? []) {
        each.found ||= each.fits && each.floor < since;
        each.fits = shows(each.op, model);
      }
    }
  });
  for (const { op, fits, found } of [...floating.values()].flat()) {
    if (!found && !fits) faults.push(`never so since the session's last answer: ${describeOp(op)}`);
  }
  return fixed.length + [...floating.values()].flat().length;
}
