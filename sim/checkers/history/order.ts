/**
 * The order of the writes, by their zxids (T8): zxids are unique and agree with real time, and in their order every
 * write has exactly the result that its client got. A refused write has no txn; a write of unknown outcome has one at
 * most.
 *
 * The checker trusts the zxids, and the log for what was committed. Its cost is linear in the length of the history.
 */

import type { History } from "../../history/history.ts";
import {
  describeOp,
  describeResult,
  isRead,
  type Op,
  type Result,
  type Txn,
  zxidText,
} from "../../history/history.ts";
import { type Commit, Comparison, errorOf, type Placed, replay } from "./replay.ts";

/** What the checker has checked. */
export interface OrderCounts {
  /** writes whose result was compared with the model's */
  readonly replayed: number;
  /** writes of unknown outcome that happened */
  readonly recovered: number;
}

/** Checks the order of writes. Adds what it finds to `faults`. @returns the counts */
export function checkOrder(history: History, placed: Placed, faults: string[]): OrderCounts {
  faults.push(...placed.faults);
  checkRealTime(history, placed, faults);
  if (placed.commits === null) return { replayed: 0, recovered: 0 };
  checkExpired(history, placed, faults);
  const comparison = new Comparison(history.log);
  let replayed = 0;
  let recovered = 0;
  replay(placed.commits, ({ commit, decision }) => {
    if (commit === null || decision === null) return;
    const { write, entry, zxid } = commit;
    if (entry !== null && !sameTxn(entry.txn, decision.result)) {
      const model = describeResult(decision.result);
      faults.push(`the txn at ${zxidText(zxid)} is ${JSON.stringify(entry.txn)}; the model says ${model}`);
    }
    if (write === null) return;
    if (write.result === null) {
      recovered += 1;
      return;
    }
    replayed += 1;
    if (comparison.same(decision.result, write.result)) return;
    const told = write.ops.find((op) => op.outcome.type === "done") as Op;
    faults.push(`wrong result, the model says ${describeResult(decision.result)}: ${describeOp(told)}`);
  });
  return { replayed, recovered };
}

/** Is this txn the one that the model makes of its request? */
function sameTxn(txn: Txn, result: Result): boolean {
  if (txn.type === "error") {
    if (txn.ops === 0) return errorOf(result) === txn.code;
    const culprit = result.type === "multi" ? result.results[txn.at] : undefined;
    return culprit?.type === "error" && culprit.code === txn.code;
  }
  if (txn.type !== result.type) return false;
  if (txn.type === "create" && result.type === "create") return txn.path === result.path;
  if (txn.type === "setData" && result.type === "setData") return txn.version === result.stat.version;
  if (txn.type === "multi" && result.type === "multi") {
    const { results } = result;
    return (
      txn.txns.length === results.length && txn.txns.every((each, i) => sameTxn(each, results[i] as Result))
    );
  }
  return true;
}

/** An operation with a zxid: a write that happened there, or a read that showed it. */
interface Item {
  readonly zxid: number;
  readonly invoke: number;
  readonly return: number;
  readonly kind: "write" | "linearizable" | "read";
  readonly ops: readonly Op[];
}

function itemsOf(history: History, { writes }: Placed): Item[] {
  const items: Item[] = [];
  for (const write of writes) {
    if (write.zxid === null || errorOf(write.result) === "SESSION_EXPIRED") continue;
    items.push({ ...write, zxid: write.zxid, kind: "write" });
  }
  for (const op of history.ops) {
    const { outcome, request } = op;
    if (outcome.type !== "done" || outcome.zxid === null || !isRead(request)) continue;
    const kind = op.linearizable ? "linearizable" : "read";
    items.push({ zxid: outcome.zxid, invoke: op.invoke, return: op.return, kind, ops: [op] });
  }
  return items;
}

const RANK = { linearizable: 0, read: 1, write: 2 } as const;

/**
 * An operation that returned before a write was sent has a lower zxid than the write; before a linearizable read, not
 * a higher one. So no read shows a write that was not sent yet, and no linearizable read is stale. Going down from
 * the highest zxid, only the earliest return so far has to be remembered.
 */
function checkRealTime(history: History, placed: Placed, faults: string[]): void {
  const items = itemsOf(history, placed).sort((a, b) => b.zxid - a.zxid || RANK[a.kind] - RANK[b.kind]);
  let earliest: Item | undefined;
  let higher: Item | undefined;
  let at = Number.POSITIVE_INFINITY;
  for (const item of items) {
    if (item.zxid !== at) {
      higher = earliest;
      at = item.zxid;
    }
    const before = item.kind === "write" ? earliest : item.kind === "linearizable" ? higher : undefined;
    if (before !== undefined && before.return < item.invoke) {
      const later = item.ops.map(describeOp).join(" and ");
      faults.push(
        `at ${zxidText(item.zxid)} though ${zxidText(before.zxid)} was answered before: ${later}; before: ${before.ops.map(describeOp).join(" and ")}`,
      );
    }
    if (earliest === undefined || item.return < earliest.return) earliest = item;
  }
}

/** Checks that clients receive SESSION_EXPIRED only for sessions that have ended. */
function checkExpired(history: History, { writes, commits }: Placed, faults: string[]): void {
  if (history.log === null) return;
  const opened = new Set<number>();
  const closed = new Set<number>();
  for (const { entry } of commits as readonly Commit[]) {
    if (entry?.txn.type === "createSession") opened.add(entry.session);
    if (entry?.txn.type === "closeSession") closed.add(entry.session);
  }
  for (const { session, result, ops } of writes) {
    if (errorOf(result) !== "SESSION_EXPIRED" || !opened.has(session) || closed.has(session)) continue;
    faults.push(`reported as expired, but it never was: ${ops.map(describeOp).join(" and ")}`);
  }
}
