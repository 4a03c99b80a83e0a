/** error: a write that was refused. It takes a zxid like any other and changes nothing. */
import type { ZooErrorCode } from "../../errors.ts";
import type { ChangeResult, MultiRequestOp, Txn, TxnHeader, WriteResult } from "../types.ts";
import { type ApplyContext, failure, type PrepContext, refuse, type WriteOp } from "./op.ts";

type RefusedRequest = Extract<MultiRequestOp, { type: "refused" }>;
type ErrorTxn = Extract<Txn, { type: "error" }>;

/** A refused operation of a multi. */
export const errorPart: WriteOp<RefusedRequest, ErrorTxn, ChangeResult> = {
  prep(_context: PrepContext, _header: TxnHeader, { code }: RefusedRequest): Txn {
    return refuse(code);
  },

  apply(_context: ApplyContext, _header: TxnHeader, { code }: ErrorTxn): ChangeResult {
    return failure(code);
  },
};

/** A refused write, perhaps a multi. @source ZooKeeper `ErrorTxn` */
export const error: WriteOp<RefusedRequest, ErrorTxn> = {
  prep: errorPart.prep,

  apply(_context: ApplyContext, _header: TxnHeader, { code, ops, at }: ErrorTxn): WriteResult {
    return ops === 0 ? failure(code) : { type: "multi", results: resultsOf(code, ops, at) };
  },
};

/** What a refused multi answers: OK before the operation that failed, its code, "not tried" after it. */
const resultsOf = (code: ZooErrorCode, ops: number, at: number): ChangeResult[] =>
  Array.from({ length: ops }, (_, i) => failure(i < at ? "OK" : i === at ? code : "RUNTIME_INCONSISTENCY"));
