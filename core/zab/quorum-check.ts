/** Whether a quorum follows this leader: before it is established, and in broadcast. */
import type { Learners } from "./learners.ts";
import type { Sid } from "./membership.ts";
import type { Notification } from "./messages.ts";
import type { RoleHost } from "./role.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The deadlines by which a quorum must follow an elected peer.
 * Invariant: a quorum of the active set was in touch at `quorumAt`, this peer included. That members answer is not enough: they may
 * follow another.
 *
 * @source ZooKeeper Leader.lead (syncedAckSet); etcd-raft CheckQuorum
 */
export class QuorumCheck {
  readonly #host: RoleHost;
  readonly #learners: Learners;
  /** when an establishment that makes no progress is given up; ms */
  #establishDeadline: number;
  /** when it is given up because fewer than a quorum follow; ms */
  #aloneDeadline: number;
  /** when a quorum of the active set was heard last; ms */
  #quorumAt = 0;
  /** peers that follow another, as they have said since we were elected */
  readonly #elsewhere = new Set<Sid>();

  constructor(host: RoleHost, learners: Learners) {
    const { step, self } = host;
    this.#host = host;
    this.#learners = learners;
    this.#establishDeadline = step.now + self.timeouts.initMs;
    this.#aloneDeadline = step.now + self.timeouts.tickMs;
  }

  /** Do fewer than a quorum follow, in whatever stage? */
  get isAlone(): boolean {
    return !this.#host.self.quorum.contains(this.#learners.sids);
  }

  /** Is the active set a quorum? */
  get hasActiveQuorum(): boolean {
    return this.#learners.hasActiveQuorum(this.#host.self.quorum);
  }

  // ── before it is established ─────────────────────────────────────────────

  /** When an establishment is given up at the latest; ms. */
  get establishDeadline(): number {
    return this.isAlone ? Math.min(this.#aloneDeadline, this.#establishDeadline) : this.#establishDeadline;
  }

  /** Why the establishment is given up now; undefined: it is not. */
  get failure(): string | undefined {
    const { now } = this.#host.step;
    if (now >= this.#establishDeadline) return "no quorum followed in time";
    return now >= this.#aloneDeadline && this.isAlone ? "no quorum follows" : undefined;
  }

  /** The limit is on standing still: a quorum that needs a large SNAP may take its time. */
  noteProgress(): void {
    this.#establishDeadline = this.#host.step.now + this.#host.self.timeouts.initMs;
  }

  /** The quorum that followed has just been lost. */
  noteAlone(): void {
    this.#aloneDeadline = this.#host.step.now + this.#host.self.timeouts.tickMs;
  }

  /**
   * Takes what a peer says of its leader. Two may be elected, in elections that crossed: the one from which a quorum says that it
   * follows another returns to LOOKING at once; never both, since a quorum follows one only.
   * @returns whether a quorum follows another
   */
  isDeserted(from: Sid, note: Notification): boolean {
    const { self } = this.#host;
    if (note.role !== "LOOKING" && note.vote.leader !== self.sid) this.#elsewhere.add(from);
    else this.#elsewhere.delete(from);
    return self.quorum.contains(this.#elsewhere);
  }

  // ── in broadcast ─────────────────────────────────────────────────────────

  /** The leader is established: a quorum is in touch. */
  begin(): void {
    this.#quorumAt = this.#host.step.now;
  }

  /** Since when a quorum is not in touch; ms, infinity while the active set is one. */
  get lostSince(): number {
    return this.hasActiveQuorum ? NEVER : this.#quorumAt;
  }

  /** A quorum was heard when the last of it was: the silence of a learner that is dropped counts from its last sign of life. */
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

  /** This peer was suspended for so long: that is no silence of the quorum. */
  excuse(suspendedMs: number): void {
    this.#quorumAt = Math.min(this.#quorumAt + suspendedMs, this.#host.step.now);
  }
}
