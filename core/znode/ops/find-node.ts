/** Which znode a read is about. */
import type { Znode } from "../stat.ts";
import type { TreeState } from "../tree-state.ts";
import type { ReadOutcome } from "../types.ts";

/** "" reads as the root, any other path that is not legal as a znode that is not there. @source ZooKeeper `DataTree.getNode` */
export const findNode = (state: TreeState, path: string): Znode | undefined =>
  state.get(path === "" ? "/" : path);

/** The outcome of a read where no znode is. */
export const noNode = (): ReadOutcome<never> => ({ type: "error", code: "NO_NODE" });
