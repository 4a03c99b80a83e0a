/**
 * The record of a member that cannot apply a committed txn. Its next incarnation would fail at the same txn, and each
 * incarnation costs its peers a synchronization. So the member stops after the second failure, and retries after a pause or
 * with another version.
 */
import { PROTOCOL_VERSION } from "../version.ts";
import { compareZxid, type Zxid, zxidFromText, zxidToText } from "../zab/zxid.ts";
import { APPLY_FAILURES_MAX, APPLY_RETRY_MS } from "./config.ts";

/** This version cannot apply a committed txn or a snapshot. The incarnation of the member ends; its storage is not damaged. */
export class ApplyError extends Error {
  override readonly name = "ApplyError";
}

/** The stored record, as JSON. */
export interface Failure {
  /** zxid of the tree, as text; the txn after it failed */
  readonly after: string;
  /** the version that failed */
  readonly version: number;
  readonly reason: string;
  /** failures in a row at this zxid, with this version */
  readonly count: number;
  /** time of the first and of the last failure; ms since 1970 */
  readonly sinceMs: number;
  readonly lastMs: number;
}

/** The record to store after another failure. @param known the record stored before */
export function noteFailure(known: Failure | undefined, after: Zxid, reason: string, now: number): Failure {
  const at = zxidToText(after);
  const isAgain = known !== undefined && known.after === at && known.version === PROTOCOL_VERSION;
  return {
    after: at,
    version: PROTOCOL_VERSION,
    reason,
    count: isAgain ? known.count + 1 : 1,
    sinceMs: isAgain ? known.sinceMs : now,
    lastMs: now,
  };
}

/** Until when the member must not start, ms since 1970; undefined if it may start. */
export function stoppedUntil(known: Failure | undefined, now: number): number | undefined {
  if (known === undefined || known.version !== PROTOCOL_VERSION || known.count < APPLY_FAILURES_MAX)
    return undefined;
  const until = known.lastMs + APPLY_RETRY_MS;
  // A clock that was set back must not delay the start.
  return now >= known.lastMs && now < until ? until : undefined;
}

/** Whether the tree has passed the zxid of the failure, so that the record is obsolete. */
export function isPassed(known: Failure, applied: Zxid): boolean {
  const after = zxidFromText(known.after);
  return after === undefined || compareZxid(applied, after) > 0;
}

/** The reason for which the member has stopped, as a sentence. @param since `sinceMs` as text */
export const wordsOf = ({ after, version, reason, count }: Failure, since: string): string =>
  `it cannot apply what was committed after ${after}: ${reason} (version ${version} of the protocol, ${count} times since ${since})`;
