/** getData: the data of a znode, and its Stat. */
import { statOf } from "../stat.ts";
import type { TreeState } from "../tree-state.ts";
import type { ReadOutcome, ReadRequestOf, SessionId, WatchOfRead } from "../types.ts";
import { findNode, noNode } from "./find-node.ts";
import { type ReadOp, STAT_ANSWER_BYTES } from "./op.ts";

type GetDataRequest = ReadRequestOf<"getData">;

/** @source ZooKeeper `FinalRequestProcessor`: getData */
export const getData: ReadOp<GetDataRequest> = {
  read(state: TreeState, _session: SessionId, { path }: GetDataRequest): ReadOutcome<"getData"> {
    const node = findNode(state, path);
    if (node === undefined) return noNode();
    if (node.staleData) state.settleData(node);
    return { type: "getData", data: node.data, stat: statOf(node) };
  },

  watchOf({ path, watch }: GetDataRequest, isFound: boolean): WatchOfRead | undefined {
    return watch && isFound ? { kind: "data", path } : undefined;
  },

  answerBytes(state: TreeState, _session: SessionId, { path }: GetDataRequest): number {
    return STAT_ANSWER_BYTES + (findNode(state, path)?.data?.length ?? 0);
  },
};
