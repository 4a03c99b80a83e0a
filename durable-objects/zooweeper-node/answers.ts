/** Converts answers of the core to answers over RPC. */
import { ZOO_ERRORS, type ZooErrorCode } from "../../core/errors.ts";
import type { RequestResult, ServerAnswer } from "../../core/server/answers.ts";
import { zxidToText } from "../../core/zab/zxid.ts";
import type { Incarnation } from "./incarnation.ts";
import type { Answer } from "./rpc.ts";

/** Answer of a node that was never founded. */
export const UNKNOWN_ENSEMBLE = {
  ok: false,
  code: "UNKNOWN_ENSEMBLE",
  message: "this node was never founded",
} as const satisfies Answer<never>;

/** A successful answer, with the last zxid that this node has applied. */
export function success<T>({ server }: Incarnation, value: T): Answer<T> {
  return { ok: true, zxid: zxidToText(server.tree.lastApplied), value };
}

/**
 * A refusal, with the leader that this node knows of.
 * @param at last zxid that was applied when the answer was made; the tree may have advanced since
 */
export function failure(
  code: ZooErrorCode,
  message: string = ZOO_ERRORS[code].title,
  incarnation?: Incarnation,
  at = incarnation?.server.tree.lastApplied,
): Answer<never> {
  if (incarnation === undefined || at === undefined) return { ok: false, code, message };
  const { leader } = incarnation.server.zab;
  const zxid = zxidToText(at);
  return leader === null ? { ok: false, code, message, zxid } : { ok: false, code, message, zxid, leader };
}

/** Operating errors are values, whether the core refused the request or the tree did. */
export function toAnswer(incarnation: Incarnation, answer: ServerAnswer): Answer<unknown> {
  if (!answer.ok) return failure(answer.code, undefined, incarnation, answer.zxid);
  if (answer.result.type === "error") {
    return failure(answer.result.code, undefined, incarnation, answer.zxid);
  }
  return { ok: true, zxid: zxidToText(answer.zxid), value: detached(answer.result) };
}

/** Copies data, which are views of shared slabs: a clone of a view would contain the whole slab. */
function detached(result: RequestResult): RequestResult {
  return result.type === "getData" && result.data !== null
    ? { ...result, data: result.data.slice() }
    : result;
}
