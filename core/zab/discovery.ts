/** Phase 1 at an elected peer: a quorum says what it has promised, and promises the epoch that is above all of it. */
import { must } from "../assert.ts";
import type { Learner } from "./learner.ts";
import type { Learners } from "./learners.ts";
import type { Sid } from "./membership.ts";
import type { AckEpoch, FollowerInfo } from "./messages.ts";
import type { RoleHost } from "./role.ts";
import { asEpoch, compareZxid, type Epoch } from "./zxid.ts";

/**
 * The choice of an epoch, once in a leadership.
 * Invariant: the epoch is above everything that the quorum which chose it had promised, and ends discovery only once a quorum has
 * promised it to us and to nobody else.
 *
 * @source Zab, DSN 2011, phase 1 (leader); ZooKeeper Leader.getEpochToPropose, waitForEpochAck
 */
export class Discovery {
  readonly #host: RoleHost;
  #epoch: Epoch | null = null;
  /** peers whose promise counts */
  readonly #acks = new Set<Sid>();

  constructor(host: RoleHost) {
    this.#host = host;
  }

  /** null: not chosen yet. */
  get epoch(): Epoch | null {
    return this.#epoch;
  }

  /** A quorum has promised the epoch. */
  get isComplete(): boolean {
    return this.#host.self.quorum.contains(this.#acks);
  }

  /** Chooses the epoch once a quorum has said what it promised. @returns whether it did now */
  maybeChoose(learners: Learners): boolean {
    const { self, epochs } = this.#host;
    if (this.#epoch !== null) return false;
    const voters = learners.copy().filter((learner) => learner.initialized);
    if (!self.quorum.contains([self.sid, ...voters.map((l) => l.sid)])) return false;
    const highest = Math.max(epochs.highestKnown, ...voters.map((l) => l.acceptedEpoch));
    this.#epoch = asEpoch(highest + 1);
    epochs.promise(this.#epoch, self.sid);
    this.#acks.add(self.sid);
    return true;
  }

  /**
   * A learner has promised a higher epoch than ours, and cannot join before there is an epoch above it. Our next epoch is above
   * it. If the learner counts in quorums, we step down at once, but only once: we store its promise as our own, given to no
   * candidate, so the next leader of our quorum goes above it too. For a learner that counts in none we do not step down.
   */
  refuse({ acceptedEpoch, initialized }: FollowerInfo): void {
    const { epochs } = this.#host;
    epochs.noteRefused(acceptedEpoch);
    if (!initialized) return;
    epochs.promise(acceptedEpoch, null);
    this.#host.becomeLooking("a learner has promised a higher epoch");
  }

  /** Has this learner a newer history than ours? */
  hasNewerHistory(message: AckEpoch): boolean {
    const { epochs, history } = this.#host;
    const newer =
      message.currentEpoch - epochs.currentEpoch || compareZxid(message.last.zxid, history.lastLogged.zxid);
    return newer > 0;
  }

  /** Counts a promise, if the learner counts in quorums and gave it to us for the first time. */
  count(learner: Learner, message: AckEpoch): void {
    if (message.counted && learner.initialized) this.#acks.add(learner.sid);
  }

  /** A later incarnation of this peer was seen, which may have forgotten the promise. */
  withdraw(sid: Sid): void {
    this.#acks.delete(sid);
  }

  /** The epoch that was chosen. */
  get chosen(): Epoch {
    return must(this.#epoch, "the epoch is chosen");
  }
}
