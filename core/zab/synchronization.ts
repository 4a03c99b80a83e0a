/**
 * Phase 2 at the leader: brings one learner up to date. The learner's whole history changes in one transaction, at
 * NEWLEADER, so an interrupted synchronization leaves the old history unchanged.
 *
 * @source Zab, DSN 2011, phase 2; ZooKeeper LearnerHandler.syncFollower, with ZOOKEEPER-1154, 2832, 4352, 4925 in mind:
 * logs are matched by entry and hash, never by a range of zxids
 */
import type { Learner } from "./learner.ts";
import type { LogPosition, Position } from "./messages.ts";
import type { RoleHost } from "./role.ts";
import type { SnapshotGate } from "./snapshot-gate.ts";
import type { Leadership } from "./tree-verifier.ts";
import { samePosition, type TxnLogReader } from "./txn-log.ts";
import type { Zxid } from "./zxid.ts";

/** How one learner is brought up to date. */
export type SyncChoice =
  /** the learner's history is a prefix of the leader's: send the entries that follow */
  | { readonly mode: "DIFF"; readonly from: LogPosition }
  /** the learner has entries that the leader lacks: it truncates to `to` or the nearest entry before, and the choice is repeated */
  | { readonly mode: "TRUNC"; readonly to: Zxid }
  /** the leader's log begins after the learner's last entry, or the learner's history is unusable */
  | { readonly mode: "SNAP" };

/**
 * @param learner last entry of the learner's log
 * @param needSnap the learner reports that its history is unusable
 */
export function chooseSync(
  log: TxnLogReader,
  learner: LogPosition,
  needSnap: boolean,
  diffBytesMax: number,
): SyncChoice {
  if (needSnap) return { mode: "SNAP" };
  const ours = log.positionAt(learner.zxid);
  if (ours === undefined) return { mode: "SNAP" };
  if (samePosition(ours, learner)) {
    return log.bytesAfter(ours.zxid) > diffBytesMax ? { mode: "SNAP" } : { mode: "DIFF", from: ours };
  }
  // Same zxid, different history: one of the logs is damaged, and a quorum has the leader's.
  if (ours.zxid.epoch === learner.zxid.epoch && ours.zxid.counter === learner.zxid.counter)
    return { mode: "SNAP" };
  return { mode: "TRUNC", to: ours.zxid };
}

/**
 * Begins and continues the synchronization of learners; {@link Learner} sends it.
 * Invariant: a learner is synchronized only after it has promised the epoch, and discovery is over.
 *
 * @source Zab, DSN 2011, phase 2 (leader); ZooKeeper LearnerHandler.syncFollower
 */
export class Synchronization {
  readonly #host: RoleHost;
  readonly #leadership: Leadership;
  readonly #snapshots: SnapshotGate;

  constructor(host: RoleHost, leadership: Leadership, snapshots: SnapshotGate) {
    this.#host = host;
    this.#leadership = leadership;
    this.#snapshots = snapshots;
  }

  /** Begins to synchronize a learner, unless that has to wait. */
  maybeBegin(learner: Learner): void {
    if (this.#leadership.phase === "DISCOVERY" || learner.stage !== "PROMISED") return;
    // No tree that differs is replaced by one that no quorum has confirmed.
    if (learner.tree.differsAt !== null && !this.#snapshots.mayReplace(learner)) return;
    this.#begin(learner);
  }

  #begin(learner: Learner): void {
    const { history, self } = this.#host;
    const choice = chooseSync(history.log, learner.position, learner.needSnap, self.config.diffBytesMax);
    switch (choice.mode) {
      case "DIFF":
        this.#dropUnless(learner.startDiff(choice.from), learner);
        return;
      case "TRUNC":
        learner.startTrunc(choice.to);
        return;
      case "SNAP":
        this.#snapshots.open(learner);
        return;
    }
  }

  /** Handles the answer to TRUNC. @returns false if it does not fit the stage of the stay */
  truncated(learner: Learner, message: Position): boolean {
    if (!learner.truncated(message)) return false;
    this.#begin(learner);
    return true;
  }

  /** Handles the answer to a chunk or a proposal. @returns false if it does not fit the stage of the stay */
  staged(learner: Learner): boolean {
    if (!learner.staged()) return false;
    this.#dropUnless(learner.continueSync(this.#leadership.phase === "BROADCAST"), learner);
    return true;
  }

  /** Ends the stay of a learner that needs entries which the log no longer contains; its next stay gets a SNAP. */
  #dropUnless(isReached: boolean, learner: Learner): void {
    if (!isReached) this.#leadership.drop(learner.sid);
  }
}
