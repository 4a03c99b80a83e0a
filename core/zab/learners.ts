/** The learners of one leadership. */
import { assert } from "../assert.ts";
import type { Learner } from "./learner.ts";
import type { Sid } from "./membership.ts";
import type { QuorumVerifier } from "./quorum-verifier.ts";
import { minZxid, type Zxid } from "./zxid.ts";

/**
 * The learners of one leader.
 * Invariant: one stay per sid. The active set is the leader and the learners that have acked NEWLEADER.
 *
 * @source etcd-raft tracker.ProgressTracker; ZooKeeper Leader.learners
 */
export class Learners {
  readonly #leader: Sid;
  readonly #bySid = new Map<Sid, Learner>();

  /** @param leader belongs to every active set */
  constructor(leader: Sid) {
    this.#leader = leader;
  }

  /** The stay of a peer; undefined if it has none. */
  get(sid: Sid): Learner | undefined {
    return this.#bySid.get(sid);
  }

  /** Adds a learner that joins. */
  add(learner: Learner): void {
    assert(!this.#bySid.has(learner.sid), "a learner has one stay at a time");
    this.#bySid.set(learner.sid, learner);
  }

  /** Removes a learner that leaves. */
  remove(learner: Learner): void {
    this.#bySid.delete(learner.sid);
  }

  /** All learners, in the order in which they joined. Learners removed during the iteration are skipped. */
  all(): MapIterator<Learner> {
    return this.#bySid.values();
  }

  /** A copy of the list, for a loop during which learners may join or leave. */
  copy(): Learner[] {
    return [...this.#bySid.values()];
  }

  /** sids of the leader and all learners. */
  get sids(): readonly Sid[] {
    return [this.#leader, ...this.#bySid.keys()];
  }

  /** sids of the active set, ascending. */
  get activeSet(): readonly Sid[] {
    return this.#active.sort((a, b) => a - b);
  }

  get #active(): Sid[] {
    const active = [this.#leader];
    for (const learner of this.#bySid.values()) if (learner.isActive) active.push(learner.sid);
    return active;
  }

  /** Whether the active set is a quorum. */
  hasActiveQuorum(quorum: QuorumVerifier): boolean {
    return quorum.contains(this.#active);
  }

  /** The lowest zxid that a learner in the active set, or about to join it, has; undefined if there is no such learner. */
  get slowest(): Zxid | undefined {
    let slowest: Zxid | undefined;
    for (const { caughtUpTo } of this.#bySid.values()) {
      if (caughtUpTo !== undefined) slowest = minZxid(slowest ?? caughtUpTo, caughtUpTo);
    }
    return slowest;
  }

  /** Whether a learner is being sent a SNAP, so the checkpoint and the log that continues it must be kept. */
  get readsSnapshot(): boolean {
    for (const { isStaging } of this.#bySid.values()) if (isStaging) return true;
    return false;
  }
}
