/** Equal histories make equal trees. A damaged tree is not served and not sent to other members. */
import { equalChain } from "../../core/hash/chain.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import { TxnCursor } from "../../core/wire/txn-codec.ts";
import type { Sid } from "../../core/zab/membership.ts";
import { compareZxid, type Zxid } from "../../core/zab/zxid.ts";
import { ZnodeTree } from "../../core/znode/tree.ts";
import type { Checker } from "./checker.ts";
import type { Checks } from "./checks.ts";
import { type Committed, type CommittedHistory, keyOf, text } from "./committed-history.ts";
import { PerLife } from "./per-life.ts";
import type { Stay, SynchronizationChecker } from "./synchronization.ts";
import type { EnsembleView, LifeView, MemberView } from "./view.ts";

/**
 * A member lacked log, and its leader's tree is wrong on disk in a way that no checksum shows. No other member had reported
 * its tree to that leader, so the damage could not be found, and the run proves nothing about trees from now on. See
 * `docs/divergence.md`.
 */
export class Indistinguishable extends Error {}

/** State of one incarnation: its own tree, and the copies that it sent to learners as the leader. */
interface TreeState {
  /** zxid at which its tree was last compared */
  checkedAt: Zxid;
  /** *map learner → the epoch in which it reported a tree to this leader, and the zxid of that tree* */
  readonly witnesses: Map<Sid, { readonly epoch: number; readonly zxid: Zxid }>;
  /** *map learner → the epoch in which this leader sent it a tree that no quorum had compared, and that it could not compare* */
  readonly copies: Map<Sid, number>;
  /** learners in `copies` that were sent the tree although another learner could have been asked */
  readonly hasty: Set<Sid>;
}

/**
 * DigestEquality. Without damage the first digest of a zxid is the right one; once trees are damaged, the one of the tree that
 * the committed history makes.
 */
export class DigestChecker implements Checker {
  readonly #ensemble: EnsembleView;
  readonly #checks: Checks;
  readonly #history: CommittedHistory;
  readonly #synchronization: SynchronizationChecker;
  readonly #states = new PerLife<TreeState>();
  /** *map zxid → its digest* */
  readonly #digests = new Map<number, { readonly high: number; readonly low: number }>();
  readonly #tampered = new Set<Sid>();
  /** the tree that the committed history makes; null while no tree is damaged */
  #model: ZnodeTree | null = null;
  /** members whose tree was damaged, until it is right again */
  readonly damagedTrees = new Set<number>();

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

