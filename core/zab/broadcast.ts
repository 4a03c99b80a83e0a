/** Phase 3 at the leader: proposes batches, and commits what a quorum has. */
import { assert, must } from "../assert.ts";
import type { Learners } from "./learners.ts";
import { type LogEntry, makeEntry } from "./log-entry.ts";
import type { Sid } from "./membership.ts";
import type { RoleHost } from "./role.ts";
import { compareZxid, type Epoch, type Zxid, zxid } from "./zxid.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * What a leader proposes and commits in its epoch.
 * Invariants: counters of the epoch rise by one; an entry is committed only with everything before it, and only once a quorum
 * has it durably; the leader counts itself only for what is durable in its own storage.
 *
 * @source Zab, DSN 2011, phase 3 (leader); ZooKeeper Leader.propose, tryToCommit
 */
export class Broadcast {
  readonly #host: RoleHost;
  readonly #learners: Learners;
  #epoch: Epoch | null = null;
  /** of the last txn that was proposed in this epoch */
  #counter = 0;
  /** last entry of each batch that is proposed and not committed */
  #outstanding: Zxid[] = [];
  /** when `released` comes, where COMMITs are held back; ms */
  #releaseAt = NEVER;

  constructor(host: RoleHost, learners: Learners) {
    this.#host = host;
    this.#learners = learners;
  }

  /** The epoch is established. */
  begin(epoch: Epoch): void {
    assert(this.#epoch === null, "an epoch is established once");
    this.#epoch = epoch;
  }

  /** zxid of the next txn. */
  get nextZxid(): Zxid {
    return zxid(this.#established, this.#counter + 1);
  }

  /** May another batch be in flight? */
  get hasRoom(): boolean {
    return this.#outstanding.length < this.#host.self.config.batchesInFlightMax && !this.isExhausted;
  }

  /** The counter of this epoch is used up. */
  get isExhausted(): boolean {
    return this.#counter >= this.#host.self.config.counterMax;
  }

  /** Everything that was proposed is committed. */
  get isIdle(): boolean {
    return this.#outstanding.length === 0;
  }

  /**
   * Proposes a batch of txns with the zxids that {@link nextZxid} gave. The proposal leaves before our own write; we
   * count ourselves only once that is durable.
   */
  propose(batch: Uint8Array): LogEntry {
    const { step, history } = this.#host;
    const prev = history.lastLogged;
    const entry = must(makeEntry(prev, batch), "a proposal continues the log");
    assert(entry.first.epoch === this.#established, "a leader proposes in its own epoch");
    this.#counter = entry.last.counter;
    this.#outstanding.push(entry.last);
    const to: Sid[] = [];
    for (const learner of this.#learners.all()) if (learner.propose(prev, entry)) to.push(learner.sid);
    step.persist([history.append(entry)]);
    step.trace({ type: "propose", zxid: entry.last, count: entry.count, to });
    return entry;
  }

  /** Commits what a quorum has, and delivers it here. */
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

  /** Sends the learners the commit index where no proposal of this turn has carried it, and the CHECKs that are due. */
  flush(): void {
    let earliest = NEVER;
    for (const learner of this.#learners.all()) {
      learner.maybeCheck();
      earliest = Math.min(earliest, learner.flushCommit());
    }
    this.#holdUntil(earliest);
  }

  /** The time of a hold is over: what is due is sent. */
  release(): void {
    this.#releaseAt = NEVER;
  }

  /** One hold for all: a clock that stands still must not make more of them each time. */
  #holdUntil(at: number): void {
    const { step } = this.#host;
    if (at >= this.#releaseAt) return;
    this.#releaseAt = at;
    step.push({ type: "hold", ms: at - step.now });
  }

  get #established(): Epoch {
    return must(this.#epoch, "an epoch is established before its broadcast");
  }
}
