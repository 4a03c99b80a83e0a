/**
 * Fingerprints of requests. They distinguish a repeat of a write from another write under the same number. A member that
 * saw the request's bytes keeps its fingerprint in memory beside the result. A checkpoint, a SNAP and a txn of format 1
 * contain it for other members and for later incarnations, so another way to compute it needs another format of all three.
 */
import { chainHash, newLanes, viewOf } from "../hash/chain.ts";
import type { SessionId, TxnHeader } from "../znode/types.ts";

/** Fingerprint of a request: 53 bits of a hash of its opcode and body, never {@link NOT_KNOWN}. */
export type Fingerprint = number;

/** Stands for an unknown fingerprint; no request has it. */
export const NOT_KNOWN: Fingerprint = 0;

const lanes = newLanes();

/** The fingerprint of a request. @param opcode ZooKeeper's @param body jute record of the opcode */
export const fingerprintOf = (opcode: number, body: Uint8Array): Fingerprint =>
  fingerprintIn(opcode, viewOf(body), 0, body.length);

/** The same for a body at `[start, end)` of a message: one view is enough for all requests of the message. */
export function fingerprintIn(opcode: number, message: DataView, start: number, end: number): Fingerprint {
  chainHash(opcode, 0, message, start, end, lanes);
  const first = lanes[0] as number;
  const second = lanes[1] as number;
  return (first >>> 0) * 2 ** 21 + (second >>> 11) || 1;
}

/** Numbers per entry: session, xid, epoch, counter and fingerprint. */
const WIDTH = 5;

/**
 * The fingerprints of writes that this member has prepared as the leader and not applied yet, in the order of their zxids.
 * A zxid belongs to one txn, so the fingerprint found by a zxid is that of the txn's request, even if another member leads by then.
 *
 * Invariant: the entries are in `[#start, #end)`, {@link WIDTH} numbers each, with rising zxids.
 */
export class PreparedFingerprints {
  #fields = new Float64Array(64 * WIDTH);
  #start = 0;
  #end = 0;

  /** Adds a prepared write; zxids rise. */
  add({ session, xid, zxid }: TxnHeader, fingerprint: Fingerprint): void {
    if (this.#end === this.#fields.length) this.#makeRoom();
    const fields = this.#fields;
    fields[this.#end++] = session;
    fields[this.#end++] = xid;
    fields[this.#end++] = zxid.epoch;
    fields[this.#end++] = zxid.counter;
    fields[this.#end++] = fingerprint;
  }

  /** Removes the entries up to this zxid. @returns the fingerprint of its txn, or {@link NOT_KNOWN} */
  take({ epoch, counter }: { readonly epoch: number; readonly counter: number }): Fingerprint {
    const fields = this.#fields;
    let found = NOT_KNOWN;
    while (this.#start < this.#end) {
      const at = this.#start;
      const ofEpoch = fields[at + 2] ?? 0;
      const ofCounter = fields[at + 3] ?? 0;
      if (ofEpoch > epoch || (ofEpoch === epoch && ofCounter > counter)) break;
      if (ofEpoch === epoch && ofCounter === counter) found = fields[at + 4] ?? NOT_KNOWN;
      this.#start += WIDTH;
    }
    if (this.#start === this.#end) this.clear();
    return found;
  }

  /** The newest fingerprint under this number of the session, or {@link NOT_KNOWN}. */
  find(session: SessionId, xid: number): Fingerprint {
    for (let at = this.#end - WIDTH; at >= this.#start; at -= WIDTH) {
      if (this.#fields[at] === session && this.#fields[at + 1] === xid)
        return this.#fields[at + 4] ?? NOT_KNOWN;
    }
    return NOT_KNOWN;
  }

  clear(): void {
    this.#start = 0;
    this.#end = 0;
  }

  #makeRoom(): void {
    const kept = this.#fields.subarray(this.#start, this.#end);
    const isHalfEmpty = kept.length * 2 <= this.#fields.length;
    const fields = isHalfEmpty ? this.#fields : new Float64Array(this.#fields.length * 2);
    fields.set(kept);
    this.#fields = fields;
    this.#start = 0;
    this.#end = kept.length;
  }
}
