/** What the answer of a request needs to know of it: kept from the request until the answer is written. */
import { OpCode } from "../wire/jute/opcodes.ts";
import { SYNC_PATH } from "../wire/jute/ops/sync.ts";

/** A request under way. */
export interface OpenRequest {
  readonly opcode: number;
  /** of its answer, about */
  readonly bytes: number;
  /** that its answer echoes */
  readonly path: string;
}

/** Of a request that is not noted: a write, whose answer says all. */
const WRITE: OpenRequest = { opcode: 0, bytes: 0, path: SYNC_PATH };

/**
 * *map xid → request under way*, of reads and syncs alone: writes are many, and need nothing.
 * Invariant: `reserved` is the sum of the bytes of all.
 */
export class OpenRequests {
  readonly #byXid = new Map<number, OpenRequest>();
  #reserved = 0;

  /** Bytes of the answers under way, about. */
  get reserved(): number {
    return this.#reserved;
  }

  /** A read was given to the server. @param bytes of its answer, about */
  addRead(xid: number, opcode: number, bytes: number): void {
    this.#add(xid, { opcode, bytes, path: "" });
  }

  /** A sync was given to the server. Its txn does not carry the path. */
  addSync(xid: number, path: string): void {
    this.#add(xid, { opcode: OpCode.SYNC, bytes: 0, path });
  }

  /** The request that an answer is for is under way no longer. */
  take(xid: number): OpenRequest {
    const request = this.#byXid.size === 0 ? undefined : this.#byXid.get(xid);
    if (request === undefined) return WRITE;
    this.#byXid.delete(xid);
    this.#reserved -= request.bytes;
    return request;
  }

  /** A client may use one number twice. */
  #add(xid: number, request: OpenRequest): void {
    this.#reserved += request.bytes - (this.#byXid.get(xid)?.bytes ?? 0);
    this.#byXid.set(xid, request);
  }
}
