/** Answers to requests of clients. */
import type { ZooErrorCode } from "../errors.ts";
import type { Zxid } from "../zab/zxid.ts";
import type { ReadOutcome, WriteResult } from "../znode/types.ts";

/** What became of a request; of `setWatches` nothing but that. */
export type RequestResult = WriteResult | ReadOutcome | { readonly type: "setWatches" };

/** The answer to a request; `zxid` is that of the txn, or of the tree that was read. An operating error is a value. */
export type ServerAnswer =
  | { readonly ok: true; readonly zxid: Zxid; readonly result: RequestResult }
  | { readonly ok: false; readonly zxid: Zxid; readonly code: ZooErrorCode };

/** The answer to a request that failed. @param zxid where the tree of the member stands */
export const failed = (zxid: Zxid, code: ZooErrorCode): ServerAnswer => ({ ok: false, zxid, code });
