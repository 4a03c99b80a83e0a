/** Reads that a coroutine yields, and their results: the caller reads a tree in memory, or an ensemble over RPC. */
import type { Stat } from "../znode/types.ts";

/** A read of the brokers' znodes. */
export interface ClusterRead {
  readonly type: "getData" | "getChildren";
  readonly path: string;
  /** no condition shows a change: to be read every time */
  readonly fresh?: boolean;
}

/** Undefined: the znode does not exist. */
export type ClusterReadResult =
  | { readonly data: Uint8Array | null; readonly children: readonly string[]; readonly stat: Stat }
  | undefined;
