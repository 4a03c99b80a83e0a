/** Rules about the content of a member's log. */
import { must } from "../../core/assert.ts";
import { type Chain, equalChain } from "../../core/hash/chain.ts";
import type { DurableWrite } from "../../core/zab/effects.ts";
import type { Sid } from "../../core/zab/membership.ts";
import { compareZxid, maxZxid, type Zxid } from "../../core/zab/zxid.ts";
import type { Checker } from "./checker.ts";
import type { Checks } from "./checks.ts";
import { type CommittedHistory, keyOf, text } from "./committed-history.ts";
import { PerLife } from "./per-life.ts";
import type { SynchronizationChecker } from "./synchronization.ts";
import type { EnsembleView, LifeView } from "./view.ts";

/** Durable state of one incarnation. */
interface LogState {
  /** groups of writes that are not durable yet, with the end of the log that each makes durable */
  readonly writing: { readonly number: number; readonly last: Zxid }[];
  /** the end of the log that is durable */
  durable: Zxid;
}

/**
 * LogEquality, LogKept, Asleep, and the part of PrefixConsistency that is about logs: no committed txn leaves a log.
 * Invariant: a zxid has one chain in `#written`.
 */
export class LogChecker implements Checker {
  readonly #ensemble: EnsembleView;
  readonly #checks: Checks;
  readonly #history: CommittedHistory;
  readonly #synchronization: SynchronizationChecker;
  /** *map zxid → chain of the member that wrote it first* */
  readonly #written = new Map<number, Chain>();
  /** *map sid → committed txns that this member's log or tree holds durably* */
  readonly #held = new Map<Sid, number>();
  readonly #states = new PerLife<LogState>();
  /** *map sid → the highest zxid that was ever durable in this member's log* */
  readonly #highest = new Map<Sid, Zxid>();

  constructor(
    ensemble: EnsembleView,
    checks: Checks,
    history: CommittedHistory,
    synchronization: SynchronizationChecker,
  ) {
    this.#ensemble = ensemble;
    this.#checks = checks;
    this.#history = history;
    this.#synchronization = synchronization;
  }

  /** The end of the durable log of this member. */
  durableOf(life: LifeView): Zxid {
    return this.#state(life).durable;
  }

  /** Members in whose logs this zxid, or a later one, was durable once. */
  holdersOf(zxid: Zxid): number {
    let holders = 0;
    for (const highest of this.#highest.values()) if (compareZxid(highest, zxid) >= 0) holders += 1;
    return holders;
  }

  #state(life: LifeView): LogState {
    return this.#states.of(life);
  }

  started(life: LifeView): void {
    this.#states.set(life, { writing: [], durable: life.storage.log.last.zxid });
    this.#noteDurable(life.sid, life.storage.log.last.zxid);
    this.#checks.must(
      "PrefixConsistency",
      this.#history.heldBy(life) >= (this.#held.get(life.sid) ?? 0),
      () => `${life.sid} lost committed txns in a crash`,
    );
  }

  wiped(sid: Sid): void {
    this.#held.delete(sid);
  }

  persisting(life: LifeView, writes: readonly DurableWrite[]): void {
    for (const write of writes) {
      if (write.type === "truncate") {
        const kept = this.#history.countUpTo(write.to);
        this.#checks.must(
          "PrefixConsistency",
          kept >= this.#history.heldBy(life),
          () => `${life.sid} cuts its log at ${text(write.to)}`,
        );
      } else if (write.type === "append") {
        this.#checks.must(
          "Asleep",
          !life.server.zab.frozen,
          () => `${life.sid} logs ${text(write.last)} in its sleep`,
        );
        const known = this.#written.get(keyOf(write.last));
        if (known === undefined) this.#written.set(keyOf(write.last), write.chain);
        else {
          this.#checks.must(
            "LogEquality",
            equalChain(known, write.chain),
            () => `${life.sid} writes another ${text(write.last)}`,
          );
        }
      }
    }
  }

  persisted(life: LifeView): void {
    this.#state(life).writing.push({ number: life.disk.written, last: life.storage.log.last.zxid });
  }

  synced(life: LifeView): void {
    const state = this.#state(life);
    const { writing } = state;
    let done = 0;
    while (done < writing.length && (writing[done]?.number ?? 0) <= life.durable) done += 1;
    if (done > 0) {
      state.durable = must(writing[done - 1], "it was looked at").last;
      writing.splice(0, done);
      this.#noteDurable(life.sid, state.durable);
    }
    if (writing.length === 0) this.#held.set(life.sid, this.#history.heldBy(life));
  }

  #noteDurable(sid: Sid, end: Zxid): void {
    this.#highest.set(sid, maxZxid(this.#highest.get(sid) ?? end, end));
  }

  checkpointed(life: LifeView, base: Zxid): void {
    const { log, meta } = life.storage;
    const at = log.base.zxid;
    if (compareZxid(at, base) === 0) return;
    const { logRetainTxns } = this.#ensemble.config;
    this.#checks.must(
      "LogKept",
      compareZxid(at, meta.checkpoint.zxid) <= 0 && log.count >= logRetainTxns,
      () => `${life.sid} cuts its log up to ${text(at)}, ${log.count} txns are left`,
    );
    const { proposing } = life.server.zab;
    if (proposing === undefined) return;
    for (const [sid, { join, acked }] of this.#synchronization.staysOf(life)) {
      if (acked === null || proposing.joinOf(sid) !== join) continue;
      this.#checks.must(
        "LogKept",
        compareZxid(at, acked) <= 0,
        () => `${life.sid} cuts its log up to ${text(at)}, and ${sid} is at ${text(acked)}`,
      );
    }
  }
}
