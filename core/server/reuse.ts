/**
 * Was a number of a session used for another write before? A member that saw the first request knows its fingerprint
 * (`fingerprint.ts`); this is for the others. What a session did last is replicated as its result, without the request; whether a request can have had that result follows from the result and the tree. What cannot be told is believed:
 * the same path may have been written again since, and a refusal does not say what was refused.
 *
 * A number belongs to its session here. A protocol whose clients begin at 0 on every connection has to number per connection:
 * the connection's name ({@link ConnectionId}) travels with every forwarded write and can be made part of what is compared.
 */
import { OpCode } from "../wire/jute/opcodes.ts";
import type { DecodedWrite } from "../wire/jute/requests.ts";
import { compareZxid, equalZxid, type Zxid } from "../zab/zxid.ts";
import type { ZnodeTree } from "../znode/tree.ts";
import { CreateMode, type Txn, type WriteResult } from "../znode/types.ts";

/** Digits of a sequence number. */
const SEQUENCE_DIGITS = 10;

/** What a write did: its result, and the zxid of its txn. */
interface Done {
  readonly zxid: Zxid;
  readonly result: WriteResult;
}

/** True: this request certainly is not the one that had this result. */
export function isAnotherWrite(request: DecodedWrite, { zxid, result }: Done, tree: ZnodeTree): boolean {
  if (result.type === "error") return false;
  if ("code" in request) return true;
  if (request.type === "multi") {
    // A multi that was refused has as many results as operations too.
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
    default:
      return false;
  }
}

/** Its data are those that the txn at `zxid` gave it. */
const isUntouched = (node: { readonly mzxid: Zxid } | undefined, zxid: Zxid): boolean =>
  node !== undefined && equalZxid(node.mzxid, zxid);

const isSequential = (mode: CreateMode): boolean =>
  mode === CreateMode.PERSISTENT_SEQUENTIAL || mode === CreateMode.EPHEMERAL_SEQUENTIAL;

const isPathOf = (asked: string, made: string, mode: CreateMode): boolean =>
  isSequential(mode)
    ? made.length === asked.length + SEQUENCE_DIGITS && made.startsWith(asked)
    : made === asked;

/** True: the write with this opcode and body cannot have become this txn. For every write that is answered, so it is cheap. */
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
    default:
      return false;
  }
}

/** Does the body begin with this path? @param orPrefix or with what it begins with: it was numbered */
function beginsWith(body: Uint8Array, path: string, orPrefix: boolean): boolean {
  if (body.length < 4) return false;
  const bytes = i32At(body, 0);
  for (let i = 0; i < bytes; i++) {
    const unit = path.charCodeAt(i);
    // Beyond ASCII bytes and code units differ: what cannot be compared cheaply is believed.
    if (unit > 127) return true;
    if (unit !== body[i + 4]) return false;
  }
  return bytes === path.length || (orPrefix && path.length === bytes + SEQUENCE_DIGITS);
}

/** Are these the data behind the body's path? jute: a length, −1 for null, and the bytes */
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

/** Are these two requests the same? */
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
