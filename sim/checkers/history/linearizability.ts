/**
 * Linearizability (T7): is there an order of the operations that agrees with real time and gives every operation the result
 * that its client got? The order is not taken from zxids. A zxid in an answer is only a name: a read may show the name of a
 * write, and no other.
 *
 * The operations are the writes, linearizable reads, and plain reads whose session got the answer of a `sync` on the
 * same connection just before (from the moment at which the sync was first sent). The end of a session is an
 * operation that deletes its ephemerals.
 *
 * The search tries the log's order first, so correct histories are confirmed at once. Wrong histories are searched to the end.
 *
 * A search that runs out of steps (`order-search.ts`) is a fault.
 */
import { describeOp, type History, isRead, type Op } from "../../history/history.ts";
import { search, type Verdict } from "./order-search.ts";
import { type Entry, isEphemeral, type Partition, partition, UNNAMED } from "./partition.ts";
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

/** Codes about a session, or about the receiving member, and not about a znode. */
const ASIDE: ReadonlySet<string> = new Set([
  "SESSION_EXPIRED",
  "SESSION_MOVED",
  "MARSHALLING_ERROR",
  "UNIMPLEMENTED",
]);

/** @param placed the writes with their places in the log, where the search begins */
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

// ── the entries ──────────────────────────────────────────────────────────────

function entriesOf(history: History, placed: readonly Write[]): Entry[] {
  const entries: Entry[] = [];
  const places = new Map(placed.map(({ ops, zxid }) => [ops[0], zxid]));
  const closings = new Map<number, number>();
  const refusals = new Set<number>();
  for (const { session, txn, zxid } of history.log ?? []) {
    if (txn.type === "closeSession") closings.set(session, zxid);
    if (txn.type === "error") refusals.add(zxid);
  }
  /** A write of unknown outcome that the log refused has no place: it has no effect, anywhere in the order. */
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
    // A read follows the write that it shows.
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

/** Reads that must be fresh, each with the time from which on its state may be. */
function freshReads(history: History): Map<Op, number> {
  const fresh = new Map<Op, number>();
  /** *map connection → the sync that is its last request* */
  const synced = new Map<number, Op>();
  /** *map session and number → when that sync was first sent*: a repeat gets the first result */
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

/** A session may end by itself at any time before its client receives SESSION_EXPIRED. */
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

function describeVerdict(partition: Partition, verdict: Verdict): string {
  const { entries, paths } = partition;
  const what = verdict.type === "illegal" ? "not linearizable" : `no verdict after ${verdict.steps} steps`;
  const names = [...paths].slice(0, 5).join(", ");
  const last = verdict.longest.slice(-5).map((i) => `\n    ${entries[i]?.text()}`);
  const stuck =
    verdict.stuck === -1 ? "" : `\n  and this cannot follow:\n    ${entries[verdict.stuck]?.text()}`;
  return `${what}: ${names} (${entries.length} operations); ${verdict.longest.length} can be ordered, the last of them:${last.join("")}${stuck}`;
}
