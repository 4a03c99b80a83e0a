/**
 * Detects that a number of a session was used for another write. A member that saw the first request knows its fingerprint
 * (`fingerprint.ts`). The functions here are for a member that did not see it. The log contains the txn that the write
 * became, with its paths and data: a request that cannot have become this txn is another one. If the log no longer contains
 * the txn, or the write was refused (a refusal does not contain the request), result and tree reveal some of the other
 * writes; the rest counts as repeats.
 *
 * Numbers belong to the session. For clients that number from 1 in every connection, the connection adds an offset.
 */
import { must } from "../assert.ts";
import type { ZooErrorCode } from "../errors.ts";
import { OpCode } from "../wire/jute/opcodes.ts";
import type { DecodedWrite } from "../wire/jute/ops/op.ts";
import { compareZxid, equalZxid, type Zxid } from "../zab/zxid.ts";
import { parentForCreate } from "../znode/path.ts";
import { nextVersion } from "../znode/stat.ts";
import type { ZnodeTree } from "../znode/tree.ts";
import {
  CreateMode,
  type MultiRequestOp,
  type Txn,
  type WriteRequest,
  type WriteResult,
} from "../znode/types.ts";

/** Characters of a sequence number: ten digits, and a sign after it has wrapped around. */
const isSequenceLength = (length: number): boolean => length === 10 || length === 11;
/** A version that matches any. */
const ANY_VERSION = -1;

/** Result of a write, and the zxid of its txn. */
interface Done {
  readonly zxid: Zxid;
  readonly result: WriteResult;
}

/**
 * Whether this request is certainly not the one that had this result.
 * @param txn txn of the write, if the log still contains it
 */
export function isAnotherWrite(
  request: DecodedWrite,
  { zxid, result }: Done,
  txn: Txn | undefined,
  tree: ZnodeTree,
): boolean {
  if (result.type === "error") return isAnotherRefusal(request, result.code, zxid, tree);
  if ("code" in request) return true;
  if (txn?.type === "error") return !isRefusedMulti(request, txn);
  if (txn !== undefined) return !canBecome(request, txn);
  return isAnotherByTree(request, { zxid, result }, tree);
}

/** Whether the write can have become this txn, which contains all of it except the versions expected by a delete or a check. */
function canBecome(request: MultiRequestOp | DecodedWrite, txn: Txn): boolean {
  if ("code" in request || request.type !== txn.type) return false;
  switch (request.type) {
    case "create":
      return (
        txn.type === "create" &&
        isPathOf(request.path, txn.path, request.mode) &&
        isEphemeral(request.mode) === txn.ephemeral &&
        request.withStat === txn.withStat &&
        equalBytes(request.data, txn.data)
      );
    case "setData": {
      if (txn.type !== "setData" || request.path !== txn.path) return false;
      const isVersion = request.version === ANY_VERSION || nextVersion(request.version) === txn.version;
      return isVersion && equalBytes(request.data, txn.data);
    }
    case "delete":
      return txn.type === "delete" && request.path === txn.path;
    case "check": {
      if (txn.type !== "check" || request.path !== txn.path) return false;
      return request.version === ANY_VERSION || request.version === txn.version;
    }
    case "multi": {
      if (txn.type !== "multi" || request.ops.length !== txn.txns.length) return false;
      const { txns } = txn;
      return request.ops.every((op, i) => canBecome(op, must(txns[i], "as many txns as operations")));
    }
    case "sync":
    case "createSession":
    case "closeSession":
      return true;
  }
}

/** Whether the multi can have been refused with this txn, which contains the number of operations, the failed one and its code. */
function isRefusedMulti(request: DecodedWrite, { ops, at, code }: Extract<Txn, { type: "error" }>): boolean {
  if ("code" in request || request.type !== "multi" || request.ops.length !== ops) return false;
  return canFail(must(request.ops[at], "the operation that failed is one of the multi"), code);
}

/**
 * The operations that can fail with a code, for codes that not all operations have. BAD_VERSION also requires an expected
 * version.
 */
const REFUSED: Readonly<Partial<Record<ZooErrorCode, readonly string[]>>> = {
  NO_NODE: ["create", "setData", "delete", "check"],
  NODE_EXISTS: ["create"],
  NO_CHILDREN_FOR_EPHEMERALS: ["create"],
  NOT_EMPTY: ["delete"],
  BAD_VERSION: ["setData", "delete", "check"],
};

function canFail(request: MultiRequestOp | WriteRequest, code: ZooErrorCode): boolean {
  const types = REFUSED[code];
  if (types === undefined) return true;
  if (!types.includes(request.type)) return false;
  return code !== "BAD_VERSION" || ("version" in request && request.version !== ANY_VERSION);
}

/**
 * Whether the tree shows that this request cannot have been refused with this code at `zxid`. A refusal does not contain
 * the request.
 */
