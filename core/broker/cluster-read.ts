/** Reads that a coroutine yields, and their results: the caller reads a tree in memory, or an ensemble over RPC. */
import type { ReadRequestOf, ReadResult, Stat, ZnodeReadType } from "../znode/types.ts";

/** A read of the brokers' znodes. */
export interface ClusterRead {
  readonly type: "getData" | "getChildren";
  readonly path: string;
  /** no condition reports its changes, so it must be read every time */
  readonly fresh?: boolean;
}

/** Result of a read; undefined if the znode does not exist. */
export type ClusterReadResult =
  | { readonly data: Uint8Array | null; readonly children: readonly string[]; readonly stat: Stat }
  | undefined;

/** The request of a node that makes this read. */
export const requestOf = ({ type, path }: ClusterRead): ReadRequestOf<ClusterRead["type"]> =>
  type === "getData" ? { type, path, watch: false } : { type, path, watch: false, withStat: true };

/** The result of a read, from what a node found. */
export const clusterReadResult = (found: ReadResult<ZnodeReadType>): ClusterReadResult => ({
  data: found.type === "getData" ? found.data : null,
  children: found.type === "getChildren" ? found.children : [],
  stat: found.stat,
});
