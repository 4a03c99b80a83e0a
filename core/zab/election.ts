/**
 * Fast leader election: every peer votes for the best candidate that it knows until a quorum agrees.
 * It affects liveness only: discovery checks the elected leader again, so a wrong outcome costs time, never data.
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
 * Invariants: only votes of this electionEpoch are counted; within one electionEpoch the own vote never becomes worse; a
 * peer without memory counts in no quorum.
 *
 * @source ZooKeeper FastLeaderElection.lookForLeader
 */
export class Election {
  readonly #self: Sid;
  readonly #quorum: QuorumVerifier;
  /** this peer's vote for itself, with the end of its own log */
  readonly #own: Vote;
  /** whether this peer's vote counts */
  #initialized: boolean;
  /** whether this peer may lead: its history is usable */
  readonly #eligible: boolean;
  /** logical clock; `round` in messages */
  electionEpoch: number;
  /** the best candidate known */
  vote: Vote;
  /** *map sid → vote in this electionEpoch*, own vote included */
  readonly #received = new Map<Sid, Vote>();
  /** *map sid → last notification of a peer that follows or leads* */
  readonly #following = new Map<Sid, Notification>();
  /** peers whose vote does not count: without memory */
  readonly #blank = new Set<Sid>();
  /** peers that this peer's calls do not reach at present */
  readonly #unreachable = new Set<Sid>();
  /** peers known to be new, which have never promised an epoch */
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

  /** Whether this peer's vote counts. */
  get initialized(): boolean {
    return this.#initialized;
  }

  /** Makes this peer's vote count from now on, once the founding is known to be safe. */
  markInitialized(): void {
    this.#initialized = true;
  }

  /** Whether no other participant has ever promised an epoch. If so, nothing can have been committed, and founding is safe. */
  get othersPristine(): boolean {
    return this.#pristine.size === this.#quorum.participants.length - 1;
  }

  /** Records that calls to this peer fail, so its vote is not waited for. */
  markUnreachable(sid: Sid): void {
    this.#unreachable.add(sid);
    this.#received.delete(sid);
    this.#following.delete(sid);
  }

  /**
   * Takes a notification of another voter into account.
   * @param answers whether it answers a call of this incarnation, so it was not written before this peer lost its memory
   * @returns whether the own vote or electionEpoch changed, so that it must be sent to all peers
   */
  receive(from: Sid, note: Notification, answers: boolean): boolean {
    this.#unreachable.delete(from);
    if (note.initialized) this.#blank.delete(from);
    else this.#blank.add(from);
    if (note.acceptedEpoch !== 0 || !(note.initialized || note.founding)) this.#pristine.delete(from);
    else if (answers) this.#pristine.add(from);
    if (note.role !== "LOOKING") {
      this.#following.set(from, note);
      // A return may be older than a vote that has since arrived in a call.
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
    // A peer that cannot vote is no candidate; its vote for another peer is not needed, because candidates send their own votes.
    const stands = note.initialized || note.founding;
    if (stands && compareVotes(note.vote, this.vote) > 0) this.vote = note.vote;
    this.#received.set(from, note.vote);
    this.#received.set(this.#self, this.vote);
    return joined || !sameVote(before, this.vote);
  }

  /** The leader of a working ensemble: it reports that it leads, and its followers and this peer together are a quorum. */
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

  /** The electionEpoch in which this leader was elected, as it reports. */
  electionEpochOf(leader: Sid): number {
    return this.#following.get(leader)?.round ?? this.electionEpoch;
  }

  /**
   * Whether a quorum votes, or voted before it left the election, for the same candidate as this peer, and the candidate
   * may lead.
   */
  get hasQuorum(): boolean {
    if (this.vote.leader === this.#self && !(this.#initialized && this.#eligible)) return false;
    const counts = (sid: Sid): boolean => (sid === this.#self ? this.#initialized : !this.#blank.has(sid));
    return this.#quorum.contains(this.#quorum.participants.filter((sid) => counts(sid) && this.#agrees(sid)));
  }

  /** Whether peer `sid` votes for the same candidate in this electionEpoch, or already follows it. */
  #agrees(sid: Sid): boolean {
    const vote = this.#received.get(sid);
    if (vote !== undefined && sameVote(vote, this.vote)) return true;
    const note = this.#following.get(sid);
    return note !== undefined && note.round === this.electionEpoch && note.vote.leader === this.vote.leader;
  }

  /** Whether every participant has answered in this electionEpoch or is unreachable, so that no better vote can arrive. */
  get allAnswered(): boolean {
    return this.#quorum.participants.every(
      (sid) => this.#received.has(sid) || this.#following.has(sid) || this.#unreachable.has(sid),
    );
  }
}
