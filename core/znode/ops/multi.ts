/** multi: all of its operations or none. */
import type { Txn, TxnHeader, WriteRequest, WriteResult } from "../types.ts";
import type { ApplyContext, PrepContext, WriteOp } from "./op.ts";

type MultiRequest = Extract<WriteRequest, { type: "multi" }>;
type MultiTxn = Extract<Txn, { type: "multi" }>;

/** @source ZooKeeper `PrepRequestProcessor`: multi; `DataTree.processTxn` */
export const multi: WriteOp<MultiRequest, MultiTxn> = {
  /** Every operation sees those before it, and the first refusal takes all of them back. */
  prep(context: PrepContext, header: TxnHeader, { ops }: MultiRequest): Txn {
    const txns: Txn[] = [];
    const mark = context.overlay.mark();
    for (const [at, op] of ops.entries()) {
      const txn = context.prepPart(header, op);
      if (txn.type === "error") {
        context.overlay.rollback(mark);
        return { type: "error", code: txn.code, ops: ops.length, at };
      }
      txns.push(txn);
    }
    return { type: "multi", txns };
  },

  apply(context: ApplyContext, header: TxnHeader, { txns }: MultiTxn): WriteResult {
    return { type: "multi", results: txns.map((each) => context.applyPart(header, each)) };
  },
};
