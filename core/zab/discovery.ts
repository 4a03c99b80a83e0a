/** Phase 1 at an elected peer: chooses an epoch above all that a quorum has promised, and collects that quorum's promises. */
import { must } from "../assert.ts";
import type { Learner } from "./learner.ts";
import type { Learners } from "./learners.ts";
import type { Sid } from "./membership.ts";
import type { AckEpoch, FollowerInfo } from "./messages.ts";
import type { RoleHost } from "./role.ts";
import { asEpoch, compareZxid, type Epoch } from "./zxid.ts";

/**
 * Chooses the epoch of one leadership.
 * Invariant: the epoch is above every epoch that a quorum had promised when it was chosen, and discovery ends only once a
 * quorum has promised it to this peer and to no other.
 *
 * @source Zab, DSN 2011, phase 1 (leader); ZooKeeper Leader.getEpochToPropose, waitForEpochAck
 */
export class Discovery {
  readonly #host: RoleHost;
  #epoch: Epoch | null = null;
  /** sids of the peers whose promise counts */
  readonly #acks = new Set<Sid>();

  constructor(host: RoleHost) {
    this.#host = host;
  }

  /** The chosen epoch; null if not chosen yet. */
  get epoch(): Epoch | null {
    return this.#epoch;
  }

  /** Whether a quorum has promised the epoch. */
  get isComplete(): boolean {
    return this.#host.self.quorum.contains(this.#acks);
  }

  /** Chooses the epoch once a quorum has reported its promises. @returns whether this call chose it */
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
   * Handles a learner that has promised a higher epoch than this leader's, and so cannot join this epoch. The next epoch
   * chosen here is above that promise. If the learner counts in quorums, the leader steps down at once, but only once: it
   * stores the promise as its own, given to no candidate, so the next leader of its quorum also chooses a higher epoch. For
   * a learner that counts in no quorum the leader does not step down.
   */
  refuse({ acceptedEpoch, initialized }: FollowerInfo): void {
    const { epochs } = this.#host;
    epochs.noteRefused(acceptedEpoch);
    if (!initialized) return;
    epochs.promise(acceptedEpoch, null);
    this.#host.becomeLooking("a learner has promised a higher epoch");
  }

  /** Whether this learner's history is newer than this peer's. */
  hasNewerHistory(message: AckEpoch): boolean {
    const { epochs, history } = this.#host;
    const newer =
      message.currentEpoch - epochs.currentEpoch || compareZxid(message.last.zxid, history.lastLogged.zxid);
    return newer > 0;
  }

  /** Counts a promise if the learner counts in quorums and made the promise to this peer for the first time. */
  count(learner: Learner, message: AckEpoch): void {
    if (message.counted && learner.initialized) this.#acks.add(learner.sid);
  }

  /** Stops counting the promise of a peer of which a later incarnation was seen: it may have forgotten the promise. */
  withdraw(sid: Sid): void {
    this.#acks.delete(sid);
  }

  /** The chosen epoch. @throws AssertionError before the choice */
  get chosen(): Epoch {
    return must(this.#epoch, "the epoch is chosen");
  }
}
