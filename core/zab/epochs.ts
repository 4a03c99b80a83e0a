/** The epochs that a peer has promised and entered, and whether it is a voter: the durable state of Zab beside the log. */
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
  /** while this peer is without memory: voters that have stored its incarnation durably and reported their promises */
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

  /** The candidate that received the promise of acceptedEpoch; null if none, or unknown. */
  get promisedTo(): Sid | null {
    return this.#promisedTo;
  }

  /** The epoch whose history this peer has taken over. */
  get currentEpoch(): Epoch {
    return this.#currentEpoch;
  }

  /** Whether this peer is a voter; false if it is without memory, so that it counts in no quorum. */
  get initialized(): boolean {
    return this.#initialized;
  }

  /** Whether this is a member of a new ensemble that has not voted yet. */
  get founding(): boolean {
    return this.#founding;
  }

  /** The highest epoch known to be promised, by this peer or by a learner that could not join. */
  get highestKnown(): Epoch {
    return asEpoch(Math.max(this.#acceptedEpoch, this.#refused));
  }

  /** Promises an epoch durably. @param to the candidate that may count the promise; null for none */
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

  /** Enters a promised epoch. @returns the write, which must be in one transaction with the history of the epoch */
  enter(epoch: Epoch): DurableWrite {
    assert(
      epoch >= this.#currentEpoch && epoch <= this.#acceptedEpoch,
      "an epoch is promised before it is entered",
    );
    this.#currentEpoch = epoch;
    return { type: "currentEpoch", epoch };
  }

  /** Makes this peer a voter. @returns the write */
  initialize(): DurableWrite {
    this.#initialized = true;
    this.#founding = false;
    return { type: "initialized" };
  }

  /** Makes this peer a peer without memory, since it has forgotten promises. */
  loseMemory(): void {
    this.#initialized = false;
  }

  /** Records the epoch that a learner has promised and that keeps it from joining. */
  noteRefused(epoch: Epoch): void {
    this.#refused = asEpoch(Math.max(this.#refused, epoch));
  }

  /**
   * Records that a voter has stored this incarnation. This peer then promises at least the voter's epoch, because it may
   * have done so before it lost its memory.
   */
  noteRecorded(voter: Sid, acceptedEpoch: Epoch): void {
    assert(!this.#initialized, "only a peer without memory depends on what others have recorded");
    this.recordedBy.add(voter);
    if (acceptedEpoch <= this.#acceptedEpoch) return;
    this.#accept(acceptedEpoch, null);
  }
}