  #state(life: LifeView): TreeState {
    return this.#states.of(life);
  }

  // ── damage ───────────────────────────────────────────────────────────────

  /** Records that the tree of this member was changed in memory, so its digest proves nothing until it crashes. */
  tolerate(sid: Sid): void {
    this.#tampered.add(sid);
  }

  /** Prepares for damaged trees in this run: only the history shows which tree is right. */
  expectDamage(): void {
    if (this.#model !== null) return;
    this.#model = new ZnodeTree();
    for (const { batch, start } of this.#history.entries) {
      const cursor = new TxnCursor(batch, start);
      cursor.next();
      this.#applyToModel(cursor);
    }
  }

  /**
   * Records that the tree of this member was damaged: it may be wrong while the member does not serve, and no other may
   * become wrong.
   */
  treeDamaged({ sid }: MemberView): void {
    this.expectDamage();
    this.damagedTrees.add(sid);
  }

  #applyToModel(cursor: TxnCursor): void {
    const model = this.#model;
    if (model === null) return;
    const header = cursor.header();
    model.apply(header, cursor.txn());
    model.events.length = 0;
    this.#digests.set(keyOf(header.zxid), { high: model.digestHigh, low: model.digestLow });
  }

  // ── events ───────────────────────────────────────────────────────────────

  started(life: LifeView): void {
    this.#states.set(life, {
      checkedAt: life.server.tree.lastApplied,
      witnesses: new Map(),
      copies: new Map(),
      hasty: new Set(),
    });
    this.#check(life);
  }

  crashed({ sid }: MemberView): void {
    this.#tampered.delete(sid);
  }

  committed(_entry: Committed, cursor: TxnCursor): void {
    this.#applyToModel(cursor);
  }

  stepped(life: LifeView): void {
    const state = this.#state(life);
    const { lastApplied } = life.server.tree;
    const isSame = compareZxid(lastApplied, state.checkedAt) === 0;
    if (isSame && !this.damagedTrees.has(life.sid)) return;
    state.checkedAt = lastApplied;
    this.#check(life);
  }

  checkpointed(life: LifeView): void {
    if (!life.storage.isConfirmed) return;
    const { meta } = life.storage;
    const known = this.#digests.get(keyOf(meta.checkpoint.zxid));
    this.#checks.must(
      "DigestEquality",
      known === undefined || (meta.digest !== undefined && equalChain(known, meta.digest)),
      () => `${life.sid} marks a wrong checkpoint as confirmed, at ${text(meta.checkpoint.zxid)}`,
    );
  }

  leaving(life: LifeView, to: Sid, message: PeerMessage): void {
    if (message.type !== "SNAP") return;
    const stay = this.#synchronization.staysOf(life).get(to);
    if (stay !== undefined) this.#copies(life, to, stay);
  }

  arriving(from: LifeView, to: LifeView, message: PeerMessage): void {
    if (message.type !== "ACKEPOCH" || message.needSnap) return;
    const stay = this.#synchronization.staysOf(to).get(from.sid);
    if (stay === undefined || stay.join !== message.join || stay.epoch !== message.epoch) return;
    if (stay.tree === null) return;
    this.#state(to).witnesses.set(from.sid, { epoch: stay.epoch, zxid: stay.tree.zxid });
  }

  #check(life: LifeView): void {
    if (this.#tampered.has(life.sid)) return;
    const { lastApplied, digestHigh, digestLow } = life.server.tree;
    const key = keyOf(lastApplied);
    const known = this.#digests.get(key);
    if (this.damagedTrees.has(life.sid)) {
      const right = known === undefined || (known.high === digestHigh && known.low === digestLow);
      if (!right && life.server.ready) this.#mayBeWrong(life);
      this.#checks.must(
        "DigestEquality",
        right || !life.server.ready,
        () => `${life.sid} serves with a damaged tree at ${text(lastApplied)}`,
      );
      if (right && this.#isDiskRight(life)) this.damagedTrees.delete(life.sid);
      return;
    }
    if (known === undefined) this.#digests.set(key, { high: digestHigh, low: digestLow });
    else {
      const isEqual = known.high === digestHigh && known.low === digestLow;
      if (!isEqual) this.#mayBeWrong(life);
      this.#checks.must("DigestEquality", isEqual, () => `${life.sid} differs at ${text(lastApplied)}`);
    }
  }

  /**
   * Whether the checkpoint that a crash would leave is the tree of the history. A tree that is right in memory may be wrong
   * after a restart.
   */
  #isDiskRight({ disk }: LifeView): boolean {
    if (disk.pending > 0) return false;
    const { table, checkpoint } = disk.readMeta();
    const { znodes, sessions } = disk.readTable(table, "", Number.MAX_SAFE_INTEGER);
    const { digestHigh, digestLow } = ZnodeTree.load(znodes, sessions, checkpoint.zxid);
    const known = this.#digests.get(keyOf(checkpoint.zxid));
    return known === undefined || (known.high === digestHigh && known.low === digestLow);
  }

  // ── trees that a leader sends ────────────────────────────────────────────

  /** Records that a learner is sent the leader's tree. */
  #copies(life: LifeView, to: Sid, { tree, epoch }: Stay): void {
    const { witnesses, copies, hasty } = this.#state(life);
    const couldCompare = tree !== null && life.server.zab.digestAt(tree.zxid) !== undefined;
    // a tree that the leader had passed before it started cannot be compared with its own
    const told = [...witnesses].filter(
      ([sid, at]) => sid !== to && at.epoch === epoch && life.server.zab.digestAt(at.zxid) !== undefined,
    ).length;
    const isProven = told + 1 > this.#ensemble.members.length / 2;
    if (!couldCompare && !isProven && !life.storage.isConfirmed) copies.set(to, epoch);
    else copies.delete(to);
    if (this.#couldAsk(life, to, epoch)) hasty.add(to);
    else hasty.delete(to);
  }

  /**
   * Whether another learner had the leader's history, and a tree that was not ahead of the leader's, so that it could answer CHECK.
   */
  #couldAsk(life: LifeView, to: Sid, epoch: number): boolean {
    const { server, storage } = life;
    const { copies } = this.#state(life);
    const stays = this.#synchronization.staysOf(life);
    return server.zab.activeSet.some((other) => {
      const stay = stays.get(other);
      if (other === to || stay === undefined || stay.tree === null) return false;
      if (copies.get(other) === epoch || storage.isConfirmed) return false;
      if (!stay.checksEarly && !stay.upToDate) return false;
      return compareZxid(stay.tree.zxid, server.tree.lastApplied) <= 0;
    });
  }

  /** Whether this member has a copy of that leader's tree, which proves nothing about that tree. */
  isUnprovenCopy(leader: LifeView, sid: Sid): boolean {
    return this.#state(leader).copies.get(sid) === leader.server.zab.currentEpoch;
  }

  /** @throws Indistinguishable if this member has a wrong tree, and no member could have prevented that */
  #mayBeWrong({ sid, server }: LifeView): void {
    const leader = this.#ensemble.members.find((member) => member.sid === server.zab.leader)?.life;
    if (!leader || leader.sid === sid || !this.damagedTrees.has(leader.sid)) return;
    const epoch = leader.server.zab.currentEpoch;
    const { copies, hasty, witnesses } = this.#state(leader);
    if (copies.get(sid) !== epoch) return;
    // The leader has compared the digests that it remembers; for others it has to ask the learner.
    const couldKnow = [...witnesses].some(
      ([other, at]) =>
        at.epoch === epoch &&
        copies.get(other) !== epoch &&
        leader.server.zab.digestAt(at.zxid) !== undefined,
    );
    if (!couldKnow && !hasty.has(sid)) throw new Indistinguishable(`${sid} has the tree of ${leader.sid}`);
  }
}
