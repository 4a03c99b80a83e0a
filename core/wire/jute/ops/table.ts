/** The ops of ZooKeeper's protocol. An op without a line where its opcode or type is asked for does not compile. */
import type { ReadRequest, WriteRequest } from "../../../znode/types.ts";
import { OpCode } from "../opcodes.ts";
import { check } from "./check.ts";
import { closeSession } from "./close-session.ts";
import { create } from "./create.ts";
import { createContainer } from "./create-container.ts";
import { createSession } from "./create-session.ts";
import { createTtl } from "./create-ttl.ts";
import { deleteOp } from "./delete.ts";
import { error } from "./error.ts";
import { exists } from "./exists.ts";
import { getChildren } from "./get-children.ts";
import { getData } from "./get-data.ts";
import { getEphemerals } from "./get-ephemerals.ts";
import { multi } from "./multi.ts";
import type { OpCodec, ReplyBody, ReplyWriter, RequestWriter } from "./op.ts";
import { ping } from "./ping.ts";
import { setData } from "./set-data.ts";
import { setWatches } from "./set-watches.ts";
import { sync } from "./sync.ts";
import { unbuiltRead, unbuiltWrite, unknown } from "./unbuilt.ts";

/** Every opcode, as a request of a client. */
const OPS: Readonly<Record<OpCode, OpCodec>> = {
  [OpCode.CREATE]: create,
  [OpCode.CREATE2]: create,
  [OpCode.CREATE_CONTAINER]: createContainer,
  [OpCode.CREATE_TTL]: createTtl,
  [OpCode.DELETE]: deleteOp,
  [OpCode.SET_DATA]: setData,
  [OpCode.SET_ACL]: unbuiltWrite,
  [OpCode.MULTI]: multi,
  [OpCode.SYNC]: sync,
  [OpCode.CREATE_SESSION]: createSession,
  [OpCode.CLOSE_SESSION]: closeSession,
  [OpCode.EXISTS]: exists,
  [OpCode.GET_DATA]: getData,
  [OpCode.GET_CHILDREN]: getChildren,
  [OpCode.GET_CHILDREN2]: getChildren,
  [OpCode.GET_EPHEMERALS]: getEphemerals,
  [OpCode.GET_ACL]: unbuiltRead,
  [OpCode.PING]: ping,
  [OpCode.SET_WATCHES]: setWatches,
  // part of a multi, or of a reply, only
  [OpCode.CHECK]: unknown,
  [OpCode.ERROR]: unknown,
  [OpCode.NOTIFICATION]: unknown,
  // of the servers alone
  [OpCode.DELETE_CONTAINER]: unknown,
  // not built
  [OpCode.RECONFIG]: unknown,
  [OpCode.CHECK_WATCHES]: unknown,
  [OpCode.REMOVE_WATCHES]: unknown,
  [OpCode.MULTI_READ]: unknown,
  [OpCode.AUTH]: unknown,
  [OpCode.SASL]: unknown,
  [OpCode.GET_ALL_CHILDREN_NUMBER]: unknown,
  [OpCode.SET_WATCHES2]: unknown,
  [OpCode.ADD_WATCH]: unknown,
  [OpCode.WHO_AM_I]: unknown,
};

const LOWEST = Math.min(...Object.values(OpCode));

/** {@link OPS} from {@link LOWEST} on: an array is found without hashing a number. */
const BY_OPCODE: readonly OpCodec[] = Array.from(
  { length: Math.max(...Object.values(OpCode)) - LOWEST + 1 },
  (_, index) => OPS[(index + LOWEST) as OpCode] ?? unknown,
);

/** The op of an opcode, which may be any number. */
export const opOf = (opcode: number): OpCodec => BY_OPCODE[opcode - LOWEST] ?? unknown;

/** How a request is written, by its type. */
export const REQUEST_WRITERS: {
  readonly [T in (WriteRequest | ReadRequest)["type"]]: RequestWriter<
    Extract<WriteRequest | ReadRequest, { type: T }>
  >;
} = {
  create,
  delete: deleteOp,
  setData,
  multi,
  sync,
  createSession,
  closeSession,
  exists,
  getData,
  getChildren,
  getEphemerals,
};

/** How a reply without an error is written, by its type. */
export const REPLY_WRITERS: {
  readonly [T in ReplyBody["type"]]: ReplyWriter<Extract<ReplyBody, { type: T }>>;
} = {
  create,
  delete: deleteOp,
  setData,
  check,
  multi,
  sync,
  createSession,
  closeSession,
  exists,
  getData,
  getChildren,
  getEphemerals,
  setWatches,
  error,
};
