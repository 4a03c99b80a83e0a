/** LOOKING: a peer without a leader takes part in an election until it follows or leads. */
import { assert, must } from "../assert.ts";
import { voteEvent } from "./effects.ts";
import { Election } from "./election.ts";
import type { Sid } from "./membership.ts";
import type { Notification, Vote } from "./messages.ts";
import type { RoleHost } from "./role.ts";
import { asEpoch, ZXID_ZERO } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The elections of one peer, one after the other, and its notifications in every role. Both are in one object, as in
 * ZooKeeper, because the logical clock outlives an election.
 * Invariants: `#election` is set while the role is LOOKING; electionEpoch only rises; a peer without memory decides nothing
 * before a quorum has recorded its incarnation.
 *
 * @source ZooKeeper FastLeaderElection
 */
export class Looking {
  readonly #host: RoleHost;
  #election: Election | null = null;
  /** electionEpoch of the last election */
  #electionEpoch = 0;
  /** number of elections begun by this instance */
  #elections = 0;
  #resendAt = 0;
  #resendPauseMs = 0;
  /** when this peer stops waiting for a better vote, once a quorum agrees; ms */
  #decideAt = NEVER;
  /** leaderships in a row that used an epoch and never served */
  #failures = 0;
  /** when this peer may lead again after such a leadership; ms */
  #leadFrom = 0;

  constructor(host: RoleHost) {
    this.#host = host;
  }

  /** Whether an election is under way. */
  get isActive(): boolean {
    return this.#election !== null;
  }

  /** Number of elections that this instance has taken part in. */
  get elections(): number {
    return this.#elections;
  }

  /** When `tick` is to be called, at the latest; ms. */
  get deadline(): number {
    return this.#election === null ? NEVER : Math.min(this.#resendAt, this.#decideAt);
  }

  /** Begins an election in the next electionEpoch. {@link announce} sends the vote. */
  begin(): void {
    assert(this.#election === null, "one election ends before the next begins");
    const { self, step, epochs, history } = this.#host;
    this.#electionEpoch += 1;
    this.#elections += 1;
    this.#election = new Election(
      self.sid,
      self.quorum,
      this.#ownVote(),
      this.#electionEpoch,
      epochs.initialized,
      !history.needSnap,
    );
    this.#resendPauseMs = self.config.electionRetryMs;
    this.#resendAt = step.now + this.#resendPauseMs;
    this.#decideAt = NEVER;
  }

  /** Sends the own vote to all peers, and decides at once if no other vote is needed. */
  announce(): void {
    this.notifyAll();
    this.#maybeFound();
    this.#maybeDecide();
  }

  /** Ends the election, which has found a leader. */
  end(): void {
    this.#electionEpoch = must(this.#election, "an election ends once").electionEpoch;
    this.#election = null;
  }

  /** Drops the election without a result, at the end of this incarnation. */
  abandon(): void {
    this.#election = null;
  }

  /** Records that the leadership that has ended had served clients. */
  noteSuccess(): void {
    this.#failures = 0;
  }

  /** Records a leadership that used an epoch and never served, which delays the next one. */
  noteFailure(): void {
    const { self, step } = this.#host;
    const pauseMs = self.config.electionPauseMs * 2 ** this.#failures;
    this.#leadFrom = step.now + Math.min(pauseMs, self.timeouts.electionPauseMsMax);
    this.#failures += 1;
  }

  /** The vote for this peer itself. It ranks lowest if its history is unusable or its vote does not count. */
  #ownVote(): Vote {
    const { self, epochs, history } = this.#host;
    if (history.needSnap || !epochs.initialized) {
      return { leader: self.sid, epoch: asEpoch(0), zxid: ZXID_ZERO };
    }
    return { leader: self.sid, epoch: epochs.currentEpoch, zxid: history.lastLogged.zxid };
  }

  // ── notifications ────────────────────────────────────────────────────────

  /** The own vote; outside of an election, the own leader. */
  notification(): Notification {
    const { role, leader, epochs, history } = this.#host;
    const vote = this.#election?.vote ?? {
      leader: must(leader, "outside of an election there is a leader"),
      epoch: epochs.currentEpoch,
      zxid: history.lastLogged.zxid,
    };
    return {
      type: "NOTIFICATION",
      role,
      round: this.#election?.electionEpoch ?? this.#electionEpoch,
      vote,
      acceptedEpoch: epochs.acceptedEpoch,
      initialized: this.#election?.initialized ?? epochs.initialized,
      founding: epochs.founding,
    };
  }

  /** Answers the notification of the caller with the own one. */
  answer(note: Notification): void {
    const { step, links } = this.#host;
    if (note.initialized) {
      step.reply(this.notification());
      return;
    }
    // The caller relies on the incarnations seen here being durable.
    step.persistDeferred();
    step.reply({ ...this.notification(), boots: links.packIncarnations() });
  }

  /** Sends the own notification to all peers. */
  notifyAll(): void {
    const { step, links } = this.#host;
    const note = this.notification();
    step.trace(voteEvent(note.round, note.vote));
    for (const peer of links.all.keys()) links.send(peer, note);
  }

  /** Handles the notification of a peer during an election. */
  receive(from: Sid, note: Notification, isCall: boolean): void {
    const election = must(this.#election, "an election is under way");
    if (election.receive(from, note, !isCall)) {
      this.#decideAt = NEVER;
      this.notifyAll();
    }
    if (isCall && note.role === "LOOKING") this.answer(note);
    this.#maybeFound();
    this.#maybeDecide();
  }

  /** Handles the failure of the link to a peer, which is unreachable. */
  linkBroken(peer: Sid): void {
    this.#election?.markUnreachable(peer);
    this.#maybeDecide();
  }

  /** Sends the vote again if that is due, and decides once the wait for a better vote has ended. */
  tick(): void {
    const { self, step } = this.#host;
    if (this.#election === null) return;
    if (step.now >= this.#resendAt) {
      this.#resendPauseMs = Math.min(this.#resendPauseMs * 2, self.config.electionRetryMsMax);
      this.#resendAt = step.now + this.#resendPauseMs;
      this.notifyAll();
    }
    this.#maybeDecide();
  }

  // ── the decision ─────────────────────────────────────────────────────────

  /** Founds the ensemble: this peer is new and no peer has ever promised an epoch, so no promise can have been lost. */
  #maybeFound(): void {
    const { step, epochs } = this.#host;
    const election = this.#election;
    if (election === null || election.initialized) return;
    if (!epochs.founding || !election.othersPristine) return;
    step.persist([epochs.initialize()]);
    election.markInitialized();
    this.notifyAll();
  }

  #maybeDecide(): void {
    const election = this.#election;
    if (election === null) return;
    const { self, step, epochs } = this.#host;
    // A peer that may have lost promises follows no leader before a quorum has recorded its incarnation and reported its promises.
    if (!epochs.initialized && !self.quorum.contains(epochs.recordedBy)) return;
    const established = election.establishedLeader();
    if (established !== undefined) {
      this.#host.becomeFollowing(established, election.electionEpochOf(established));
      return;
    }
    if (!election.hasQuorum) {
      this.#decideAt = NEVER;
      return;
    }
    if (this.#decideAt === NEVER) this.#decideAt = step.now + self.config.finalizeWaitMs;
    if (!election.allAnswered && step.now < this.#decideAt) return;
    this.#decideAt = NEVER;
    const elected = election.vote.leader;
    if (elected !== self.sid) this.#host.becomeFollowing(elected, election.electionEpoch);
    else if (step.now < this.#leadFrom) this.#decideAt = this.#leadFrom;
    else this.#host.becomeLeading();
  }
}
