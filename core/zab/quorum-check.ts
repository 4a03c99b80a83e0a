/** Checks that a quorum follows this leader: before it is established, and in broadcast. */
import type { Learners } from "./learners.ts";
import type { Sid } from "./membership.ts";
import type { Notification } from "./messages.ts";
import type { RoleHost } from "./role.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The deadlines by which a quorum must follow an elected peer.
 * Invariant: a quorum of the active set, this peer included, had been heard at `quorumAt`. An answering member that is not
 * in the active set does not count: it may follow another leader.
 *
 * @source ZooKeeper Leader.lead (syncedAckSet); etcd-raft CheckQuorum
 */
export class QuorumCheck {
  readonly #host: RoleHost;
  readonly #learners: Learners;
  /** when this peer steps down if the establishment makes no progress; ms */
  #establishDeadline: number;
  /** when it steps down if fewer than a quorum follow; ms */
  #aloneDeadline: number;
  /** when a quorum of the active set was last heard; ms */
  #quorumAt = 0;
  /** peers that have reported, since this peer was elected, that they follow another leader */
  readonly #elsewhere = new Set<Sid>();

  constructor(host: RoleHost, learners: Learners) {
    const { step, self } = host;
    this.#host = host;
    this.#learners = learners;
    this.#establishDeadline = step.now + self.timeouts.initMs;
    this.#aloneDeadline = step.now + self.timeouts.tickMs;
  }

  /** Whether fewer than a quorum follow, in any stage. */
  get isAlone(): boolean {
    return !this.#host.self.quorum.contains(this.#learners.sids);
  }

  /** Whether the active set is a quorum. */
  get hasActiveQuorum(): boolean {
    return this.#learners.hasActiveQuorum(this.#host.self.quorum);
  }

  // ── before it is established ─────────────────────────────────────────────

  /** The latest time at which an unfinished establishment ends; ms. */
  get establishDeadline(): number {
    return this.isAlone ? Math.min(this.#aloneDeadline, this.#establishDeadline) : this.#establishDeadline;
  }

  /** Why this peer must step down now; undefined if it need not. */
  get failure(): string | undefined {
    const { now } = this.#host.step;
    if (now >= this.#establishDeadline) return "no quorum followed in time";
    return now >= this.#aloneDeadline && this.isAlone ? "no quorum follows" : undefined;
  }

  /** Extends the deadline after progress: it limits the time without progress, so a large SNAP may take long. */
  noteProgress(): void {
    this.#establishDeadline = this.#host.step.now + this.#host.self.timeouts.initMs;
  }

  /** Records that fewer than a quorum follow from now on. */
  noteQuorumLost(): void {
    this.#aloneDeadline = this.#host.step.now + this.#host.self.timeouts.tickMs;
  }

  /**
   * Handles the notification of a peer. Two peers may be elected in concurrent elections: the one that learns that a quorum
   * follows another returns to LOOKING at once. That cannot happen to both, since a quorum follows only one of them.
   * @returns whether a quorum follows another leader
   */
  quorumFollowsAnother(from: Sid, note: Notification): boolean {
    const { self } = this.#host;
    if (note.role !== "LOOKING" && note.vote.leader !== self.sid) this.#elsewhere.add(from);
    else this.#elsewhere.delete(from);
    return self.quorum.contains(this.#elsewhere);
  }

  // ── in broadcast ─────────────────────────────────────────────────────────

  /** Starts the check in broadcast: the active set is a quorum. */
  begin(): void {
    this.#quorumAt = this.#host.step.now;
  }

  /** Since when no quorum has been heard; ms, infinity while the active set is a quorum. */
  get lostSince(): number {
    return this.hasActiveQuorum ? NEVER : this.#quorumAt;
  }

  /**
   * Updates the time at which a quorum was last heard. Called before a learner is dropped, so that its silence counts from
   * its last message.
   */
  note(): void {
    const { self, step } = this.#host;
    const heard = this.#learners.copy().filter((learner) => learner.isActive);
    const latestFirst = heard.sort((a, b) => b.heardAt - a.heardAt);
    const sids = [self.sid];
    let at = step.now;
    for (const { sid, heardAt } of latestFirst) {
      if (self.quorum.contains(sids)) break;
      sids.push(sid);
      at = heardAt;
    }
    if (self.quorum.contains(sids)) this.#quorumAt = Math.max(this.#quorumAt, at);
  }

  /** Extends the deadlines by the time for which this peer was suspended, since the quorum was not silent then. */
  extendDeadlines(suspendedMs: number): void {
    this.#quorumAt = Math.min(this.#quorumAt + suspendedMs, this.#host.step.now);
  }
}
