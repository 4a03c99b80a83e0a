/** What this isolate remembers of ensembles, to save calls. Nothing here has to be right: wrong hints cost a call. */
import { MEMOS_MAX } from "../config.ts";

/** Memory of one ensemble. */
export interface EnsembleMemo {
  /** members; undefined until the ensemble is known to be founded */
  size: number | undefined;
  /** sid to ask first: the leader as far as known, else a node that answered */
  preferred: number | undefined;
}

const memos = new Map<string, EnsembleMemo>();

/** Memory of the ensemble `name`; only for names that exist. */
export function memoOf(name: string): EnsembleMemo {
  let memo = memos.get(name);
  if (memo === undefined) {
    if (memos.size >= MEMOS_MAX) memos.clear();
    memo = { size: undefined, preferred: undefined };
    memos.set(name, memo);
  }
  return memo;
}

/** Is `name` known without asking? */
export const isRemembered = (name: string): boolean => memos.get(name)?.size !== undefined;

export const forget = (name: string): void => {
  memos.delete(name);
};
