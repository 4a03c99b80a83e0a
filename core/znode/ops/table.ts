/** The ops of the tree by the type of their txn or request. An op without a line here does not compile. */
import type { ChangeResult, MultiRequestOp, ReadRequestOf, ReadType, Txn, WriteRequest } from "../types.ts";
import { check } from "./check.ts";
import { closeSession } from "./close-session.ts";
import { create } from "./create.ts";
import { createSession } from "./create-session.ts";
import { deleteOp } from "./delete.ts";
import { error, errorPart } from "./error.ts";
import { exists } from "./exists.ts";
import { getChildren } from "./get-children.ts";
import { getData } from "./get-data.ts";
import { getEphemerals } from "./get-ephemerals.ts";
import { multi } from "./multi.ts";
import type { ReadOp, WriteOp } from "./op.ts";
import { setData } from "./set-data.ts";
import { sync } from "./sync.ts";

/** The request that becomes a txn of this type. */
type RequestOf<T extends Txn["type"]> = Extract<
  WriteRequest | MultiRequestOp,
  { type: T extends "error" ? "refused" : T }
>;
type TxnOf<T extends Txn["type"]> = Extract<Txn, { type: T }>;
/** Types of the txns that may be part of a multi. */
type PartType = Exclude<MultiRequestOp["type"], "refused"> | "error";

/** Ops that may be part of a multi, by the type of their txn. */
export const PART_OPS: { readonly [T in PartType]: WriteOp<RequestOf<T>, TxnOf<T>, ChangeResult> } = {
  create,
  delete: deleteOp,
  setData,
  check,
  error: errorPart,
};

/** Ops that change the tree, by the type of their txn. */
export const WRITE_OPS: { readonly [T in Txn["type"]]: WriteOp<RequestOf<T>, TxnOf<T>> } = {
  ...PART_OPS,
  error,
  multi,
  createSession,
  closeSession,
  sync,
};

/** Ops that read the tree. */
export const READ_OPS: { readonly [T in ReadType]: ReadOp<ReadRequestOf<T>> } = {
  exists,
  getData,
  getChildren,
  getEphemerals,
};
