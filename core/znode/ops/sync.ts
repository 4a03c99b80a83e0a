/** sync: a txn that changes nothing. It carries a zxid that a quorum commits, and in its header whose connection it came by. */
import type { Txn, WriteRequest, WriteResult } from "../types.ts";
import type { WriteOp } from "./op.ts";

type SyncRequest = Extract<WriteRequest, { type: "sync" }>;
type SyncTxn = Extract<Txn, { type: "sync" }>;

/** ZooKeeper's leader answers a sync without a quorum; this one is a barrier also while the leader changes. */
export const sync: WriteOp<SyncRequest, SyncTxn> = {
  prep(): Txn {
    return { type: "sync" };
  },

  apply(): WriteResult {
    return { type: "sync" };
  },
};
