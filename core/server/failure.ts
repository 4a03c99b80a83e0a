/**
 * What a member notes when it cannot apply a committed txn. It would fail at the same place in its next life, and each life
 * costs its peers a synchronization: after the second time it stops, and tries again once in a while or as another version.
 */
import { PROTOCOL_VERSION } from "../version.ts";
import { compareZxid, type Zxid, zxidFromText, zxidToText } from "../zab/zxid.ts";

/** A committed txn, or a snapshot, is of no use to this version. The life of the member ends; its storage is whole. */
export class ApplyError extends Error {
  override readonly name = "ApplyError";
}

/** What is noted, as JSON. */
export interface Failure {
  /** the tree stood here, as text: the txn behind it failed */
  readonly after: string;
  /** the version that failed */
  readonly version: number;
  readonly reason: string;
  /** how often, in a row */
  readonly count: number;
  /** ms since 1970, the first and the last time */
  readonly sinceMs: number;
  readonly lastMs: number;
}

/** Times in a row after which a member stops. */
const FAILURES_MAX = 2;
/** A member that has stopped tries again after this long, ms: a later build of the same version may have mended it. */
export const RETRY_MS = 60_000;

/** @param known what was noted before */
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

/** When the member may start again, ms since 1970; undefined: it may. */
export function stoppedUntil(known: Failure | undefined, now: number): number | undefined {
  if (known === undefined || known.version !== PROTOCOL_VERSION || known.count < FAILURES_MAX)
    return undefined;
  const until = known.lastMs + RETRY_MS;
  // A clock that was put back must not keep it from starting.
  return now >= known.lastMs && now < until ? until : undefined;
}

/** Has the tree passed the place? Then whatever failed there does no more. */
export function isPassed(known: Failure, applied: Zxid): boolean {
  const after = zxidFromText(known.after);
  return after === undefined || compareZxid(applied, after) > 0;
}

/** Why the member has stopped, in words. @param since `sinceMs` as text */
export const wordsOf = ({ after, version, reason, count }: Failure, since: string): string =>
  `it cannot apply what was committed after ${after}: ${reason} (version ${version} of the protocol, ${count} times since ${since})`;
