/** JSON bodies of requests. Unknown members are refused, so that a typing error is noticed. */
import * as v from "valibot";
import { MULTI_OPS_MAX } from "../config.ts";
import { modeField, pathField, VERSION_MAX, versionField } from "./fields.ts";

/** `POST /v1/sessions`; the node brings the timeout into its range and returns the result. */
export const openSessionBody = v.strictObject({
  timeoutMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(VERSION_MAX)), 10_000),
});

/** Data of a znode: base64, or text that is stored as UTF-8. At most one of them; without either there are no data. */
const dataFields = {
  data: v.optional(v.nullable(v.pipe(v.string(), v.base64("not base64")))),
  text: v.optional(v.string()),
};

const op = v.variant("op", [
  v.strictObject({
    op: v.literal("create"),
    path: pathField,
    ...dataFields,
    mode: v.optional(modeField, "persistent"),
  }),
  v.strictObject({
    op: v.literal("set"),
    path: pathField,
    ...dataFields,
    version: v.optional(versionField, -1),
  }),
  v.strictObject({ op: v.literal("delete"), path: pathField, version: v.optional(versionField, -1) }),
  v.strictObject({ op: v.literal("check"), path: pathField, version: versionField }),
]);
/** One operation of a multi. */
export type MultiOp = v.InferOutput<typeof op>;

/** `POST /v1/multi` */
export const multiBody = v.strictObject({
  ops: v.pipe(v.array(op), v.minLength(1, "a multi has at least one operation"), v.maxLength(MULTI_OPS_MAX)),
});
