/**
 * The bodies of txns: what follows a record's header, by the type in it (jute).
 *
 * | type | body |
 * |---|---|
 * | create 1, create2 15 (answers with the Stat) | path, data, vector of ACL, bool ephemeral, i32 parentCversion |
 * | delete 2 | path |
 * | setData 5 | path, data, i32 version |
 * | check 13 | path, i32 version |
 * | sync 9 (ours) | – |
 * | multi 14 | vector of (i32 type, buffer body) |
 * | createSession −10 | i32 timeoutMs |
 * | closeSession −11 | – (the tree knows what the session owns) |
 * | error −1 | i32 code, i32 ops, i32 at (the last two are ours) |
 *
 * @source ZooKeeper `zookeeper.jute` module `org.apache.zookeeper.txn`
 */
import { ZOO_ERRORS, zooErrorOf } from "../errors.ts";
import type { MultiRequestOp, Txn } from "../znode/types.ts";
import { readOpenAcl, writeOpenAcl } from "./jute/acl.ts";
import { type ByteReader, WireError } from "./reader.ts";
import type { ByteWriter } from "./writer.ts";

/** Type numbers of txns. */
export const TxnType = {
  CREATE: 1,
  DELETE: 2,
  SET_DATA: 5,
  SYNC: 9,
  CHECK: 13,
  MULTI: 14,
  CREATE2: 15,
  CREATE_SESSION: -10,
  CLOSE_SESSION: -11,
  ERROR: -1,
} as const;
type TxnType = (typeof TxnType)[keyof typeof TxnType];

/** Operations of one multi: its result is kept in one row, and 4,096 Stats beside 1 MiB of paths are below 2 MB. */
export const MULTI_OPS_MAX = 4_096;

/** How the body of one type is written, and read under each of its type numbers. */
interface BodyCodec<T extends Txn = Txn> {
  typeOf(txn: T): TxnType;
  write(writer: ByteWriter, txn: T): void;
  /** @throws WireError */
  read(reader: ByteReader, type: number): T;
}

type TxnOf<T extends Txn["type"]> = Extract<Txn, { type: T }>;

const setData: BodyCodec<TxnOf<"setData">> = {
  typeOf: () => TxnType.SET_DATA,
  write(writer, { path, data, version }) {
    writer.string(path);
    writer.buffer(data);
    writer.i32(version);
  },
  read: (reader) => ({
    type: "setData",
    path: reader.string(),
    data: reader.buffer(),
    version: reader.i32(),
  }),
};

const create: BodyCodec<TxnOf<"create">> = {
  typeOf: ({ withStat }) => (withStat ? TxnType.CREATE2 : TxnType.CREATE),
  write(writer, { path, data, ephemeral, parentCversion }) {
    writer.string(path);
    writer.buffer(data);
    writeOpenAcl(writer);
    writer.bool(ephemeral);
    writer.i32(parentCversion);
  },
  read(reader, type) {
    const path = reader.string();
    const data = reader.buffer();
    readOpenAcl(reader);
    const withStat = type === TxnType.CREATE2;
    return { type: "create", path, data, ephemeral: reader.bool(), parentCversion: reader.i32(), withStat };
  },
};

const deleteBody: BodyCodec<TxnOf<"delete">> = {
  typeOf: () => TxnType.DELETE,
  write: (writer, { path }) => writer.string(path),
  read: (reader) => ({ type: "delete", path: reader.string() }),
};

const check: BodyCodec<TxnOf<"check">> = {
  typeOf: () => TxnType.CHECK,
  write(writer, { path, version }) {
    writer.string(path);
    writer.i32(version);
  },
  read: (reader) => ({ type: "check", path: reader.string(), version: reader.i32() }),
};

const error: BodyCodec<TxnOf<"error">> = {
  typeOf: () => TxnType.ERROR,
  write(writer, { code, ops, at }) {
    writer.i32(ZOO_ERRORS[code].number);
    writer.i32(ops);
    writer.i32(at);
  },
  read(reader) {
    const code = zooErrorOf(reader.i32());
    const ops = reader.i32();
    const at = reader.i32();
    if (ops < 0 || ops > MULTI_OPS_MAX || at < 0 || (ops > 0 && at >= ops))
      throw new WireError(`an error at ${at} of ${ops} operations`);
    return { type: "error", code, ops, at };
  },
};

