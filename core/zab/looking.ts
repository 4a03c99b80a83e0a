/** LOOKING: this peer has no leader, and takes part in an election until it follows or leads. */
import { assert, must } from "../assert.ts";
import { voteEvent } from "./effects.ts";
import { Election } from "./election.ts";
import type { Sid } from "./membership.ts";
import type { Notification, Vote } from "./messages.ts";
import type { RoleHost } from "./role.ts";
import { asEpoch, ZXID_ZERO } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The elections of one peer, one after the other, and what it says of its vote in every role: ZooKeeper keeps both in one
 * object too, since the logical clock outlives an election.
 * Invariants: `#election` is set while the role is LOOKING; electionEpoch only rises; a peer without memory decides nothing
 * before a quorum has recorded its incarnation.
 *
 * @source ZooKeeper FastLeaderElection
 */
export class Looking {
  readonly #host: RoleHost;
  #election: Election | null = null;
  /** of the last election */
  #electionEpoch = 0;
  /** elections begun by this instance */
  #elections = 0;
  #resendAt = 0;
  #resendPauseMs = 0;
  /** when a quorum that agrees stops waiting for a better vote */
  #decideAt = NEVER;
  /** leaderships in a row that cost an epoch and under which the ensemble never worked */
  #failures = 0;
  /** when it may lead again after one of those */
  #leadFrom = 0;

  constructor(host: RoleHost) {
    this.#host = host;
  }

  /** An election is under way. */
  get isActive(): boolean {
    return this.#election !== null;
  }

  /** Elections this instance has taken part in. */
  get elections(): number {
    return this.#elections;
  }

  /** When `tick` is to be called, at the latest; ms. */
  get deadline(): number {
    return this.#election === null ? NEVER : Math.min(this.#resendAt, this.#decideAt);
  }

  /** Looks for a leader, in the next electionEpoch. {@link announce} sends the vote. */
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

  /** Sends our vote to all, and decides at once if no other is needed. */
  announce(): void {
    this.notifyAll();
    this.#maybeFound();
    this.#maybeDecide();
  }

  /** The election has ended in a leader. */
  end(): void {
    this.#electionEpoch = must(this.#election, "an election ends once").electionEpoch;
    this.#election = null;
  }

  /** No election will end in anything any more. */
  abandon(): void {
    this.#election = null;
  }

  /** The ensemble has worked under the leader that is given up. */
  noteSuccess(): void {
    this.#failures = 0;
  }

  /** A leadership has cost an epoch, and the ensemble never worked under it: it is not tried again at once. */
  noteFailure(): void {
    const { self, step } = this.#host;
    const pauseMs = self.config.electionPauseMs * 2 ** this.#failures;
    this.#leadFrom = step.now + Math.min(pauseMs, self.timeouts.electionPauseMsMax);
    this.#failures += 1;
  }

  /** A peer that cannot build on its own history, or does not count, stands behind every other. */
  #ownVote(): Vote {
    const { self, epochs, history } = this.#host;
    if (history.needSnap || !epochs.initialized) {
      return { leader: self.sid, epoch: asEpoch(0), zxid: ZXID_ZERO };
    }
    return { leader: self.sid, epoch: epochs.currentEpoch, zxid: history.lastLogged.zxid };
  }

  // ── notifications ────────────────────────────────────────────────────────

  /** Our vote; outside of an election, our leader. */
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

  /** Answers the vote of the caller with ours. */
  answer(note: Notification): void {
    const { step, links } = this.#host;
    if (note.initialized) {
      step.reply(this.notification());
      return;
    }
    // The caller relies on our having stored the incarnations that we have seen.
    step.persistDeferred();
    step.reply({ ...this.notification(), boots: links.packIncarnations() });
  }

  /** Sends our vote, or our leader, to all peers. */
  notifyAll(): void {
    const { step, links } = this.#host;
    const note = this.notification();
    step.trace(voteEvent(note.round, note.vote));
    for (const peer of links.all.keys()) links.send(peer, note);
  }

  /** Takes a vote, or what a peer says of its leader. */
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

  /** Our link to a peer broke: it refuses our calls. */
  linkBroken(peer: Sid): void {
    this.#election?.markUnreachable(peer);
    this.#maybeDecide();
  }

  /** Sends votes again if it is time, and decides once waiting for a better vote is over. */
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

  /** Founding: this peer is new, and no peer has ever promised an epoch, so no promise can have been lost. */
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
    // A peer that may have lost promises follows no leader before it knows which promises these may have been.
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
    if (!election.everybodyHeard && step.now < this.#decideAt) return;
    this.#decideAt = NEVER;
    const elected = election.vote.leader;
    if (elected !== self.sid) this.#host.becomeFollowing(elected, election.electionEpoch);
    else if (step.now < this.#leadFrom) this.#decideAt = this.#leadFrom;
    else this.#host.becomeLeading();
  }
}
