/** Data of a request that its answer needs, kept until the answer is written. */
import { OpCode } from "../wire/jute/opcodes.ts";
import { SYNC_PATH } from "../wire/jute/ops/sync.ts";

/** A request that is not answered yet. */
export interface OpenRequest {
  readonly opcode: number;
  /** approximate bytes of its answer */
  readonly bytes: number;
  /** path that its answer echoes */
  readonly path: string;
}

/** Stands for a request that is not kept: a write, whose answer needs no further data. */
const WRITE: OpenRequest = { opcode: 0, bytes: 0, path: SYNC_PATH };

/**
 * *map xid → open request*, of reads and syncs only: writes are many and need no entry.
 * Invariant: `reserved` is the sum of their bytes.
 */
export class OpenRequests {
  readonly #byXid = new Map<number, OpenRequest>();
  #reserved = 0;

  /** Approximate bytes of the answers of all open requests. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Adds a read that was submitted. @param bytes approximate bytes of its answer */
  addRead(xid: number, opcode: number, bytes: number): void {
    this.#add(xid, { opcode, bytes, path: "" });
  }

  /** Adds a sync that was submitted. Its txn does not contain the path. */
  addSync(xid: number, path: string): void {
    this.#add(xid, { opcode: OpCode.SYNC, bytes: 0, path });
  }

  /** Removes and returns the request of an answer. */
  take(xid: number): OpenRequest {
    const request = this.#byXid.size === 0 ? undefined : this.#byXid.get(xid);
    if (request === undefined) return WRITE;
    this.#byXid.delete(xid);
    this.#reserved -= request.bytes;
    return request;
  }

  /** Adds a request, replacing one with the same number: a client may use a number twice. */
  #add(xid: number, request: OpenRequest): void {
    this.#reserved += request.bytes - (this.#byXid.get(xid)?.bytes ?? 0);
    this.#byXid.set(xid, request);
  }
}
