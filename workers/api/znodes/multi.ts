/** `/v1/multi`: several changes in one transaction, all or none. */
import { Hono } from "hono";
import { ZOO_ERRORS } from "../../../core/errors.ts";
import { validatePath } from "../../../core/znode/path.ts";
import { refusalText } from "../../../core/znode/refusal-text.ts";
import { type ChangeResult, type MultiRequestOp, NO_SESSION } from "../../../core/znode/types.ts";
import type { AppEnv } from "../app-env.ts";
import { fromBase64 } from "../http/base64.ts";
import { ApiError, badArguments } from "../http/errors.ts";
import { jsonBody } from "../http/json-body.ts";
import { nodeOf, writerOf } from "../http/params.ts";
import { type MultiResultJson, statJson } from "./answers.ts";
import { isEphemeral, isSequential, modeOf } from "./routes.ts";
import { type MultiOp, multiBody } from "./schema.ts";

/** Route of multi. */
export const multiApp = new Hono<AppEnv>().post("/", jsonBody(multiBody), async (c) => {
  const ops = c.req.valid("json").ops.map(toRequest);
  const writer = writerOf(c);
  if (writer.session === NO_SESSION && ops.some((op) => op.type === "create" && isEphemeral(op.mode))) {
    throw badArguments("an ephemeral znode belongs to a session: send Zoo-Session and Zoo-Xid");
  }
  const answer = await c.var.zoo.through(nodeOf(c)).write({ ...writer, request: { type: "multi", ops } });
  if (answer.value.type !== "multi")
    throw new ApiError("SYSTEM_ERROR", "the ensemble's answer is of another kind");
  const { results } = answer.value;
  const json = results.map(resultJson);
  refuseFailed(ops, results, json, answer.zxid);
  return c.json({ results: json, zxid: answer.zxid }, 200, {
    "zoo-zxid": answer.zxid,
    "zoo-node": String(answer.node),
  });
});

function toRequest(op: MultiOp, index: number): MultiRequestOp {
  const { path } = op;
  const mode = op.op === "create" ? modeOf(op.mode) : 0;
  const reason = validatePath(path, isSequential(mode));
  if (reason !== undefined) throw badArguments(`ops.${index}.path: ${reason}`);
  switch (op.op) {
    case "create":
      return { type: "create", path, data: dataOf(op, index), mode, withStat: true };
    case "set":
      return { type: "setData", path, data: dataOf(op, index), version: op.version };
    case "delete":
      return { type: "delete", path, version: op.version };
    case "check":
      return { type: "check", path, version: op.version };
  }
}

function dataOf(
  op: { readonly data?: string | null | undefined; readonly text?: string | undefined },
  index: number,
): Uint8Array | null {
  if (op.text === undefined) return op.data == null ? null : fromBase64(op.data);
  if (op.data != null) throw badArguments(`ops.${index}: use either data or text`);
  if (!op.text.isWellFormed()) throw badArguments(`ops.${index}.text: it has a lone surrogate`);
  return new TextEncoder().encode(op.text);
}

/** A refused multi changed nothing; its answer has the code of the operation that failed, and all results. */
function refuseFailed(
  ops: readonly MultiRequestOp[],
  results: readonly ChangeResult[],
  json: readonly MultiResultJson[],
  zxid: string,
): void {
  const errors = results.map((result) => (result.type === "error" ? result.code : "OK"));
  const at = errors.findIndex((code) => code !== "OK" && code !== "RUNTIME_INCONSISTENCY");
  const code = errors[at];
  if (code === undefined) return;
  const why = refusalText(code, ops[at] ?? { type: "multi" });
  throw new ApiError(code, `operation ${at} failed, so none was carried out: ${why}`, {
    zxid,
    members: { at, results: json },
  });
}

function resultJson(result: ChangeResult): MultiResultJson {
  switch (result.type) {
    case "create":
      return { op: "create", path: result.path, stat: result.stat === null ? null : statJson(result.stat) };
    case "setData":
      return { op: "set", stat: statJson(result.stat) };
    case "delete":
    case "check":
      return { op: result.type };
    case "error":
      return { error: result.code, number: ZOO_ERRORS[result.code].number };
  }
}
