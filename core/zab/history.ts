/** The history of a peer: its log, how far the log is durable and committed, and how far it was delivered. */
import { assert } from "../assert.ts";
import type { DurableWrite } from "./effects.ts";
import type { LogEntry } from "./log-entry.ts";
import type { LogPosition } from "./messages.ts";
import type { Step } from "./step.ts";
import type { RecoveredState } from "./storage.ts";
import { splitAfter } from "./txn-batch.ts";
import type { TxnLogReader } from "./txn-log.ts";
import { compareZxid, minZxid, type Zxid } from "./zxid.ts";

/** Logged txns that are not delivered yet: those of `batch` from `offset` on. */
interface PendingBatch {
  readonly batch: Uint8Array;
  offset: number;
  readonly last: Zxid;
}

/**
 * The history of one peer as Zab sees it. The shell writes the log itself, by persist effects; this part knows what the log
 * will contain.
 * Invariant: lastProcessedZxid ≤ lastCommittedZxid ≤ lastLoggedZxid, lastProcessedZxid ≤ lastDurableZxid ≤ lastLoggedZxid,
 * and the pending batches are the log after lastProcessedZxid.
 *
 * @source Zab, DSN 2011: the history h of a process; ZooKeeper ZKDatabase, CommitProcessor; etcd-raft raftLog
 */
export class History {
  readonly #step: Step;
  readonly log: TxnLogReader;
  #lastLogged: LogPosition;
  #lastDurableZxid: Zxid;
  #lastCommittedZxid: Zxid;
  #lastProcessedZxid: Zxid;
  #needSnap: boolean;
  /** *number of a persist effect → end of the log once it is durable*, ascending */
  readonly #persisting: { readonly seq: number; tail: Zxid }[] = [];
  #pending: PendingBatch[] = [];

  constructor(step: Step, log: TxnLogReader, recovered: RecoveredState) {
    this.#step = step;
    this.log = log;
    this.#lastLogged = log.last;
    this.#lastDurableZxid = log.last.zxid;
    this.#lastCommittedZxid = recovered.applied;
    this.#lastProcessedZxid = recovered.applied;
    this.#needSnap = recovered.needSnap;
    assert(this.lastLogged.zxid.epoch <= recovered.currentEpoch, "the log ends within currentEpoch");
    assert(compareZxid(recovered.applied, this.lastLogged.zxid) <= 0, "the applied state is within the log");
    for (let slice = log.read(recovered.applied); slice !== undefined; slice = log.read(slice.last)) {
      this.#pending.push({ batch: slice.batch, offset: 0, last: slice.last });
    }
  }

  /** End of the log, including what the current step has appended. */
  get lastLogged(): LogPosition {
    return this.#lastLogged;
  }

  /** Last zxid that is durable in this peer's storage. */
  get lastDurableZxid(): Zxid {
    return this.#lastDurableZxid;
  }

  /** The highest zxid known to be committed. */
  get lastCommittedZxid(): Zxid {
    return this.#lastCommittedZxid;
  }

  /** The last zxid that was delivered, to be applied. */
  get lastProcessedZxid(): Zxid {
    return this.#lastProcessedZxid;
  }

  /** Whether this history is unusable: only a SNAP replaces it, and this peer cannot lead. */
  get needSnap(): boolean {
    return this.#needSnap;
  }

  /** Appends an entry. @returns the write; the caller adds it to the next persist effect */
  append(entry: LogEntry): DurableWrite {
    assert(compareZxid(entry.first, this.lastLogged.zxid) > 0, "an entry continues the history");
    this.#lastLogged = { zxid: entry.last, chain: entry.chain };
    this.#pending.push({ batch: entry.batch, offset: 0, last: entry.last });
    this.#persisting.push({ seq: this.#step.nextSeq, tail: entry.last });
    return {
      type: "append",
      batch: entry.batch,
      first: entry.first,
      last: entry.last,
      count: entry.count,
      chain: entry.chain,
      committed: minZxid(this.#lastCommittedZxid, entry.last),
    };
  }

  /** Records that everything up to this persist effect is durable. */
  persisted(seq: number): void {
    for (
      let first = this.#persisting[0];
      first !== undefined && first.seq <= seq;
      first = this.#persisting[0]
    ) {
      this.#persisting.shift();
      this.#lastDurableZxid = first.tail;
    }
  }

  /** Marks this history as unusable. The mark survives a crash, and is cleared when a SNAP replaces the history. */
  requireSnap(): void {
    if (this.#needSnap) return;
    this.#needSnap = true;
    this.#step.persist([{ type: "needSnap" }]);
  }

  /** Truncates the log after `to`, one of its entries. */
  truncate(to: LogPosition): void {
    assert(compareZxid(to.zxid, this.#lastProcessedZxid) >= 0, "a delivered txn is never truncated");
    assert(compareZxid(to.zxid, this.#lastLogged.zxid) <= 0, "a truncation does not extend the log");
    this.#lastLogged = to;
    // The durable part of the truncated history says nothing about the entries that follow.
    this.#lastDurableZxid = minZxid(this.#lastDurableZxid, to.zxid);
    for (const waiting of this.#persisting) waiting.tail = minZxid(waiting.tail, to.zxid);
    const kept: PendingBatch[] = [];
    for (const pending of this.#pending) {
      if (compareZxid(pending.last, to.zxid) <= 0) kept.push(pending);
      else {
        const end = splitAfter(pending.batch, to.zxid);
        if (end > pending.offset) {
          kept.push({ batch: pending.batch.slice(0, end), offset: pending.offset, last: to.zxid });
        }
        break;
      }
    }
    this.#pending = kept;
  }

  /** Restarts the history at `at`, the position of a received snapshot that is now the tree. */
  restart(at: LogPosition): void {
    this.#lastLogged = at;
    this.#lastDurableZxid = at.zxid;
    this.#persisting.length = 0;
    this.#pending = [];
    this.#lastProcessedZxid = at.zxid;
    this.#lastCommittedZxid = at.zxid;
    this.#needSnap = false;
  }

  /** Records that everything up to `zxid` is committed, and delivers the part that is durable here. */
  commitUpTo(zxid: Zxid): void {
    if (compareZxid(zxid, this.#lastCommittedZxid) > 0) this.#lastCommittedZxid = zxid;
    this.deliver();
  }

  /** Delivers entries that are committed and durable here; never one that this peer could still lose. */
  deliver(): void {
    const upTo = minZxid(this.#lastCommittedZxid, this.#lastDurableZxid);
    while (compareZxid(this.#lastProcessedZxid, upTo) < 0) {
      const pending = this.#pending[0];
      if (pending === undefined) return;
      const { batch, offset, last } = pending;
      if (compareZxid(last, upTo) <= 0) {
        this.#pending.shift();
        this.#step.push({ type: "deliver", batch, offset, upTo: last });
        this.#lastProcessedZxid = last;
      } else {
        const end = splitAfter(batch, upTo);
        if (end > offset) {
          this.#step.push({ type: "deliver", batch, offset, upTo });
          pending.offset = end;
        }
        this.#lastProcessedZxid = upTo;
      }
    }
  }
}
