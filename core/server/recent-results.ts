/**
 * The results of the last writes that this member applied. The tree keeps the last result of each session; a client whose
 * connection broke with several outstanding writes repeats the earlier ones too. The results are not replicated: a write
 * whose result was evicted is answered XID_TOO_OLD.
 *
 * Each result has the fingerprint of its request, if this member knows it; see {@link fingerprintOf}.
 *
 * The results are stored as bytes in two halves. When the younger half is full, the older one is emptied and becomes the
 * younger one. So a write allocates nothing, and the garbage collector has nothing to collect.
 */
import { ByteReader } from "../wire/reader.ts";
import { readResult, writeResult } from "../wire/result-codec.ts";
import { ByteWriter } from "../wire/writer.ts";
import { asEpoch, type Zxid } from "../zab/zxid.ts";
import type { SessionId, TxnHeader, WriteResult } from "../znode/types.ts";
import { RECENT_RESULTS_BYTES_MAX, RECENT_RESULTS_MAX } from "./config.ts";
import { type Fingerprint, NOT_KNOWN } from "./fingerprint.ts";

/** A result with the zxid of its txn. */
export interface KnownResult {
  readonly zxid: Zxid;
  readonly result: WriteResult;
}

/** Results in the order in which they were added, searched from the newest. Invariant: the arrays are parallel. */
class Half {
  readonly #sessions = new Float64Array(RECENT_RESULTS_MAX);
  readonly #xids = new Int32Array(RECENT_RESULTS_MAX);
  readonly #starts = new Int32Array(RECENT_RESULTS_MAX);
  readonly #fingerprints = new Float64Array(RECENT_RESULTS_MAX);
  readonly #writer = new ByteWriter(4096);
  #count = 0;

  get full(): boolean {
    return this.#count === RECENT_RESULTS_MAX || this.#writer.length >= RECENT_RESULTS_BYTES_MAX;
  }

  add(header: TxnHeader, result: WriteResult, fingerprint: Fingerprint): void {
    const at = this.#count++;
    this.#fingerprints[at] = fingerprint;
    this.#sessions[at] = header.session;
    this.#xids[at] = header.xid;
    this.#starts[at] = this.#writer.length;
    this.#writer.u32pair(header.zxid.epoch, header.zxid.counter);
    writeResult(this.#writer, result);
  }

  /** The result of a write; undefined if it is not in this half. */
  find(session: SessionId, xid: number): KnownResult | undefined {
    const at = this.#indexOf(session, xid);
    if (at < 0) return undefined;
    const reader = new ByteReader(this.#writer.view(), this.#starts[at]);
    const zxid = { epoch: asEpoch(reader.u32()), counter: reader.u32() };
    const result = readResult(reader);
    return result === null ? undefined : { zxid, result };
  }

  fingerprintOf(session: SessionId, xid: number): Fingerprint {
    return this.#fingerprints[this.#indexOf(session, xid)] ?? NOT_KNOWN;
  }

  /** Sets the fingerprint of a write. @returns whether the write is in this half */
  setFingerprint(session: SessionId, xid: number, fingerprint: Fingerprint): boolean {
    const at = this.#indexOf(session, xid);
    if (at >= 0) this.#fingerprints[at] = fingerprint;
    return at >= 0;
  }

  #indexOf(session: SessionId, xid: number): number {
    for (let at = this.#count - 1; at >= 0; at--) {
      if (this.#xids[at] === xid && this.#sessions[at] === session) return at;
    }
    return -1;
  }

  clear(): void {
    this.#count = 0;
    this.#writer.reset();
  }
}

/**
 * The results of the last writes that were applied, by session and number.
 *
 * Invariant: it contains at least the last {@link RECENT_RESULTS_MAX} results, or the last {@link RECENT_RESULTS_BYTES_MAX}
 * bytes of results, and at most twice as much.
 */
export class RecentResults {
  #younger: Half | undefined;
  #older: Half | undefined;

  /** Adds the result of a numbered write. */
  add(header: TxnHeader, result: WriteResult, fingerprint: Fingerprint): void {
    this.#younger ??= new Half();
    if (this.#younger.full) {
      const emptied = this.#older ?? new Half();
      emptied.clear();
      this.#older = this.#younger;
      this.#younger = emptied;
    }
    this.#younger.add(header, result, fingerprint);
  }

  /** The result of a write; undefined if it was evicted, or never added. */
  find(session: SessionId, xid: number): KnownResult | undefined {
    return this.#younger?.find(session, xid) ?? this.#older?.find(session, xid);
  }

  /** Fingerprint of the request that had this number; {@link NOT_KNOWN} also if its result was evicted. */
  fingerprintOf(session: SessionId, xid: number): Fingerprint {
    return (
      this.#younger?.fingerprintOf(session, xid) || (this.#older?.fingerprintOf(session, xid) ?? NOT_KNOWN)
    );
  }

  /** Sets the fingerprint of a write, unless its result was evicted. The search begins with the last result. */
  setFingerprint(session: SessionId, xid: number, fingerprint: Fingerprint): void {
    if (this.#younger?.setFingerprint(session, xid, fingerprint) !== true) {
      this.#older?.setFingerprint(session, xid, fingerprint);
    }
  }
}
