/** delete: a znode without children goes. */
import { hasPathShape, isBuiltIn, parentOf } from "../path.ts";
import type { TreeState } from "../tree-state.ts";
import { type ChangeRequest, type ChangeResult, type Txn, type TxnHeader, WatchEventType } from "../types.ts";
import { type ApplyContext, failure, matches, type PrepContext, refuse, type WriteOp } from "./op.ts";

type DeleteRequest = Extract<ChangeRequest, { type: "delete" }>;
type DeleteTxn = Extract<Txn, { type: "delete" }>;

const DELETED: ChangeResult = { type: "delete" };

/** @source ZooKeeper `PrepRequestProcessor`: delete; `DataTree.deleteNode` */
export const deleteOp: WriteOp<DeleteRequest, DeleteTxn, ChangeResult> = {
  prep({ overlay }: PrepContext, header: TxnHeader, { path, version }: DeleteRequest): Txn {
    if (!hasPathShape(path) || isBuiltIn(path)) return refuse("BAD_ARGUMENTS");
    const parent = overlay.get(parentOf(path));
    if (parent === undefined) return refuse("NO_NODE");
    const node = overlay.get(path);
    if (node === undefined) return refuse("NO_NODE");
    if (!matches(version, node.version)) return refuse("BAD_VERSION");
    if (node.numChildren > 0) return refuse("NOT_EMPTY");
    overlay.putDeleted(header.zxid, parent, path);
    return { type: "delete", path };
  },

  apply({ state }: ApplyContext, header: TxnHeader, txn: DeleteTxn): ChangeResult {
    return deleteZnode(state, header, txn.path);
  },
};

/** Deletes a znode, if it is there. */
export function deleteZnode(state: TreeState, header: TxnHeader, path: string): ChangeResult {
  if (isBuiltIn(path)) return failure("BAD_ARGUMENTS");
  const node = state.get(path);
  if (node === undefined) return DELETED;
  if (node.numChildren > 0) return failure("NOT_EMPTY");
  const parent = state.remove(node, header.zxid);
  state.fire(WatchEventType.DELETED, path);
  state.fire(WatchEventType.CHILDREN_CHANGED, parent.path);
  return DELETED;
}
