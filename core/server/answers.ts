/** What a client gets. */
import type { ZooErrorCode } from "../errors.ts";
import type { Zxid } from "../zab/zxid.ts";
import type { ReadOutcome, WriteResult } from "../znode/types.ts";

/** What became of a request; of `setWatches` nothing but that. */
export type RequestResult = WriteResult | ReadOutcome | { readonly type: "setWatches" };

/** What a client gets. An operating error is a value. */
export type ServerAnswer =
  | { readonly ok: true; readonly zxid: Zxid; readonly result: RequestResult }
  | { readonly ok: false; readonly zxid: Zxid; readonly code: ZooErrorCode };
