/** Phase 3 at the leader: proposes batches, and commits entries that a quorum has acknowledged. */
import { assert, must } from "../assert.ts";
import type { Learner } from "./learner.ts";
import type { Learners } from "./learners.ts";
import { type LogEntry, makeEntry } from "./log-entry.ts";
import type { Sid } from "./membership.ts";
import { PromptQuorum } from "./prompt-quorum.ts";
import type { RoleHost } from "./role.ts";
import { compareZxid, type Epoch, type Zxid, zxid } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * Proposes and commits the entries of one epoch.
 * Invariants: the counter rises by one per txn; an entry is committed only with all entries before it, and only once it is
 * durable at a quorum; the leader counts its own ack only for entries that are durable in its own storage.
 *
 * @source Zab, DSN 2011, phase 3 (leader); ZooKeeper Leader.propose, tryToCommit
 */
export class Broadcast {
  readonly #host: RoleHost;
  readonly #learners: Learners;
  readonly #prompt: PromptQuorum;
  #epoch: Epoch | null = null;
  /** counter of the last txn proposed in this epoch */
  #counter = 0;
  /** zxid of the last txn of each batch that is proposed and not yet committed */
  #outstanding: Zxid[] = [];
  /** when `released` inputs are due that were requested and have not come; ms */
  readonly #requested: number[] = [];

  constructor(host: RoleHost, learners: Learners) {
    this.#host = host;
    this.#learners = learners;
    this.#prompt = new PromptQuorum(host, learners);
  }

  /** Starts broadcast in an established epoch. */
  begin(epoch: Epoch): void {
    assert(this.#epoch === null, "an epoch is established once");
    this.#epoch = epoch;
  }

  /** zxid of the next txn. */
  get nextZxid(): Zxid {
    return zxid(this.#established, this.#counter + 1);
  }

  /** Whether another batch may be in flight. */
  get hasRoom(): boolean {
    return this.#outstanding.length < this.#host.self.config.batchesInFlightMax && !this.isExhausted;
  }

  /** Whether the counter of this epoch is used up. */
  get isExhausted(): boolean {
    return this.#counter >= this.#host.self.config.counterMax;
  }

  /** Whether every proposal is committed. */
  get isIdle(): boolean {
    return this.#outstanding.length === 0;
  }

  /**
   * Proposes a batch of txns with the zxids that {@link nextZxid} gave. The PROPOSAL is sent before this peer's own write;
   * its own ack counts only once that write is durable.
   */
  propose(batch: Uint8Array): LogEntry {
    const { step, history } = this.#host;
    const prev = history.lastLogged;
    const entry = must(makeEntry(prev, batch), "a proposal continues the log");
    assert(entry.first.epoch === this.#established, "a leader proposes in its own epoch");
    this.#counter = entry.last.counter;
    this.#outstanding.push(entry.last);
    this.#prompt.review();
    const to: Sid[] = [];
    for (const learner of this.#learners.all()) if (learner.propose(prev, entry)) to.push(learner.sid);
    step.persist([history.append(entry)]);
    step.trace({ type: "propose", zxid: entry.last, count: entry.count, to });
    return entry;
  }

  /** Commits and delivers every entry that a quorum has acknowledged. */
  maybeCommit(): void {
    const { self, step, history } = this.#host;
    const acked = new Map<Sid, Zxid>([[self.sid, history.lastDurableZxid]]);
    for (const learner of this.#learners.all())
      if (learner.acked !== null) acked.set(learner.sid, learner.acked);
    const committed = self.quorum.highestAcked(acked);
    if (compareZxid(committed, history.lastCommittedZxid) > 0) {
      step.trace({ type: "commit", zxid: committed });
      this.#outstanding = this.#outstanding.filter((last) => compareZxid(last, committed) > 0);
      history.commitUpTo(committed);
    } else history.deliver();
  }

  /**
   * Sends what was held back and is due: proposals, the commit index to the learners that did not receive it with a proposal in this
   * turn, and CHECKs.
   * @returns learners that need a new stay; see {@link Learner.pump}
   */
  flush(): readonly Learner[] {
    if (this.#isHolding) this.#prompt.review();
    const lost: Learner[] = [];
    let earliest = NEVER;
    for (const learner of this.#learners.all()) {
      if (!learner.sendHeld() || !learner.sendDueChunk()) lost.push(learner);
      learner.maybeCheck();
      earliest = Math.min(earliest, learner.flushCommit(), learner.heldUntil, learner.chunkDueAt);
    }
    this.#holdUntil(earliest);
    return lost;
  }

  /** Whether proposals are held back for a learner. */
  get #isHolding(): boolean {
    for (const { isHeld } of this.#learners.all()) if (isHeld) return true;
    return false;
  }

  /** Ends a hold: sends the COMMITs that are due. */
  release(): void {
    this.#requested.sort((a, b) => a - b).shift();
  }

  /**
   * Requests a hold for all learners, unless one ends by then. A requested hold cannot be cancelled, so an earlier one is
   * requested beside it; each is counted until it ends, or they would multiply.
   */
  #holdUntil(at: number): void {
    const { step } = this.#host;
    if (at === NEVER || this.#requested.some((each) => each <= at)) return;
    this.#requested.push(at);
    step.push({ type: "hold", ms: Math.max(0, at - step.now) });
  }

  get #established(): Epoch {
    return must(this.#epoch, "an epoch is established before its broadcast");
  }
}
