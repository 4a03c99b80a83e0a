/** Answers to requests of clients. */
import type { ZooErrorCode } from "../errors.ts";
import type { Zxid } from "../zab/zxid.ts";
import type { ReadOutcome, WriteResult } from "../znode/types.ts";

/** The result of a request. That of `setWatches` has no content. */
export type RequestResult = WriteResult | ReadOutcome | { readonly type: "setWatches" };

/** The answer to a request. `zxid` is that of the txn, or of the tree that was read. Operating errors are values. */
export type ServerAnswer =
  | { readonly ok: true; readonly zxid: Zxid; readonly result: RequestResult }
  | { readonly ok: false; readonly zxid: Zxid; readonly code: ZooErrorCode };

/** The answer to a request that failed. @param zxid last zxid applied at the member */
export const failed = (zxid: Zxid, code: ZooErrorCode): ServerAnswer => ({ ok: false, zxid, code });
