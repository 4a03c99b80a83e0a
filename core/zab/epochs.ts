/** What a peer has promised, and whether it may: the durable state of Zab beside the log. */
import { assert } from "../assert.ts";
import type { DurableWrite } from "./effects.ts";
import type { Sid } from "./membership.ts";
import type { Step } from "./step.ts";
import type { RecoveredState } from "./storage.ts";
import { asEpoch, type Epoch } from "./zxid.ts";

/**
 * The epochs of one peer, and its right to vote.
 * Invariant: epoch(lastLoggedZxid) ≤ currentEpoch ≤ acceptedEpoch, and neither epoch ever falls.
 *
 * @source Zab, DSN 2011: f.p (acceptedEpoch) and f.a (currentEpoch); ZooKeeper QuorumPeer.acceptedEpoch, currentEpoch
 */
export class Epochs {
  readonly #step: Step;
  #acceptedEpoch: Epoch;
  #promisedTo: Sid | null;
  #currentEpoch: Epoch;
  #initialized: boolean;
  #founding: boolean;
  /** while this peer is without memory: voters that have stored its incarnation durably, and said what they had promised */
  readonly recordedBy = new Set<Sid>();
  /** the highest epoch promised by a learner that could not join for it; the next epoch chosen here is above it */
  #refused: Epoch = asEpoch(0);

  constructor(step: Step, recovered: RecoveredState) {
    assert(recovered.currentEpoch <= recovered.acceptedEpoch, "currentEpoch ≤ acceptedEpoch");
    this.#step = step;
    this.#acceptedEpoch = recovered.acceptedEpoch;
    this.#promisedTo = recovered.promisedTo;
    this.#currentEpoch = recovered.currentEpoch;
    this.#initialized = recovered.initialized;
    this.#founding = recovered.founding;
  }

  /** The highest epoch that was promised. */
  get acceptedEpoch(): Epoch {
    return this.#acceptedEpoch;
  }

  /** The candidate that got the promise of acceptedEpoch; null: nobody, or not known. */
  get promisedTo(): Sid | null {
    return this.#promisedTo;
  }

  /** The epoch whose history this peer has taken over. */
  get currentEpoch(): Epoch {
    return this.#currentEpoch;
  }

  /** A voter; false: without memory of what it promised, so it counts in no quorum. */
  get initialized(): boolean {
    return this.#initialized;
  }

  /** A member of a brand-new ensemble that has not voted yet. */
  get founding(): boolean {
    return this.#founding;
  }

  /** The highest epoch that is known to be promised, here or by a learner that could not join. */
  get highestKnown(): Epoch {
    return asEpoch(Math.max(this.#acceptedEpoch, this.#refused));
  }

  /** Promises an epoch, durably. @param to the candidate that may count the promise; null: none */
  promise(epoch: Epoch, to: Sid | null): void {
    this.#accept(epoch, to);
    this.#step.trace({ type: "epoch", epoch, kind: "accepted" });
  }

  #accept(epoch: Epoch, to: Sid | null): void {
    assert(epoch >= this.#acceptedEpoch, "a promise is never taken back");
    this.#acceptedEpoch = epoch;
    this.#promisedTo = to;
    this.#step.persist([{ type: "acceptedEpoch", epoch, to }]);
  }

  /** Enters an epoch that was promised. @returns the write, which must be durable together with the history of the epoch */
  enter(epoch: Epoch): DurableWrite {
    assert(epoch >= this.#currentEpoch && epoch <= this.#acceptedEpoch, "only a promised epoch begins");
    this.#currentEpoch = epoch;
    return { type: "currentEpoch", epoch };
  }

  /** This peer counts in quorums from now on. @returns the write */
  initialize(): DurableWrite {
    this.#initialized = true;
    this.#founding = false;
    return { type: "initialized" };
  }

  /** This peer counts in no quorum any more, since it has forgotten promises. */
  loseMemory(): void {
    this.#initialized = false;
  }

  /** A learner cannot join, because it has promised this epoch. */
  noteRefused(epoch: Epoch): void {
    this.#refused = asEpoch(Math.max(this.#refused, epoch));
  }

  /** A voter has stored our incarnation and says what it has promised: we promise no less, for we may have done so before. */
  noteRecorded(voter: Sid, acceptedEpoch: Epoch): void {
    assert(!this.#initialized, "only a peer without memory depends on what others have recorded");
    this.recordedBy.add(voter);
    if (acceptedEpoch <= this.#acceptedEpoch) return;
    this.#accept(acceptedEpoch, null);
  }
}
