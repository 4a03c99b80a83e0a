/**
 * The results of the last writes that this member applied. The tree keeps the last result of each session; a client whose
 * connection broke with several writes under way asks for the earlier ones too. They are not replicated: a write whose result is
 * not here any more is answered XID_TOO_OLD.
 *
 * Each result has the fingerprint of its request, if this member knows it; see {@link fingerprintOf}.
 *
 * The results are bytes in two halves. When the younger half is full, the older one is emptied and takes its place. So a write
 * allocates nothing, and leaves nothing for the garbage collector.
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

  /** undefined: it is not in this half. */
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

  /** @returns whether the write is here */
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
 * The results of the last writes that were applied, found by session and number.
 *
 * Invariant: it holds at least the last {@link RECENT_RESULTS_MAX} results, or {@link RECENT_RESULTS_BYTES_MAX} of them, and at most twice as many.
 */
export class RecentResults {
  #younger: Half | undefined;
  #older: Half | undefined;

  /** Takes the result of a write that was numbered by its session. */
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

  /** undefined: it is forgotten, or never was. */
  find(session: SessionId, xid: number): KnownResult | undefined {
    return this.#younger?.find(session, xid) ?? this.#older?.find(session, xid);
  }

  /** Of the request that had this number; {@link NOT_KNOWN} too when its result is forgotten. */
  fingerprintOf(session: SessionId, xid: number): Fingerprint {
    return (
      this.#younger?.fingerprintOf(session, xid) || (this.#older?.fingerprintOf(session, xid) ?? NOT_KNOWN)
    );
  }

  /** A result that is forgotten has none. The last result is found at once. */
  setFingerprint(session: SessionId, xid: number, fingerprint: Fingerprint): void {
    if (this.#younger?.setFingerprint(session, xid, fingerprint) !== true) {
      this.#older?.setFingerprint(session, xid, fingerprint);
    }
  }
}
