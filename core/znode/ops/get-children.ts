/** getChildren, getChildren2: the names of the children of a znode, all of them or a page, and its Stat. */
import { isTooLarge, pageOf } from "../children-page.ts";
import { statOf } from "../stat.ts";
import type { TreeState } from "../tree-state.ts";
import type { ReadOutcome, ReadRequestOf, SessionId, WatchOfRead } from "../types.ts";
import { findNode, noNode } from "./find-node.ts";
import { type ReadOp, STAT_ANSWER_BYTES } from "./op.ts";

type GetChildrenRequest = ReadRequestOf<"getChildren">;

/** Bytes of the length before each name of a list. */
const NAME_LENGTH_BYTES = 4;
/** Approximate bytes of a name in a list that is not in memory. */
const NAME_BYTES = 16;
/** A whole list with more names is not read only to know its size. */
const COUNTED_NAMES_MAX = 16_384;

/** @source ZooKeeper `FinalRequestProcessor`: getChildren, getChildren2 */
export const getChildren: ReadOp<GetChildrenRequest> = {
  /** Refuses a list that exceeds the reader's limit. */
  read(state: TreeState, _session: SessionId, request: GetChildrenRequest): ReadOutcome<"getChildren"> {
    const node = findNode(state, request.path);
    if (node === undefined) return noNode();
    const { page, bytesMax = Number.POSITIVE_INFINITY } = request;
    const stat = statOf(node);
    if (page !== undefined) {
      const names = state.childNamesAfter(node, page.after, page.limit + 1);
      return { type: "getChildren", stat, ...pageOf(names, page, bytesMax) };
    }
    const names = state.childNamesWithin(node, bytesMax);
    if (names === undefined) return { type: "error", code: "ANSWER_TOO_LARGE" };
    const children = names.sorted();
    if (isTooLarge(children, names.length, bytesMax)) return { type: "error", code: "ANSWER_TOO_LARGE" };
    return { type: "getChildren", children, stat };
  },

  watchOf({ path, watch }: GetChildrenRequest, isFound: boolean): WatchOfRead | undefined {
    return watch && isFound ? { kind: "child", path } : undefined;
  },

  answerBytes(state: TreeState, _session: SessionId, { path, page }: GetChildrenRequest): number {
    const node = findNode(state, path);
    if (node === undefined) return STAT_ANSWER_BYTES;
    const count = Math.min(page?.limit ?? node.numChildren, node.numChildren);
    if ((page !== undefined || count > COUNTED_NAMES_MAX) && !state.hasList(node))
      return STAT_ANSWER_BYTES + count * (NAME_BYTES + NAME_LENGTH_BYTES);
    const names = state.childNames(node);
    return STAT_ANSWER_BYTES + names.length + NAME_LENGTH_BYTES * names.size;
  },
};
