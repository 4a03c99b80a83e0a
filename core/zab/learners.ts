/** All learners of one leadership. */
import { assert } from "../assert.ts";
import type { Learner } from "./learner.ts";
import type { Sid } from "./membership.ts";
import type { QuorumVerifier } from "./quorum-verifier.ts";
import { minZxid, type Zxid } from "./zxid.ts";

/**
 * The learners of one leader.
 * Invariant: one stay for each sid. The active set is the leader and the learners that have taken over its history.
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

  /** The stay of this peer; undefined: it has none. */
  get(sid: Sid): Learner | undefined {
    return this.#bySid.get(sid);
  }

  /** A learner joins. */
  add(learner: Learner): void {
    assert(!this.#bySid.has(learner.sid), "a learner has one stay at a time");
    this.#bySid.set(learner.sid, learner);
  }

  /** A learner leaves. */
  remove(learner: Learner): void {
    this.#bySid.delete(learner.sid);
  }

  /** In the order in which they came. A learner that leaves meanwhile is left out. */
  all(): MapIterator<Learner> {
    return this.#bySid.values();
  }

  /** As all of them are now, for a loop in which some may leave or come. */
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

  /** Is the active set a quorum? */
  hasActiveQuorum(quorum: QuorumVerifier): boolean {
    return quorum.contains(this.#active);
  }

  /** What the slowest learner has that is in the active set, or about to be; undefined without one. */
  get slowest(): Zxid | undefined {
    let slowest: Zxid | undefined;
    for (const { caughtUpTo } of this.#bySid.values()) {
      if (caughtUpTo !== undefined) slowest = minZxid(slowest ?? caughtUpTo, caughtUpTo);
    }
    return slowest;
  }

  /** A learner is being brought up to date: the checkpoint must stay as it is, and with it the log that continues it. */
  get readsSnapshot(): boolean {
    for (const { isStaging } of this.#bySid.values()) if (isStaging) return true;
    return false;
  }
}
