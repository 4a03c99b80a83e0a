/**
 * Fingerprints of requests: is a write that comes under a used number the one that had it? Kept in memory beside the
 * result, by the members that saw the request's bytes; nothing of it is stored or sent.
 */
import { crc32c } from "../hash/crc32c.ts";
import type { Zxid } from "../zab/zxid.ts";
import type { SessionId, TxnHeader } from "../znode/types.ts";

/** Of a request: its body's length · 2³² + CRC-32C of opcode and body; a whole number. */
export type Fingerprint = number;

/** What no request has. */
export const NOT_KNOWN: Fingerprint = 0;

/** A longer body counts as of this length: the number stays exact. */
const LENGTH_MAX = 0x1f_ffff;

/** @param opcode ZooKeeper's, not 0 */
export const fingerprintOf = (opcode: number, body: Uint8Array): Fingerprint =>
  Math.min(body.length, LENGTH_MAX) * 0x1_0000_0000 + crc32c(body, 0, body.length, opcode);

/** Session, xid, epoch, counter and fingerprint. */
const WIDTH = 5;

/**
 * The fingerprints of writes that this member has prepared as the leader and not applied yet, in the order of their zxids.
 * A zxid belongs to one txn, so a fingerprint that is found by it is certainly that of the txn's request, also when another
 * member leads by then.
 */
export class PreparedFingerprints {
  #fields = new Float64Array(64 * WIDTH);
  #start = 0;
  #end = 0;

  add({ session, xid, zxid }: TxnHeader, fingerprint: Fingerprint): void {
    if (this.#end === this.#fields.length) this.#makeRoom();
    const fields = this.#fields;
    fields[this.#end++] = session;
    fields[this.#end++] = xid;
    fields[this.#end++] = zxid.epoch;
    fields[this.#end++] = zxid.counter;
    fields[this.#end++] = fingerprint;
  }

  /** Takes out what is there up to this zxid. @returns the fingerprint of its txn, or {@link NOT_KNOWN} */
  take({ epoch, counter }: Zxid): Fingerprint {
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
