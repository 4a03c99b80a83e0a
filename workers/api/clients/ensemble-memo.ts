/** Hints about ensembles that this isolate caches to save calls. A wrong hint costs a call, nothing else. */
import { MEMOS_MAX } from "../config.ts";

/** Hints about one ensemble. */
export interface EnsembleMemo {
  /** members; undefined until the ensemble is known to be founded */
  size: number | undefined;
  /** sid to try first: the leader if it is known, else a node that answered */
  preferred: number | undefined;
}

const memos = new Map<string, EnsembleMemo>();

/** Hints about the ensemble `name`; only for names that exist. */
export function memoOf(name: string): EnsembleMemo {
  let memo = memos.get(name);
  if (memo === undefined) {
    if (memos.size >= MEMOS_MAX) memos.clear();
    memo = { size: undefined, preferred: undefined };
    memos.set(name, memo);
  }
  return memo;
}

/** Whether `name` is known to exist. */
export const isRemembered = (name: string): boolean => memos.get(name)?.size !== undefined;

/** Drops the hints about an ensemble. */
export const forget = (name: string): void => {
  memos.delete(name);
};
