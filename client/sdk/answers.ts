/** Results for callers, from the replies of the server. */
import type { Reply } from "../../core/wire/jute/ops/op.ts";
import type { Refused } from "../../core/znode/refusal-text.ts";
import type { Stat } from "../../core/znode/types.ts";
import { ZooError } from "./errors.ts";
import type { MultiResult, ZnodeChildren, ZnodeValue } from "./types.ts";

/** The reply, if it has the type of the request. @throws ZooError MARSHALLING_ERROR */
function wanted<T extends Reply["type"]>(reply: Reply, type: T): Extract<Reply, { type: T }> {
  if (reply.type !== type) throw unexpected(reply);
  return reply as Extract<Reply, { type: T }>;
}

const unexpected = (reply: Reply): ZooError =>
  new ZooError("MARSHALLING_ERROR", `the server answered with "${reply.type}"`);

/** An answer without a result. */
export const nothing = (): void => {};

/** Path of a created znode. */
export const pathOfCreate = (reply: Reply): string => wanted(reply, "create").path;

/** Stat after a setData. */
export const statOfSet = (reply: Reply): Stat => wanted(reply, "setData").stat;

/** Stat of an exists. */
export const statOfExists = (reply: Reply): Stat => wanted(reply, "exists").stat;

/** Data and Stat of a znode. */
export function valueOfGet(reply: Reply): ZnodeValue {
  const { data, stat } = wanted(reply, "getData");
  // a view would keep the whole message in memory
  return { data: data?.slice() ?? null, stat };
}

/** Names of the children, and the Stat of their parent. */
export function childrenOfGet(reply: Reply): ZnodeChildren {
  const { children, stat } = wanted(reply, "getChildren");
  if (stat === null) throw unexpected(reply);
  return { children, stat };
}

/** Paths of the session's ephemerals. */
export const pathsOfEphemerals = (reply: Reply): readonly string[] =>
  wanted(reply, "getEphemerals").ephemerals;

/** Results of a multi. @param operations that it was made of. @throws ZooError of the operation that failed */
export function resultsOfMulti(reply: Reply, operations: readonly Refused[]): MultiResult[] {
  const { results } = wanted(reply, "multi");
  // operations before the failed one have OK, those after it RUNTIME_INCONSISTENCY
  const failed = results.findIndex((result) => result.type === "error" && result.code !== "OK");
  const failure = results[failed];
  if (failure?.type === "error")
    throw ZooError.ofReply(failure.code, operations[failed] ?? { type: "multi" }, failed);
  return results.map((result): MultiResult => {
    if (result.type === "create") return { op: "create", path: result.path };
    if (result.type === "setData") return { op: "set", stat: result.stat };
    return { op: result.type === "delete" ? "delete" : "check" };
  });
}
