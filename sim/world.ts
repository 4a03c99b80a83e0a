/** Helpers for runs of a whole ensemble. */
import type { ServerAnswer } from "../core/server/answers.ts";
import { zxidToText } from "../core/zab/zxid.ts";
import { CreateMode, type WriteRequest } from "../core/znode/types.ts";
import type { Cluster } from "./cluster.ts";

/** A create of a znode with `size` bytes of data. */
export const create = (path: string, mode: CreateMode = CreateMode.PERSISTENT, size = 4): WriteRequest => ({
  type: "create",
  path,
  data: new Uint8Array(size),
  mode,
  withStat: false,
});

/** Whether an answer confirms that the request was carried out. */
export const ok = (answer: ServerAnswer | undefined): boolean =>
  answer?.ok === true && answer.result.type !== "error";

/** One text per member: equal texts mean equal trees and sessions. */
export const digests = (cluster: Cluster): string[] =>
  cluster.alive.map(({ tree }) => `${zxidToText(tree.lastApplied)} ${tree.digestHigh}:${tree.digestLow}`);

/** Whether all texts are the same. */
export const allEqual = (texts: readonly string[]): boolean => new Set(texts).size === 1;
