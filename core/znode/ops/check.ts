/** check: part of a multi that fails it unless a znode has a version. It changes nothing. */
import { validatePath } from "../path.ts";
import type { ChangeResult, MultiRequestOp, Txn, TxnHeader } from "../types.ts";
import { matches, type PrepContext, refuse, type WriteOp } from "./op.ts";

type CheckRequest = Extract<MultiRequestOp, { type: "check" }>;
type CheckTxn = Extract<Txn, { type: "check" }>;

/** @source ZooKeeper `PrepRequestProcessor`: check */
export const check: WriteOp<CheckRequest, CheckTxn, ChangeResult> = {
  prep({ overlay }: PrepContext, _header: TxnHeader, { path, version }: CheckRequest): Txn {
    const node = overlay.peek(path);
    if (node === undefined) return missing(path);
    if (!matches(version, node.version)) return refuse("BAD_VERSION");
    return { type: "check", path, version: node.version };
  },

  apply(): ChangeResult {
    return { type: "check" };
  },
};

/** The refusal of a request whose znode is not there. */
export const missing = (path: string): Txn =>
  refuse(validatePath(path) === undefined ? "NO_NODE" : "BAD_ARGUMENTS");
