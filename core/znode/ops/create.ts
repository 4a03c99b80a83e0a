/** create, create2: a new znode. The path of a sequential one is decided by prep. */
import { copyData } from "../../wire/data-pool.ts";
import { compareZxid } from "../../zab/zxid.ts";
import { Change } from "../overlay.ts";
import {
  CONFIG_PATH,
  hasPathShape,
  parentForCreate,
  parentOf,
  sequenceSuffix,
  validatePath,
} from "../path.ts";
import { statOf, Znode } from "../stat.ts";
import {
  type ChangeRequest,
  type ChangeResult,
  CreateMode,
  isAnonymous,
  NO_SESSION,
  type Txn,
  type TxnHeader,
  WatchEventType,
} from "../types.ts";
import { type ApplyContext, failure, type PrepContext, refuse, type WriteOp } from "./op.ts";

type CreateRequest = Extract<ChangeRequest, { type: "create" }>;
type CreateTxn = Extract<Txn, { type: "create" }>;

/** @source ZooKeeper `PrepRequestProcessor.pRequest2TxnCreate`, `DataTree.createNode` */
export const create: WriteOp<CreateRequest, CreateTxn, ChangeResult> = {
  prep({ overlay }: PrepContext, header: TxnHeader, request: CreateRequest): Txn {
    const { mode } = request;
    const ephemeral = mode === CreateMode.EPHEMERAL || mode === CreateMode.EPHEMERAL_SEQUENTIAL;
    const sequential = mode === CreateMode.PERSISTENT_SEQUENTIAL || mode === CreateMode.EPHEMERAL_SEQUENTIAL;
    if (!ephemeral && !sequential && mode !== CreateMode.PERSISTENT) return refuse("BAD_ARGUMENTS");
    if (ephemeral && (header.session === NO_SESSION || isAnonymous(header.session)))
      return refuse("BAD_ARGUMENTS");
    if (!hasPathShape(request.path)) return refuse("BAD_ARGUMENTS");
    const parent = overlay.get(parentForCreate(request.path));
    if (parent === undefined) return refuse("NO_NODE");
    if (parent.path === CONFIG_PATH) return refuse("NO_AUTH");
    const path = sequential ? request.path + sequenceSuffix(parent.cversion) : request.path;
    if (validatePath(path) !== undefined) return refuse("BAD_ARGUMENTS");
    if (overlay.get(path) !== undefined) return refuse("NODE_EXISTS");
    if (parent.ephemeralOwner !== NO_SESSION) return refuse("NO_CHILDREN_FOR_EPHEMERALS");

    const parentCversion = (parent.cversion + 1) | 0;
    overlay.putChildren(header.zxid, parent, parentCversion, 1);
    const owner = ephemeral ? header.session : NO_SESSION;
    overlay.put(new Change(header.zxid, path, 0, 0, 0, owner, true));
    return {
      type: "create",
      path,
      data: request.data,
      ephemeral,
      parentCversion,
      withStat: request.withStat,
    };
  },

  apply({ state }: ApplyContext, header: TxnHeader, txn: CreateTxn): ChangeResult {
    const { path } = txn;
    if (validatePath(path) !== undefined) return failure("BAD_ARGUMENTS");
    const existing = state.get(path);
    if (existing !== undefined) {
      if (compareZxid(existing.czxid, header.zxid) !== 0) return failure("NODE_EXISTS");
      return { type: "create", path, stat: txn.withStat ? statOf(existing) : null };
    }
    const parent = state.get(parentOf(path));
    if (parent === undefined) return failure("NO_NODE");
    if (parent.ephemeralOwner !== NO_SESSION) return failure("NO_CHILDREN_FOR_EPHEMERALS");
    if (txn.ephemeral && !state.sessions.has(header.session)) return failure("SESSION_EXPIRED");

    const node = new Znode(path);
    node.data = txn.data === null ? null : copyData(txn.data);
    node.czxid = node.mzxid = node.pzxid = header.zxid;
    node.ctime = node.mtime = header.timeMs;
    if (txn.ephemeral) node.ephemeralOwner = header.session;
    state.add(node, parent, txn.parentCversion);
    state.fire(WatchEventType.CREATED, path);
    state.fire(WatchEventType.CHILDREN_CHANGED, parent.path);
    return { type: "create", path, stat: txn.withStat ? statOf(node) : null };
  },
};