const sync: BodyCodec<TxnOf<"sync">> = {
  typeOf: () => TxnType.SYNC,
  write: () => {},
  read: () => ({ type: "sync" }),
};

const createSession: BodyCodec<TxnOf<"createSession">> = {
  typeOf: () => TxnType.CREATE_SESSION,
  write: (writer, { timeoutMs }) => writer.i32(timeoutMs),
  read: (reader) => ({ type: "createSession", timeoutMs: reader.i32() }),
};

const closeSession: BodyCodec<TxnOf<"closeSession">> = {
  typeOf: () => TxnType.CLOSE_SESSION,
  write: () => {},
  read: () => ({ type: "closeSession" }),
};

const multi: BodyCodec<TxnOf<"multi">> = {
  typeOf: () => TxnType.MULTI,
  write(writer, { txns }) {
    writer.i32(txns.length);
    for (const each of txns) {
      writer.i32(typeOf(each));
      const at = writer.length;
      writer.i32(0);
      writeBody(writer, each);
      writer.patchI32(at, writer.length - at - 4);
    }
  },
  read: (reader) => ({ type: "multi", txns: readParts(reader) }),
};

/** Bodies that may be part of a multi. */
const PARTS: { readonly [T in Exclude<MultiRequestOp["type"], "refused"> | "error"]: BodyCodec<TxnOf<T>> } = {
  create,
  delete: deleteBody,
  setData,
  check,
  error,
};

/** Every body, by the type of its txn. */
const BODIES: { readonly [T in Txn["type"]]: BodyCodec<TxnOf<T>> } = {
  ...PARTS,
  multi,
  sync,
  createSession,
  closeSession,
};

/** Every type number, with its body. */
const BY_NUMBER: Readonly<Record<TxnType, BodyCodec>> = {
  [TxnType.CREATE]: create,
  [TxnType.CREATE2]: create,
  [TxnType.DELETE]: deleteBody,
  [TxnType.SET_DATA]: setData,
  [TxnType.CHECK]: check,
  [TxnType.SYNC]: sync,
  [TxnType.MULTI]: multi,
  [TxnType.CREATE_SESSION]: createSession,
  [TxnType.CLOSE_SESSION]: closeSession,
  [TxnType.ERROR]: error,
};

const LOWEST = Math.min(...Object.values(TxnType));

/** {@link BY_NUMBER} from {@link LOWEST} on: an array is found without hashing a number. */
const READERS: readonly (BodyCodec | undefined)[] = Array.from(
  { length: Math.max(...Object.values(TxnType)) - LOWEST + 1 },
  (_, index) => BY_NUMBER[(index + LOWEST) as TxnType],
);

const PART_BODIES: ReadonlySet<BodyCodec> = new Set(Object.values(PARTS));

/** The type number of a txn. */
export function typeOf(txn: Txn): TxnType {
  const body: BodyCodec = BODIES[txn.type];
  return body.typeOf(txn);
}

/** Writes the body of a txn. */
export function writeBody(writer: ByteWriter, txn: Txn): void {
  const body: BodyCodec = BODIES[txn.type];
  body.write(writer, txn);
}

/** Reads a body; data are views. @throws WireError when there is no such type, or the bytes are not its body */
export function readBody(reader: ByteReader, type: number): Txn {
  const body = READERS[type - LOWEST];
  if (body === undefined) throw new WireError(`there is no txn of type ${type}`);
  return body.read(reader, type);
}

/** The elements of a multi, which can be no session, sync or multi. */
function readParts(reader: ByteReader): Txn[] {
  const count = reader.count(8);
  if (count > MULTI_OPS_MAX) throw new WireError(`a multi of ${count} operations`);
  const outerEnd = reader.end;
  const txns: Txn[] = [];
  for (let i = 0; i < count; i++) {
    const type = reader.i32();
    const size = reader.i32();
    if (size < 0 || size > reader.left) throw new WireError("an element of a multi does not fit");
    reader.end = reader.at + size;
    const body = READERS[type - LOWEST];
    if (body === undefined || !PART_BODIES.has(body))
      throw new WireError(`a txn of type ${type} is not part of a multi`);
    txns.push(body.read(reader, type));
    if (reader.left !== 0) throw new WireError("an element of a multi is longer than its txn");
    reader.end = outerEnd;
  }
  return txns;
}
