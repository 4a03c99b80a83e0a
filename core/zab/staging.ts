/** The history that a learner receives during synchronization, before it adopts it. */
import { assert } from "../assert.ts";
import type { OwnTree } from "./digests.ts";
import type { DurableWrite } from "./effects.ts";
import type { History } from "./history.ts";
import { type LogEntry, makeEntry } from "./log-entry.ts";
import type { LogPosition, Proposal, SnapChunk } from "./messages.ts";
import { samePosition } from "./txn-log.ts";
import { equalZxid, type Zxid } from "./zxid.ts";

/**
 * A history under construction: the learner's own, truncated or replaced by a snapshot, and the entries that follow.
 * Invariant: each entry continues the one before it, and the learner's history does not change before {@link adopt}.
 *
 * @source ZooKeeper Learner.syncWithLeader (packetsNotLogged, snapshotNeeded); ZOOKEEPER-3642, 3911, 4643
 */
export class Staging {
  /** the log is truncated to here first */
  #truncateTo: LogPosition | null = null;
  /** a snapshot replaces the tree first */
  #snapshot: { readonly at: LogPosition; nextIndex: number; done: boolean } | null = null;
  #tail: LogPosition;
  readonly #entries: LogEntry[] = [];

  /** @param lastLogged end of the learner's history */
  constructor(lastLogged: LogPosition) {
    this.#tail = lastLogged;
  }

  /** End of the staged history so far. */
  get tail(): LogPosition {
    return this.#tail;
  }

  /** Whether nothing is staged yet but a truncation. */
  get mayTruncate(): boolean {
    return this.#entries.length === 0 && this.#snapshot === null;
  }

  /** Truncates the history. @param to an entry of the learner's log */
  truncate(to: LogPosition): void {
    assert(this.mayTruncate, "a history is truncated before anything is added to it");
    this.#truncateTo = to;
    this.#tail = to;
  }

  /** Begins a snapshot. @returns false if entries are already staged */
  startSnapshot(at: LogPosition): boolean {
    if (this.#entries.length > 0) return false;
    this.#truncateTo = null;
    this.#snapshot = { at, nextIndex: 0, done: false };
    this.#tail = at;
    return true;
  }

  /** Adds a chunk of the snapshot. @returns false if it is not the next one */
  addChunk({ index, done }: SnapChunk): boolean {
    const snapshot = this.#snapshot;
    if (snapshot === null || snapshot.done || index !== snapshot.nextIndex) return false;
    snapshot.nextIndex += 1;
    snapshot.done = done;
    return true;
  }

  /** Adds entries. @returns false if they do not continue the staged history, or the snapshot is not complete */
  addProposal(message: Proposal): boolean {
    if (this.#snapshot?.done === false) return false;
    const entry = continueLog(this.#tail, message);
    if (entry === undefined) return false;
    this.#entries.push(entry);
    this.#tail = { zxid: entry.last, chain: entry.chain };
    return true;
  }

  /** Whether the staged history is complete and ends at `last`. */
  isComplete(last: Zxid): boolean {
    if (!equalZxid(this.#tail.zxid, last)) return false;
    return this.#snapshot?.done !== false;
  }

  /** zxid of the snapshot; undefined if there is none. */
  get snapshotZxid(): Zxid | undefined {
    return this.#snapshot?.at.zxid;
  }

  /** Adopts the staged history. @returns the writes, which must be in one transaction */
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

/** The proposal as an entry after `tail`; undefined if it does not continue it. */
export function continueLog(tail: LogPosition, message: Proposal): LogEntry | undefined {
  if (!samePosition(tail, message.prev)) return undefined;
  const entry = makeEntry(tail, message.batch);
  return entry !== undefined && equalZxid(entry.last, message.last) ? entry : undefined;
}
