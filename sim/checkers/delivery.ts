/** All members apply one history. */
import { must } from "../../core/assert.ts";
import { chainHash, equalChain, newLanes, viewOf } from "../../core/hash/chain.ts";
import { TxnCursor } from "../../core/wire/txn-codec.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { LogPosition } from "../../core/zab/messages.ts";
import { compareZxid, maxZxid, ZXID_ZERO, type Zxid } from "../../core/zab/zxid.ts";
import type { Checker } from "./checker.ts";
import type { Checks } from "./checks.ts";
import { type Committed, type CommittedHistory, text } from "./committed-history.ts";
import type { ElectionChecker } from "./election.ts";
import type { LogChecker } from "./log.ts";
import { PerLife } from "./per-life.ts";
import type { EnsembleView, LifeView } from "./view.ts";

/**
 * PrefixConsistency, Integrity, Agreement, TotalOrder, LocalPrimaryOrder, GlobalPrimaryOrder, Durable. The first member to
 * apply a txn extends the committed history; the txns applied by others are compared with it.
 */
export class DeliveryChecker implements Checker {
  readonly #ensemble: EnsembleView;
  readonly #checks: Checks;
  readonly #history: CommittedHistory;
  readonly #election: ElectionChecker;
  readonly #log: LogChecker;
  readonly #onCommitted: (entry: Committed, cursor: TxnCursor) => void;
  /** *map life → committed txns applied in it* */
  readonly #applied = new PerLife<number>();

  /** @param onCommitted called with each txn that is new in the history */
  constructor(
    ensemble: EnsembleView,
    checks: Checks,
    history: CommittedHistory,
    election: ElectionChecker,
    log: LogChecker,
    onCommitted: (entry: Committed, cursor: TxnCursor) => void,
  ) {
    this.#ensemble = ensemble;
    this.#checks = checks;
    this.#history = history;
    this.#election = election;
    this.#log = log;
    this.#onCommitted = onCommitted;
  }

  started(life: LifeView): void {
    const { lastApplied } = life.server.tree;
    this.#applied.set(life, this.#history.countUpTo(lastApplied));
    this.#checkApplied(life, lastApplied);
  }

  stepped(life: LifeView): void {
    const applied = this.#applied.of(life);
    const { lastApplied } = life.server.tree;
    const from = this.#history.entries[applied - 1]?.zxid ?? ZXID_ZERO;
    if (compareZxid(lastApplied, from) === 0) return;
    const durable = this.#log.durableOf(life);
    this.#checks.must(
      "Durable",
      compareZxid(lastApplied, durable) <= 0 || compareZxid(lastApplied, life.storage.log.base.zxid) === 0,
      () => `${life.sid} applied ${text(lastApplied)}, durable ${text(durable)}`,
    );
    const { end } = this.#history;
    if (compareZxid(lastApplied, end) > 0) {
      const holders = this.#log.holdersOf(lastApplied);
      this.#checks.must(
        "Durable",
        2 * holders > this.#ensemble.members.length,
        () => `${life.sid} applied ${text(lastApplied)} first, and ${holders} members held it`,
      );
      this.#walk(life, maxZxid(from, end));
    }
    this.#checkApplied(life, lastApplied);
    this.#applied.set(life, this.#history.countUpTo(lastApplied));
  }

  #checkApplied({ sid, storage }: LifeView, zxid: Zxid): void {
    this.#checkPosition(sid, must(storage.log.positionAt(zxid), "the applied zxid is in the log"));
  }

  /** Extends the history by the txns that a member is the first to apply. */
  #walk(life: LifeView, from: Zxid): void {
    const { log } = life.storage;
    const end = life.server.tree.lastApplied;
    // A snapshot contains only txns that some member has applied before.
    const start = log.positionAt(from);
    this.#checks.must(
      "Agreement",
      start !== undefined && compareZxid(start.zxid, from) === 0,
      () => `${life.sid} applied up to ${text(end)} and lacks ${text(from)}`,
    );
    for (let slice = log.read(from); slice !== undefined; slice = log.read(slice.last)) {
      const lanes = newLanes();
      lanes[0] = slice.prev.chain.high;
      lanes[1] = slice.prev.chain.low;
      const cursor = new TxnCursor(slice.batch);
      while (cursor.next() && compareZxid(cursor.zxid(), end) <= 0) {
        chainHash(lanes[0] ?? 0, lanes[1] ?? 0, viewOf(slice.batch), cursor.start, cursor.end, lanes);
        const chain = { high: (lanes[0] ?? 0) >>> 0, low: (lanes[1] ?? 0) >>> 0 };
        const { session, xid, start } = cursor;
        const entry = { zxid: cursor.zxid(), chain, session, xid, batch: slice.batch, start };
        this.#extend(entry, cursor);
      }
      if (compareZxid(slice.last, end) >= 0) break;
    }
  }

  #extend(entry: Committed, cursor: TxnCursor): void {
    const { zxid } = entry;
    const last = this.#history.end;
    const what = (): string => `${text(zxid)} comes after ${text(last)}`;
    this.#checks.must("GlobalPrimaryOrder", zxid.epoch >= last.epoch, what);
    this.#checks.must(
      "LocalPrimaryOrder",
      zxid.counter === (zxid.epoch === last.epoch ? last.counter + 1 : 1),
      what,
    );
    this.#checks.must(
      "Integrity",
      zxid.counter <= this.#election.broadcastOf(zxid.epoch),
      () => `${text(zxid)} was broadcast by nobody`,
    );
    this.#history.append(entry);
    this.#onCommitted(entry, cursor);
  }

  /** Checks that a zxid known to be committed is in the history. */
  #checkPosition(sid: Sid, position: LogPosition): void {
    if (compareZxid(position.zxid, ZXID_ZERO) === 0) return;
    const known = this.#history.at(position.zxid);
    this.#checks.must("Agreement", known !== undefined, () => `${sid} applied ${text(position.zxid)} alone`);
    if (known === undefined) return;
    const same = compareZxid(known.zxid, position.zxid) === 0 && equalChain(known.chain, position.chain);
    const what = (): string =>
      `${sid} applied ${text(position.zxid)} where others applied ${text(known.zxid)}`;
    // The chain depends on the whole history up to here, so one comparison checks all three.
    this.#checks.must("PrefixConsistency", same, what);
    this.#checks.must("Agreement", same, what);
    this.#checks.must("TotalOrder", same, what);
  }
}
