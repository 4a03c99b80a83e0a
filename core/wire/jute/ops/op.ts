/**
 * The codec of one op: its request and its reply, on their own and as a part of a multi. One op is one file beside this one,
 * and one line in `table.ts`, or in `parts.ts` if it may be part of a multi.
 *
 * Methods, not properties: TypeScript then accepts the codec of one request where the table is called with any, as long as
 * the table is typed by the type of the request.
 */
import type { ZooErrorCode } from "../../../errors.ts";
import type {
  ChangeResult,
  MultiRequestOp,
  ReadOutcome,
  ReadRequest,
  Stat,
  WriteRequest,
  WriteResult,
} from "../../../znode/types.ts";
import type { SeenWatches } from "../../../znode/watch.ts";
import type { ByteReader } from "../../reader.ts";
import type { ByteWriter } from "../../writer.ts";
import type { OpCode } from "../opcodes.ts";

/** A decoded request of a client. */
export type ClientRequest =
  | { readonly kind: "write"; readonly request: WriteRequest }
  | { readonly kind: "read"; readonly request: ReadRequest }
  | { readonly kind: "ping" }
  | { readonly kind: "setWatches"; readonly watches: SeenWatches }
  /** decodable, and refused before it is checked against the tree */
  | { readonly kind: "refused"; readonly code: ZooErrorCode }
  /** unknown or unsupported operation: the server answers UNIMPLEMENTED with zxid −1 and closes the connection */
  | { readonly kind: "unknown" };

/** A write, or why it is refused before it is checked against the tree. */
export type DecodedWrite = WriteRequest | { readonly code: ZooErrorCode };

/** The content of a reply without an error. A sync echoes the path of its request, which its txn does not contain. */
export type ReplyBody =
  | Exclude<WriteResult | ReadOutcome, { type: "sync" }>
  | { readonly type: "sync"; readonly path: string }
  | { readonly type: "setWatches" };

/** A reply as the client decodes it. getChildren without a Stat has only the names. */
export type Reply =
  | WriteResult
  | Exclude<ReadOutcome, { type: "getChildren" }>
  | { readonly type: "getChildren"; readonly children: readonly string[]; readonly stat: Stat | null }
  | { readonly type: "empty" };

/** Writes lists of children. */
export interface NamesWriter {
  write(writer: ByteWriter, names: readonly string[]): void;
}

/** Writes a request: used by the SDK, and by members that forward writes. */
export interface RequestWriter<
  Request extends WriteRequest | ReadRequest | MultiRequestOp = WriteRequest | ReadRequest | MultiRequestOp,
> {
  /** the opcode of the request, which the reader of the reply needs */
  opcodeOf(request: Request): OpCode;
  /** Writes the record that follows the header. */
  writeRequest(writer: ByteWriter, request: Request): void;
}

/** Writes the record that follows the header of a reply without an error. */
export interface ReplyWriter<Body extends ReplyBody = ReplyBody> {
  /** @param opcode of the request, if it is a read: some differ in their reply alone */
  writeReply(writer: ByteWriter, body: Body, opcode: number, names: NamesWriter): void;
}

interface ReplyReader {
  /** Reads the record that follows the header of a reply without an error. Data are views. @throws WireError */
  readReply(reader: ByteReader, opcode: number): Reply;
}

/** A write of clients. Its record is forwarded to the leader unchanged, and only the leader decodes it. */
export interface WriteCodec extends ReplyReader {
  readonly kind: "write";
  /** Data are views of the message. @throws WireError */
  readRequest(reader: ByteReader, opcode: number): DecodedWrite;
}

/** A read, answered from the tree of the member that receives it. */
export interface ReadCodec extends ReplyReader {
  readonly kind: "read";
  /** @throws WireError */
  readRequest(reader: ByteReader, opcode: number): ReadRequest;
}

/** The server's handling of an opcode. */
export type OpCodec =
  | WriteCodec
  | ReadCodec
  | (ReplyReader & { readonly kind: "ping" })
  | (ReplyReader & { readonly kind: "setWatches"; readRequest(reader: ByteReader): SeenWatches })
  /** a write that only members make */
  | { readonly kind: "internal"; readRequest(reader: ByteReader): WriteRequest }
  /** known and unsupported: refused */
  | { readonly kind: "refused"; readonly code: ZooErrorCode }
  /** ends the connection */
  | { readonly kind: "unknown" };

/** An op as a part of a multi. */
export interface PartReader {
  /** Data are views of the message. @throws WireError */
  readPart(reader: ByteReader, opcode: number): MultiRequestOp;
}

/** The result of a part, as it stands in the answer of a multi. */
export interface ResultWriter<Result extends ChangeResult = ChangeResult> {
  /** type of the result; −1 for an error */
  readonly resultType: number;
  /** Writes the body that follows the header of the result. */
  writeResult(writer: ByteWriter, result: Result): void;
}

/** Reads the body of a result. */
export interface ResultReader {
  /** @param type of the result */
  readResult(reader: ByteReader, type: number): ChangeResult;
}

/** Writes nothing: a record without fields. */
export const writeNothing = (): void => {};
