/** All checkers over one history. */
import type { History } from "../../history/history.ts";
import { checkLinearizability, type LinearizabilityCounts } from "./linearizability.ts";
import { checkOrder, type OrderCounts } from "./order.ts";
import { place } from "./replay.ts";
import { checkSessions, type SessionCounts } from "./session.ts";
import { checkStreams, type StreamCounts } from "./streams.ts";
import { checkWatches, type WatchCounts } from "./watches.ts";

/** What the checkers assume about a history. */
export interface CheckOptions {
  /** whether other clients wrote whose requests are not in the history (brokers, a page), so that unknown txns are no fault */
  readonly strangers?: boolean;
  /** steps that the search for an order may take in one partition; more is a fault */
  readonly stepsMax?: number;
}

/** What each checker has checked. */
export interface Counts extends OrderCounts, SessionCounts, WatchCounts, StreamCounts, LinearizabilityCounts {
  /** attempts of requests */
  readonly ops: number;
  readonly writes: number;
  /** writes without a known outcome */
  readonly unknown: number;
  readonly committed: number;
}

/** The faults that were found, and the counts. */
export interface Report {
  /** as sentences; empty if the history is correct */
  readonly faults: readonly string[];
  /** how much was checked: a check of nothing proves nothing */
  readonly counts: Counts;
}

/**
 * Maximum of faults that each checker reports: a wrong history has many, and a few are enough to understand it.
 */
const FAULTS_MAX = 20;
const STEPS_MAX = 1_000_000;

/** Runs all checkers of histories. */
export function checkHistory(history: History, options: CheckOptions = {}): Report {
  const faults: string[] = [];
  const run = <T>(name: string, check: (faults: string[]) => T): T => {
    const found: string[] = [];
    const counts = check(found);
    faults.push(...found.slice(0, FAULTS_MAX).map((fault) => `[${name}] ${fault}`));
    if (found.length > FAULTS_MAX) faults.push(`[${name}] and ${found.length - FAULTS_MAX} more`);
    return counts;
  };
  const placed = place(history, options.strangers ?? false);
  const order = run("order", (found) => checkOrder(history, placed, found));
  const session = run("session", (found) => checkSessions(history, placed, found));
  const watches = run("watches", (found) => checkWatches(history, placed, found));
  const streams = run("streams", (found) => checkStreams(history, placed, found));
  const linearizability = run("linearizability", (found) =>
    checkLinearizability(history, options.stepsMax ?? STEPS_MAX, found, placed.writes),
  );
  const counts = {
    ops: history.ops.length,
    writes: placed.writes.length,
    unknown: placed.writes.filter(({ result, refused }) => result === null && !refused).length,
    committed: history.log?.length ?? placed.commits?.length ?? 0,
    ...order,
    ...session,
    ...watches,
    ...streams,
    ...linearizability,
  };
  return { faults, counts };
}
