/** setData: other data, and the next version. */
import { Change } from "../overlay.ts";
import { CONFIG_PATH } from "../path.ts";
import { nextVersion, statOf } from "../stat.ts";
import { type ChangeRequest, type ChangeResult, type Txn, type TxnHeader, WatchEventType } from "../types.ts";
import { missing } from "./check.ts";
import { type ApplyContext, failure, matches, type PrepContext, refuse, type WriteOp } from "./op.ts";

type SetDataRequest = Extract<ChangeRequest, { type: "setData" }>;
type SetDataTxn = Extract<Txn, { type: "setData" }>;

/**
 * The data of a txn may be a view of a whole batch, which does not change: the tree copies it before it is shown, or when the
 * digest is asked for, whichever is first. So of many writes to one znode only the last is copied.
 * @source ZooKeeper `PrepRequestProcessor`: setData; `DataTree.setData`
 */
export const setData: WriteOp<SetDataRequest, SetDataTxn, ChangeResult> = {
  prep({ overlay }: PrepContext, header: TxnHeader, request: SetDataRequest): Txn {
    const { path, data } = request;
    const node = overlay.get(path);
    if (node === undefined) return missing(path);
    if (path === CONFIG_PATH) return refuse("NO_AUTH");
    if (!matches(request.version, node.version)) return refuse("BAD_VERSION");
    const version = nextVersion(node.version);
    overlay.put(
      new Change(header.zxid, path, version, node.cversion, node.numChildren, node.ephemeralOwner, true),
    );
    return { type: "setData", path, data, version };
  },

  apply({ state }: ApplyContext, header: TxnHeader, { path, data, version }: SetDataTxn): ChangeResult {
    const node = state.get(path);
    if (node === undefined) return failure("NO_NODE");
    node.data = data;
    node.version = version;
    node.mzxid = header.zxid;
    node.mtime = header.timeMs;
    node.staleData = true;
    state.touched(node);
    state.fire(WatchEventType.DATA_CHANGED, path);
    return { type: "setData", stat: statOf(node) };
  },
};
