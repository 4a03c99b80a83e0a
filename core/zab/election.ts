/**
 * Fast leader election: every peer votes for the best candidate that it knows until a quorum agrees.
 * Liveness only: that a leader is fit is checked again in discovery, so a wrong outcome costs time, never data.
 *
 * @source ZooKeeper FastLeaderElection
 */

import type { Sid } from "./membership.ts";
import type { Notification, Vote } from "./messages.ts";
import type { QuorumVerifier } from "./quorum-verifier.ts";
import { compareZxid } from "./zxid.ts";

/** Positive when a is the better candidate: higher epoch, then higher zxid, then higher sid. */
export function compareVotes(a: Vote, b: Vote): number {
  return a.epoch - b.epoch || compareZxid(a.zxid, b.zxid) || a.leader - b.leader;
}

const sameVote = (a: Vote, b: Vote): boolean => compareVotes(a, b) === 0;

/**
 * One election, as a peer in it sees it: from losing its leader until it follows or leads.
 * Invariants: votes that are counted are of this electionEpoch; the vote only gets better within one electionEpoch; a peer without
 * memory counts in no quorum.
 *
 * @source ZooKeeper FastLeaderElection.lookForLeader
 */
export class Election {
  readonly #self: Sid;
  readonly #quorum: QuorumVerifier;
  /** our vote for ourselves: our own log */
  readonly #own: Vote;
  /** does our own vote count? */
  #initialized: boolean;
  /** our history can be built on: we may lead */
  readonly #eligible: boolean;
  /** logical clock; `round` in messages */
  electionEpoch: number;
  /** the best candidate that is known */
  vote: Vote;
  /** *map sid → vote in this electionEpoch*, ours included */
  readonly #received = new Map<Sid, Vote>();
  /** *map sid → what peers outside of the election say of their leader* */
  readonly #following = new Map<Sid, Notification>();
  /** peers whose vote does not count: without memory */
  readonly #blank = new Set<Sid>();
  /** peers that refuse our calls now */
  readonly #unreachable = new Set<Sid>();
  /** peers known to be new: they never promised anything */
  readonly #pristine = new Set<Sid>();

  constructor(
    self: Sid,
    quorum: QuorumVerifier,
    own: Vote,
    electionEpoch: number,
    initialized: boolean,
    eligible = true,
  ) {
    this.#self = self;
    this.#quorum = quorum;
    this.#own = own;
    this.#initialized = initialized;
    this.#eligible = eligible;
    this.electionEpoch = electionEpoch;
    this.vote = own;
    this.#received.set(self, own);
  }

  /** Does our own vote count? */
  get initialized(): boolean {
    return this.#initialized;
  }

  /** Our vote counts from now on: the founding is known. */
  markInitialized(): void {
    this.#initialized = true;
  }

  /** No other participant has ever promised an epoch: nothing can have been committed, so founding is safe. */
  get othersPristine(): boolean {
    return this.#pristine.size === this.#quorum.participants.length - 1;
  }

  /** Its calls fail: no vote of it is waited for. */
  markUnreachable(sid: Sid): void {
    this.#unreachable.add(sid);
    this.#received.delete(sid);
    this.#following.delete(sid);
  }

  /**
   * Takes a notification of another voter into account.
   * @param answers it answers a call of this incarnation of ours, so it was not written before we lost our memory
   * @returns whether our vote or electionEpoch changed: then it is sent to all peers
   */
  receive(from: Sid, note: Notification, answers: boolean): boolean {
    this.#unreachable.delete(from);
    if (note.initialized) this.#blank.delete(from);
    else this.#blank.add(from);
    if (note.acceptedEpoch !== 0 || !(note.initialized || note.founding)) this.#pristine.delete(from);
    else if (answers) this.#pristine.add(from);
    if (note.role !== "LOOKING") {
      this.#following.set(from, note);
      // A return may be older than the vote that a call has brought since.
      if (note.round >= this.electionEpoch) this.#received.delete(from);
      return false;
    }
    this.#following.delete(from);
    if (note.round < this.electionEpoch) return false;
    const before = this.vote;
    const joined = note.round > this.electionEpoch;
    if (joined) {
      this.electionEpoch = note.round;
      this.#received.clear();
      this.vote = this.#own;
    }
    // A peer that cannot vote is no candidate, and its vote for another is not needed: candidates send their own votes.
    const stands = note.initialized || note.founding;
    if (stands && compareVotes(note.vote, this.vote) > 0) this.vote = note.vote;
    this.#received.set(from, note.vote);
    this.#received.set(this.#self, this.vote);
    return joined || !sameVote(before, this.vote);
  }

  /** The leader of a working ensemble: it reports that it leads, and with us a quorum would follow it. */
  establishedLeader(): Sid | undefined {
    for (const [sid, note] of this.#following) {
      if (note.role !== "LEADING" || note.vote.leader !== sid) continue;
      const followers = this.#initialized ? [this.#self] : [];
      for (const [other, said] of this.#following) {
        if (!this.#blank.has(other) && said.vote.leader === sid) followers.push(other);
      }
      if (this.#quorum.contains(followers)) return sid;
    }
    return undefined;
  }

  /** The electionEpoch in which this leader says that it was elected. */
  electionEpochOf(leader: Sid): number {
    return this.#following.get(leader)?.round ?? this.electionEpoch;
  }

  /** A quorum votes as we do, or did before it left the election, for a peer that may lead. */
  get hasQuorum(): boolean {
    if (this.vote.leader === this.#self && !(this.#initialized && this.#eligible)) return false;
    const counts = (sid: Sid): boolean => (sid === this.#self ? this.#initialized : !this.#blank.has(sid));
    return this.#quorum.contains(this.#quorum.participants.filter((sid) => counts(sid) && this.#agrees(sid)));
  }

  /** It votes as we do, or has done so in this electionEpoch and follows its leader already. */
  #agrees(sid: Sid): boolean {
    const vote = this.#received.get(sid);
    if (vote !== undefined && sameVote(vote, this.vote)) return true;
    const note = this.#following.get(sid);
    return note !== undefined && note.round === this.electionEpoch && note.vote.leader === this.vote.leader;
  }

  /** Every participant has answered in this electionEpoch or refuses calls: no better vote can arrive. */
  get everybodyHeard(): boolean {
    return this.#quorum.participants.every(
      (sid) => this.#received.has(sid) || this.#following.has(sid) || this.#unreachable.has(sid),
    );
  }
}
