/** getEphemerals: the paths of the requesting session's ephemerals. */
import { isTooLarge } from "../children-page.ts";
import type { TreeState } from "../tree-state.ts";
import type { ReadOutcome, ReadRequestOf, SessionId } from "../types.ts";
import type { ReadOp } from "./op.ts";

type GetEphemeralsRequest = ReadRequestOf<"getEphemerals">;

/** Bytes of a packet with a reply's header and the length of a list. */
const LIST_ANSWER_BYTES = 24;
/** Bytes of the length before each path of a list. */
const PATH_LENGTH_BYTES = 4;

/** @source ZooKeeper `FinalRequestProcessor`: getEphemerals */
export const getEphemerals: ReadOp<GetEphemeralsRequest> = {
  /** Returns the paths in code unit order, so that all members give the same answer; ZooKeeper's order is that of a hash set. */
  read(
    state: TreeState,
    session: SessionId,
    { prefixPath, bytesMax = Number.POSITIVE_INFINITY }: GetEphemeralsRequest,
  ): ReadOutcome<"getEphemerals"> {
    const ephemerals = ephemeralsOf(state, session, prefixPath).sort();
    if (isTooLarge(ephemerals, lengthOf(ephemerals), bytesMax))
      return { type: "error", code: "ANSWER_TOO_LARGE" };
    return { type: "getEphemerals", ephemerals };
  },

  watchOf(): undefined {
    return undefined;
  },

  answerBytes(state: TreeState, session: SessionId, { prefixPath }: GetEphemeralsRequest): number {
    const ephemerals = ephemeralsOf(state, session, prefixPath);
    return LIST_ANSWER_BYTES + lengthOf(ephemerals) + PATH_LENGTH_BYTES * ephemerals.length;
  },
};

/** Paths that begin with the prefix, as text: `/a` is a prefix of `/ab` too. */
function ephemeralsOf(state: TreeState, session: SessionId, prefixPath: string): string[] {
  const all = [...state.ephemeralsOf(session)];
  return isPrefixOfAll(prefixPath) ? all : all.filter((path) => path.startsWith(prefixPath));
}

/** Whether the prefix is "" or "/" after Java's trim, which removes characters up to U+0020. */
function isPrefixOfAll(prefixPath: string): boolean {
  let slashes = 0;
  for (let i = 0; i < prefixPath.length; i++) {
    if (prefixPath[i] === "/") slashes += 1;
    else if (prefixPath.charCodeAt(i) > 0x20) return false;
    if (slashes > 1) return false;
  }
  return true;
}

/** Code units of all paths. */
const lengthOf = (paths: readonly string[]): number => paths.reduce((sum, path) => sum + path.length, 0);
