/** The history of a peer: its log, how far that is durable and committed, and what of it is handed over to be applied. */
import { assert } from "../assert.ts";
import type { DurableWrite } from "./effects.ts";
import type { LogEntry } from "./log-entry.ts";
import type { LogPosition } from "./messages.ts";
import type { Step } from "./step.ts";
import type { RecoveredState } from "./storage.ts";
import { splitAfter } from "./txn-batch.ts";
import type { TxnLogReader } from "./txn-log.ts";
import { compareZxid, minZxid, type Zxid } from "./zxid.ts";

/** Txns in the log that are not delivered yet: those of `batch` from `offset` on. */
interface PendingBatch {
  readonly batch: Uint8Array;
  offset: number;
  readonly last: Zxid;
}

/**
 * The history of one peer as Zab sees it. The log itself is written by the shell, by the persist effects; this part knows what
 * it will hold.
 * Invariant: lastProcessedZxid ≤ lastCommittedZxid ≤ lastLoggedZxid, lastProcessedZxid ≤ lastDurableZxid ≤ lastLoggedZxid, and
 * what is pending is the log behind lastProcessedZxid.
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
    assert(compareZxid(recovered.applied, this.lastLogged.zxid) <= 0, "only what is logged is applied");
    for (let slice = log.read(recovered.applied); slice !== undefined; slice = log.read(slice.last)) {
      this.#pending.push({ batch: slice.batch, offset: 0, last: slice.last });
    }
  }

  /** End of the log, with what this step appends. */
  get lastLogged(): LogPosition {
    return this.#lastLogged;
  }

  /** End of what is durable here. */
  get lastDurableZxid(): Zxid {
    return this.#lastDurableZxid;
  }

  /** The highest zxid that is known here to be committed. */
  get lastCommittedZxid(): Zxid {
    return this.#lastCommittedZxid;
  }

  /** End of what was handed over to be applied. */
  get lastProcessedZxid(): Zxid {
    return this.#lastProcessedZxid;
  }

  /** This history cannot be built on: only a SNAP helps, and this peer cannot lead. */
  get needSnap(): boolean {
    return this.#needSnap;
  }

  /** Appends an entry. @returns the write, which the caller persists with the next persist effect */
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

  /** Everything up to this persist effect is durable. */
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

  /** This history cannot be built on. That survives a crash, and ends when a SNAP replaces the history. */
  requireSnap(): void {
    if (this.#needSnap) return;
    this.#needSnap = true;
    this.#step.persist([{ type: "needSnap" }]);
  }

  /** Cuts off everything after `to`, an entry of the log. */
  truncate(to: LogPosition): void {
    assert(compareZxid(to.zxid, this.#lastProcessedZxid) >= 0, "what is delivered is never taken back");
    assert(compareZxid(to.zxid, this.#lastLogged.zxid) <= 0, "a history is cut back, not extended");
    this.#lastLogged = to;
    // What was durable of the history that is given up says nothing about the one that follows.
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

  /** The tree is a received snapshot of `at`, and the log begins there. */
  restart(at: LogPosition): void {
    this.#lastLogged = at;
    this.#lastDurableZxid = at.zxid;
    this.#persisting.length = 0;
    this.#pending = [];
    this.#lastProcessedZxid = at.zxid;
    this.#lastCommittedZxid = at.zxid;
    this.#needSnap = false;
  }

  /** Everything up to `zxid` is committed; delivers what of it is durable here. */
  commitUpTo(zxid: Zxid): void {
    if (compareZxid(zxid, this.#lastCommittedZxid) > 0) this.#lastCommittedZxid = zxid;
    this.deliver();
  }

  /** Delivers what is committed and durable: never what this peer could still lose. */
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
