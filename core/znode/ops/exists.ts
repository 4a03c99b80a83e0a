/** exists: the Stat of a znode. */
import { statOf } from "../stat.ts";
import type { TreeState } from "../tree-state.ts";
import type { ReadOutcome, ReadRequestOf, SessionId, WatchOfRead } from "../types.ts";
import { findNode, noNode } from "./find-node.ts";
import { type ReadOp, STAT_ANSWER_BYTES } from "./op.ts";

type ExistsRequest = ReadRequestOf<"exists">;

/** @source ZooKeeper `FinalRequestProcessor`: exists */
export const exists: ReadOp<ExistsRequest> = {
  /** Reads do not validate paths, but exists may leave a watch where no znode is, and with a NUL ZooKeeper takes none. */
  read(state: TreeState, _session: SessionId, { path }: ExistsRequest): ReadOutcome<"exists"> {
    const node = findNode(state, path);
    if (node === undefined) return path.includes("\0") ? { type: "error", code: "BAD_ARGUMENTS" } : noNode();
    return { type: "exists", stat: statOf(node) };
  },

  /** Also where no znode is, so that its creation fires it. */
  watchOf({ path, watch }: ExistsRequest, isFound: boolean): WatchOfRead | undefined {
    return watch ? { kind: isFound ? "data" : "exists", path } : undefined;
  },

  answerBytes(): number {
    return STAT_ANSWER_BYTES;
  },
};
