/** What synchronization has brought a learner so far, beside its history. */
import { assert } from "../assert.ts";
import type { OwnTree } from "./digests.ts";
import type { DurableWrite } from "./effects.ts";
import type { History } from "./history.ts";
import { type LogEntry, makeEntry } from "./log-entry.ts";
import type { LogPosition, Proposal, SnapChunk } from "./messages.ts";
import { samePosition } from "./txn-log.ts";
import { equalZxid, type Zxid } from "./zxid.ts";

/**
 * A history under construction: ours, cut back or replaced by a snapshot, and the entries that follow.
 * Invariant: entries continue each other from `tail` on, and nothing of it is our history before {@link adopt}.
 *
 * @source ZooKeeper Learner.syncWithLeader (packetsNotLogged, snapshotNeeded); ZOOKEEPER-3642, 3911, 4643
 */
export class Staging {
  /** our log is cut back to here first */
  #truncateTo: LogPosition | null = null;
  /** a whole state replaces ours first */
  #snapshot: { readonly at: LogPosition; nextIndex: number; done: boolean } | null = null;
  #tail: LogPosition;
  readonly #entries: LogEntry[] = [];

  /** @param lastLogged where our history ends */
  constructor(lastLogged: LogPosition) {
    this.#tail = lastLogged;
  }

  /** Where the history ends so far. */
  get tail(): LogPosition {
    return this.#tail;
  }

  /** Only the end of our history has been moved so far. */
  get mayTruncate(): boolean {
    return this.#entries.length === 0 && this.#snapshot === null;
  }

  /** Cuts our history back. @param to an entry of our log */
  truncate(to: LogPosition): void {
    assert(this.mayTruncate, "a history is cut back before anything is added to it");
    this.#truncateTo = to;
    this.#tail = to;
  }

  /** A snapshot begins. @returns false when entries are staged already */
  startSnapshot(at: LogPosition): boolean {
    if (this.#entries.length > 0) return false;
    this.#truncateTo = null;
    this.#snapshot = { at, nextIndex: 0, done: false };
    this.#tail = at;
    return true;
  }

  /** A chunk of the snapshot. @returns false when it is not the next one */
  addChunk({ index, done }: SnapChunk): boolean {
    const snapshot = this.#snapshot;
    if (snapshot === null || snapshot.done || index !== snapshot.nextIndex) return false;
    snapshot.nextIndex += 1;
    snapshot.done = done;
    return true;
  }

  /** Entries. @returns false when they do not continue what is staged, or the snapshot is not complete */
  addProposal(message: Proposal): boolean {
    if (this.#snapshot?.done === false) return false;
    const entry = continueLog(this.#tail, message);
    if (entry === undefined) return false;
    this.#entries.push(entry);
    this.#tail = { zxid: entry.last, chain: entry.chain };
    return true;
  }

  /** Is this the history that ends at `last`, whole? */
  isComplete(last: Zxid): boolean {
    if (!equalZxid(this.#tail.zxid, last)) return false;
    return this.#snapshot?.done !== false;
  }

  /** zxid of the snapshot; undefined: there is none. */
  get snapshotZxid(): Zxid | undefined {
    return this.#snapshot?.at.zxid;
  }

  /** Makes it our history. @returns the writes, which must be durable together */
  adopt(history: History, tree: OwnTree): DurableWrite[] {
    assert(this.#snapshot?.done !== false, "a snapshot is complete before it replaces a tree");
    const writes: DurableWrite[] = [];
    if (this.#snapshot !== null) {
      writes.push({ type: "snapshotSwitch", ...this.#snapshot.at });
      history.restart(this.#snapshot.at);
      tree.replaced();
    } else if (this.#truncateTo !== null && !samePosition(this.#truncateTo, history.lastLogged)) {
      writes.push({ type: "truncate", to: this.#truncateTo.zxid });
      history.truncate(this.#truncateTo);
    }
    for (const entry of this.#entries) writes.push(history.append(entry));
    return writes;
  }
}

/** The proposal as an entry behind `tail`; undefined when it does not continue it. */
export function continueLog(tail: LogPosition, message: Proposal): LogEntry | undefined {
  if (!samePosition(tail, message.prev)) return undefined;
  const entry = makeEntry(tail, message.batch);
  return entry !== undefined && equalZxid(entry.last, message.last) ? entry : undefined;
}
