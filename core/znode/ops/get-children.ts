/** getChildren, getChildren2: the names of the children of a znode, all of them or a page, and its Stat. */
import { isTooLarge, pageOf } from "../children-page.ts";
import { statOf } from "../stat.ts";
import type { TreeState } from "../tree-state.ts";
import type { ReadOutcome, ReadRequestOf, SessionId, WatchOfRead } from "../types.ts";
import { findNode, noNode } from "./find-node.ts";
import { type ReadOp, STAT_ANSWER_BYTES } from "./op.ts";

type GetChildrenRequest = ReadRequestOf<"getChildren">;

/** What leads each name of a list. */
const NAME_LENGTH_BYTES = 4;

/** @source ZooKeeper `FinalRequestProcessor`: getChildren, getChildren2 */
export const getChildren: ReadOp<GetChildrenRequest> = {
  /** Within the bytes that the reader can take. */
  read(state: TreeState, _session: SessionId, request: GetChildrenRequest): ReadOutcome<"getChildren"> {
    const node = findNode(state, request.path);
    if (node === undefined) return noNode();
    const { page, bytesMax = Number.POSITIVE_INFINITY } = request;
    const names = node.children;
    const stat = statOf(node);
    const children = names?.sorted() ?? [];
    if (page !== undefined) return { type: "getChildren", stat, ...pageOf(children, page, bytesMax) };
    if (isTooLarge(children, names?.length ?? 0, bytesMax))
      return { type: "error", code: "ANSWER_TOO_LARGE" };
    return { type: "getChildren", children, stat };
  },

  watchOf({ path, watch }: GetChildrenRequest, isFound: boolean): WatchOfRead | undefined {
    return watch && isFound ? { kind: "child", path } : undefined;
  },

  answerBytes(state: TreeState, _session: SessionId, { path }: GetChildrenRequest): number {
    const names = findNode(state, path)?.children;
    return names ? STAT_ANSWER_BYTES + names.length + NAME_LENGTH_BYTES * names.size : STAT_ANSWER_BYTES;
  },
};