function isAnotherRefusal(request: DecodedWrite, code: ZooErrorCode, zxid: Zxid, tree: ZnodeTree): boolean {
  if ("code" in request) return false;
  if (!canFail(request, code)) return true;
  // A znode that was created before the refusal, and still exists, existed at the refusal.
  const before = (path: string) => {
    const node = tree.get(path);
    return node !== undefined && compareZxid(node.czxid, zxid) < 0 ? node : undefined;
  };
  switch (request.type) {
    case "create": {
      const parent = before(parentForCreate(request.path));
      if (parent === undefined) return false;
      if (code === "NO_NODE") return true;
      const isUnchanged = compareZxid(parent.pzxid, zxid) < 0;
      return code === "NODE_EXISTS" && isUnchanged && tree.get(request.path) === undefined;
    }
    case "setData":
    case "delete": {
      const node = before(request.path);
      if (node === undefined) return false;
      if (code === "NO_NODE") return true;
      if (code === "NOT_EMPTY") return compareZxid(node.pzxid, zxid) < 0 && tree.stat(node).numChildren === 0;
      const isUnchanged = compareZxid(node.mzxid, zxid) < 0;
      return code === "BAD_VERSION" && isUnchanged && node.version === request.version;
    }
    case "multi":
    case "sync":
    case "createSession":
    case "closeSession":
      return false;
  }
}

/** Whether result and tree show that it is another write; used if the log no longer contains the txn. */
function isAnotherByTree(request: WriteRequest, { zxid, result }: Done, tree: ZnodeTree): boolean {
  if (request.type === "multi") {
    // A refused multi also has as many results as operations.
    return result.type !== "multi" || result.results.length !== request.ops.length;
  }
  if (request.type !== result.type) return true;
  switch (request.type) {
    case "create": {
      if (result.type !== "create" || !isPathOf(request.path, result.path, request.mode)) return true;
      const node = tree.get(result.path);
      return isUntouched(node, zxid) && !equalBytes(node?.data ?? null, request.data);
    }
    case "setData": {
      const node = tree.get(request.path);
      if (node === undefined) return false;
      if (compareZxid(node.mzxid, zxid) < 0) return true;
      return equalZxid(node.mzxid, zxid) && !equalBytes(node.data, request.data);
    }
    case "delete": {
      const node = tree.get(request.path);
      return node !== undefined && compareZxid(node.czxid, zxid) < 0;
    }
    case "sync":
    case "createSession":
    case "closeSession":
      return false;
  }
}

/** Whether the txn at `zxid` was the last one to set its data. */
const isUntouched = (node: { readonly mzxid: Zxid } | undefined, zxid: Zxid): boolean =>
  node !== undefined && equalZxid(node.mzxid, zxid);

const isSequential = (mode: CreateMode): boolean =>
  mode === CreateMode.PERSISTENT_SEQUENTIAL || mode === CreateMode.EPHEMERAL_SEQUENTIAL;

const isEphemeral = (mode: CreateMode): boolean =>
  mode === CreateMode.EPHEMERAL || mode === CreateMode.EPHEMERAL_SEQUENTIAL;

const isPathOf = (asked: string, made: string, mode: CreateMode): boolean =>
  isSequential(mode)
    ? isSequenceLength(made.length - asked.length) && made.startsWith(asked)
    : made === asked;

/**
 * Whether the write with this opcode and body cannot have become this txn. It runs for every answered write, so it must be
 * cheap.
 */
export function isOfAnotherWrite(opcode: number, body: Uint8Array, txn: Txn): boolean {
  switch (txn.type) {
    case "setData":
      return opcode !== OpCode.SET_DATA || !beginsWith(body, txn.path, false) || !hasData(body, txn.data);
    case "delete":
      return opcode !== OpCode.DELETE || !beginsWith(body, txn.path, false);
    case "create":
      if (opcode !== OpCode.CREATE && opcode !== OpCode.CREATE2) return true;
      return !beginsWith(body, txn.path, true) || !hasData(body, txn.data);
    case "multi":
      return opcode !== OpCode.MULTI;
    case "sync":
      return opcode !== OpCode.SYNC;
    case "check":
    case "createSession":
    case "closeSession":
    case "error":
      return false;
  }
}

/** Whether the body begins with this path. @param orPrefix whether the path without its sequence number also matches */
function beginsWith(body: Uint8Array, path: string, orPrefix: boolean): boolean {
  if (body.length < 4) return false;
  const bytes = i32At(body, 0);
  for (let i = 0; i < bytes; i++) {
    const unit = path.charCodeAt(i);
    // Beyond ASCII, bytes and code units differ. Such a path counts as equal, because a comparison would be slow.
    if (unit > 127) return true;
    if (unit !== body[i + 4]) return false;
  }
  return bytes === path.length || (orPrefix && isSequenceLength(path.length - bytes));
}

/** Whether these are the data after the body's path. In jute: a length, −1 for null, and the bytes */
function hasData(body: Uint8Array, data: Uint8Array | null): boolean {
  const at = 4 + i32At(body, 0);
  const length = i32At(body, at);
  if (data === null) return length < 0;
  if (length !== data.length) return false;
  for (let i = 0; i < length; i++) if (body[at + 4 + i] !== data[i]) return false;
  return true;
}

const i32At = (body: Uint8Array, at: number): number =>
  ((body[at] ?? 0) << 24) | ((body[at + 1] ?? 0) << 16) | ((body[at + 2] ?? 0) << 8) | (body[at + 3] ?? 0);

/** Whether the two requests are equal. */
export function isSameRequest(
  a: { readonly opcode: number; readonly body: Uint8Array },
  b: { readonly opcode: number; readonly body: Uint8Array },
): boolean {
  return a.opcode === b.opcode && equalBytes(a.body, b.body);
}

function equalBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
