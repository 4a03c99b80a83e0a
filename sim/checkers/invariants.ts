/**
 * What must hold in every run, whatever fails. {@link Invariants} is told of everything that happens in a {@link Cluster} and
 * looks at what that touched, so nothing is looked at twice and nothing is missed.
 *
 * | rule | in one line | source |
 * |---|---|---|
 * | Leadership1 | no two members are beyond discovery in one epoch as leaders | TLA+ |
 * | Leadership2 | an epoch has one established leader in the whole run, in one life of it | TLA+ |
 * | PrefixConsistency | committed histories are prefixes of one another, by zxid and chain; nothing committed is taken back | TLA+ |
 * | Integrity | what is delivered was broadcast by the leader of its epoch | TLA+, paper |
 * | Agreement | what one member delivered, every other has at that place | TLA+, paper |
 * | TotalOrder | all deliver in one order | TLA+, paper |
 * | LocalPrimaryOrder | of one epoch, in the order of the broadcast and without a gap | TLA+, paper |
 * | GlobalPrimaryOrder | no smaller epoch after a larger one | TLA+, paper |
 * | PrimaryIntegrity | whoever begins to broadcast has everything that was ever committed in earlier epochs | TLA+, paper |
 * | stateInconsistent | no message comes in a phase that is not its own | TLA+, in action |
 * | proposalInconsistent | a proposal follows the one before it | TLA+, in action |
 * | commitInconsistent | nobody is told to commit what it was not sent, or twice, or backwards | TLA+, in action |
 * | ackInconsistent | an ack names what was sent, and rises | TLA+, in action |
 * | messageIllegal | leader and learner say only what is theirs to say | TLA+, in action |
 * | Epochs | epoch(log end) ≤ currentEpoch ≤ acceptedEpoch; neither goes back, and no promise that left is forgotten | Zab, DSN 2011 |
 * | LogEquality | equal zxid, equal chain, committed or not | Zab, DSN 2011 |
 * | DigestEquality | equal applied zxid, equal tree and sessions; where trees are damaged, the history's, and nobody serves with another | ZooKeeper AdHash |
 * | Durable | nothing is applied that is not durable here | ZOOKEEPER-4882 |
 * | ToldIsCommitted | what a client was told of is committed | reliability |
 * | Once | each (session, xid) happens once, in the order of the xids | reliability |
 * | SessionOrder | answers of one session leave a member in the order of its requests | ZooKeeper's guarantees |
 * | Linearizable | a linearizable read shows every write that was answered before it was asked | `sync` |
 * | SessionExpiry | no session is closed before its timeout is over since a leader last heard of it, by a clock whose jumps count for two ticks at most | ZooKeeper SessionTracker |
 * | Grace | a leader closes no session within a tick of becoming ready | SERVER-10, QUIET-5 |
 * | SignOfLife | what a follower heard of a session counts, if nothing is wrong with members and links meanwhile | SERVER-9, 39 |
 * | Ephemerals | none outlives its session | ZooKeeper's guarantees |
 * | AtLeast | nobody is shown less than what it says that it has seen | SERVER-31 |
 * | ReadReady | a member that has not served in this life answers only reads that may be stale | SERVER-1, 34 |
 * | LogKept | the log is cut below the checkpoint only, and keeps what it is told to keep and what active learners lack | ZAB-14 |
 * | SessionMoved | once a connection has attached to a session, no write of an earlier one happens | SERVER-33 |
 * | Asleep | a member that has agreed to sleep logs nothing until an election | QUIET-8 |
 * | CallOrder | no call of a link is handled before one that was to arrive within a second | NODE-12 |
 * | ReadyWhole | a follower takes requests only once it has applied all that its log held when its stay came to broadcast | SERVER-4 |
 * | AnswerSize | no answer is larger than what its reader allows; a list that is reads the same in pages | HTTP-47 |
 * | Liveness | healed, the ensemble has a leader soon, and all agree soon after | ours |
 *
 * The rules of discovery and of members that forget are in `promises.ts`.
 *
 * @source ZooKeeper's TLA+ specifications: `Zab.tla`, `ZkV3_7_0.tla`
 */
import { must } from "../../core/assert.ts";
import { type Chain, chainHash, equalChain, newLanes, viewOf } from "../../core/hash/chain.ts";
import type { ServerAnswer } from "../../core/server/answers.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import { TxnCursor, TxnType } from "../../core/wire/txn-codec.ts";
import type { DurableWrite } from "../../core/zab/effects.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { DigestAt, LogPosition } from "../../core/zab/messages.ts";
import { compareZxid, maxZxid, ZXID_ZERO, type Zxid } from "../../core/zab/zxid.ts";
import { ZnodeTree } from "../../core/znode/tree.ts";
import { isAnonymous, NO_SESSION, type SessionId } from "../../core/znode/types.ts";
import type { Cluster, Life, Member } from "../cluster.ts";
import { Promises } from "./promises.ts";

export const RULES = [
  "Leadership1",
  "Leadership2",
  "PrefixConsistency",
  "Integrity",
  "Agreement",
  "TotalOrder",
  "LocalPrimaryOrder",
  "GlobalPrimaryOrder",
  "PrimaryIntegrity",
  "stateInconsistent",
  "proposalInconsistent",
  "commitInconsistent",
  "ackInconsistent",
  "messageIllegal",
  "Epochs",
  "LogEquality",
  "DigestEquality",
  "Durable",
  "ToldIsCommitted",
  "Once",
  "SessionOrder",
  "Linearizable",
  "SessionExpiry",
  "Grace",
  "SignOfLife",
  "Ephemerals",
  "PromiseOnce",
  "NewEpoch",
  "Discovery",
  "LivesSeen",
  "Witnesses",
  "AtLeast",
  "ReadReady",
  "LogKept",
  "SessionMoved",
  "Asleep",
  "CallOrder",
  "ReadyWhole",
  "AnswerSize",
  "Liveness",
] as const;
export type Rule = (typeof RULES)[number];

/** A rule that did not hold. */
export class Violation extends Error {
  readonly rule: Rule;

  constructor(rule: Rule, what: string) {
    super(`[${rule}] ${what}`);
    this.rule = rule;
  }
}

/**
 * A member lacked log, and its leader's tree is wrong on disk in a way that no checksum shows. Nobody else had told that leader
 * of a tree, so nobody could know: what is right or wrong from here on is not decided. See `docs/divergence.md`.
 */
export class Indistinguishable extends Error {}

/** One committed txn. */
interface Committed {
  /** where its record is */
  readonly batch: Uint8Array;
  readonly start: number;
  readonly zxid: Zxid;
  readonly chain: Chain;
  readonly session: SessionId;
  readonly xid: number;
}

/** A request under way. */
export interface Asked {
  readonly sid: Sid;
  readonly life: number;
  readonly session: SessionId;
  /** rises with every request of the run */
  readonly order: number;
  /** linearizable: what the answer has to show */
  readonly mustSee: Zxid | null;
}

/** What a member has told others, which no crash may take back. */
interface Promised {
  acceptedEpoch: number;
  currentEpoch: number;
}

/** A learner's stay with a leader, by what both say: ours to compare with what the core makes of it. */
interface Stay {
  readonly join: number;
  readonly epoch: number;
  /** the leader had lost sight of the learner, and takes it in under the same number */
  readonly again: boolean;
  promised: boolean;
  synchronizing: boolean;
  /** end of what the learner was sent */
  sent: Zxid | null;
  closing: boolean;
  upToDate: boolean;
  acked: Zxid | null;
  commit: Zxid;
  /** what its ACKEPOCH said of its tree; null: nothing */
  tree: DigestAt | null;
  /** it answers CHECK before UPTODATE too */
  checksEarly: boolean;
}

/** When a session was last heard of, and the longest silence before that; ms. */
interface Heard {
  readonly at: number;
  readonly longestMs: number;
  /** the member that heard of it, and how far every member's clock had run ahead then */
  readonly by: Life | null;
  readonly gains: readonly number[];
}

/** What the checks know of one life. */
interface LifeState {
  /** FOLLOWING in broadcast: where its log ended when it came to it */
  broadcastFrom: Zxid | null;
  /** committed txns applied in it */
  applied: number;
  /** what becomes durable with which group of writes */
  readonly writing: { readonly number: number; readonly last: Zxid }[];
  durable: Zxid;
  role: string;
  phase: string;
  epoch: number;
  /** *map learner → its stay*: of the life as leader */
  readonly stays: Map<Sid, Stay>;
  /** *map learner → the epoch in which it told this leader of a tree, and the zxid of that* */
  readonly witnesses: Map<Sid, { readonly epoch: number; readonly zxid: Zxid }>;
  /** *map learner → the epoch in which this leader gave it a tree that no quorum had compared, and that it could not compare* */
  readonly copies: Map<Sid, number>;
  /** those of them that were given though another learner could be asked */
  readonly hasty: Set<Sid>;
  /** *map session → when it was last heard of*: by this leader, or by one before it; what a deposed one hears is lost */
  heard: Map<SessionId, Heard>;
  /** *map session → when clients showed that it lives, here*: the last times, ascending */
  readonly signs: Map<SessionId, number[]>;
  /** has it served? */
  wasReady: boolean;
  /** the stay in which it serves, and since when; null: it does not */
  serving: { readonly leader: Sid | null; readonly join: number | undefined; readonly since: number } | null;
}

/** Signs of life that are kept for a session. */
const SIGNS_MAX = 16;

const keyOf = (zxid: Zxid): number => zxid.epoch * 2 ** 32 + zxid.counter;
const nameOf = (life: Life): string => `${life.sid}/${life.number}`;
const text = (zxid: Zxid): string => `${zxid.epoch}.${zxid.counter}`;

export class Invariants {
  readonly #cluster: Cluster;
  /** the history that some member has applied, from the first txn on */
  readonly history: Committed[] = [];
  /** *map zxid → index in the history* */
  readonly #index = new Map<number, number>();
  /** *map epoch → who led it*: "sid/life" */
  readonly #leaders = new Map<number, string>();
  /** *map epoch → highest counter that its leader has broadcast* */
  readonly #broadcast = new Map<number, number>();
  /** *map zxid → chain of whoever wrote it first* */
  readonly #written = new Map<number, Chain>();
  /** *map sid → committed txns that this member's log or tree holds* */
  readonly #held = new Map<Sid, number>();
  readonly #lives = new WeakMap<Life, LifeState>();
  readonly #promised = new Map<Sid, Promised>();
  /** *map zxid → digest of whoever applied it first* */
  readonly #digests = new Map<number, { readonly high: number; readonly low: number }>();
  /** *map life → session → last request answered* */
  readonly #answered = new WeakMap<Life, Map<SessionId, number>>();
  /** *map session → xid → its txn* */
  readonly #done = new Map<SessionId, Map<number, Zxid>>();
  readonly #lastXid = new Map<SessionId, number>();
  readonly #tampered = new Set<Sid>();
  /** the tree that the committed history makes; null while no tree is damaged */
  #model: ZnodeTree | null = null;
  /** members whose tree was damaged, until it is right again */
  readonly damagedTrees = new Set<number>();
  /** *map session → when a leader last heard of it* */
  readonly #heard = new Map<SessionId, Heard>();
  /** *map session → when it was opened*: its leader watches over it from then on */
  readonly #opened = new Map<SessionId, Heard>();
  /** *map zxid → the expiry that it carries out* */
  readonly #expiring = new Map<number, { readonly silentMs: number; readonly timeoutMs: number }>();
  /** sessions whose owner sleeps with the ensemble */
  readonly #standing = new Set<SessionId>();
  /** sessions that their client closes */
  readonly #closing = new Set<SessionId>();
  /** epochs that were established, ascending, with the end of the history that each began with */
  readonly #established: { readonly epoch: number; readonly tail: Zxid }[] = [];
  readonly #promises: Promises;
  /** *map session → xid → the connections that asked for it* */
  readonly #connections = new Map<SessionId, Map<number, Set<number>>>();
  /** *map session → the connection that attached to it last* */
  readonly #owners = new Map<SessionId, number>();
  readonly #counts = new Map<Rule, number>(RULES.map((rule) => [rule, 0]));
  /** highest zxid that any client was told of */
  told: Zxid = ZXID_ZERO;
  /** the last epoch that had an established leader */
  #lastEpoch = 0;
  /** epochs that had an established leader */
  leaderChanges = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#promises = new Promises(cluster.members.length, (rule, holds, what) =>
      this.must(rule, holds, what),
    );
  }

  /** Checks made, by rule: a run that checked nothing proves nothing. */
  get checks(): ReadonlyMap<Rule, number> {
    return this.#counts;
  }

  /** The tree of this member was changed behind its back: its digest proves nothing. */
  tolerate(sid: Sid): void {
    this.#tampered.add(sid);
  }

  /** Trees are going to be damaged in this run: which of them is right is known from the history alone. */
  expectDamage(): void {
    if (this.#model !== null) return;
    this.#model = new ZnodeTree();
    for (const { batch, start } of this.history) {
      const cursor = new TxnCursor(batch, start);
      cursor.next();
      this.#applyToModel(cursor);
    }
  }

  /** The tree of this member was damaged: it may be wrong while the member does not serve, and no other may become wrong. */
  treeDamaged(member: Member): void {
    this.expectDamage();
    this.damagedTrees.add(member.sid);
  }

  #applyToModel(cursor: TxnCursor): void {
    const model = this.#model;
    if (model === null) return;
    const header = cursor.header();
    model.apply(header, cursor.txn());
    model.events.length = 0;
    this.#digests.set(keyOf(header.zxid), { high: model.digestHigh, low: model.digestLow });
  }

  /** @throws Violation */
  must(rule: Rule, holds: boolean, what: () => string): void {
    this.#counts.set(rule, (this.#counts.get(rule) ?? 0) + 1);
    if (holds) return;
    const { seed, now } = this.#cluster;
    throw new Violation(rule, `${what()} (seed ${seed}, at ${now}; ${this.#cluster.describe()})`);
  }

  #state(life: Life): LifeState {
    return must(this.#lives.get(life), "a life is known from its start");
  }

  // ── life and death ───────────────────────────────────────────────────────

  started(life: Life): void {
    const { meta, log } = life.storage;
    const promised = this.#promised.get(life.sid);
    if (promised !== undefined) {
      this.must(
        "Epochs",
        meta.acceptedEpoch >= promised.acceptedEpoch && meta.currentEpoch >= promised.currentEpoch,
        () => `${life.sid} forgot what it promised`,
      );
    }
    const { lastApplied } = life.server.tree;
    this.#lives.set(life, {
      broadcastFrom: null,
      applied: this.#countUpTo(lastApplied),
      writing: [],
      durable: log.last.zxid,
      role: "",
      phase: "",
      epoch: meta.currentEpoch,
      stays: new Map(),
      witnesses: new Map(),
      copies: new Map(),
      hasty: new Set(),
      heard: new Map(),
      signs: new Map(),
      wasReady: false,
      serving: null,
    });
    this.#checkPosition(life.sid, must(log.positionAt(lastApplied), "what is applied is in the log"));
    this.#checkDigest(life);
    this.must(
      "PrefixConsistency",
      this.#heldBy(life) >= (this.#held.get(life.sid) ?? 0),
      () => `${life.sid} lost committed txns in a crash`,
    );
  }

  /** Only what a member had durably is held against it. */
  crashed(member: Member): void {
    this.#tampered.delete(member.sid);
  }

  /** Its storage is gone, or old, or given up: what it said before is forgotten by rights. */
  wiped(member: Member): void {
    this.#held.delete(member.sid);
    this.#promised.delete(member.sid);
    this.#promises.wiped(member.sid);
  }

  // ── storage ──────────────────────────────────────────────────────────────

  persisting(life: Life, writes: readonly DurableWrite[]): void {
    for (const write of writes) {
      if (write.type === "truncate") {
        const kept = this.#countUpTo(write.to);
        this.must(
          "PrefixConsistency",
          kept >= this.#heldBy(life),
          () => `${life.sid} cuts its log at ${text(write.to)}`,
        );
      } else if (write.type === "append") {
        this.must(
          "Asleep",
          !life.server.zab.frozen,
          () => `${life.sid} logs ${text(write.last)} in its sleep`,
        );
        const known = this.#written.get(keyOf(write.last));
        if (known === undefined) this.#written.set(keyOf(write.last), write.chain);
        else {
          this.must(
            "LogEquality",
            equalChain(known, write.chain),
            () => `${life.sid} writes another ${text(write.last)}`,
          );
        }
        if (this.#leaders.get(write.first.epoch) === nameOf(life)) this.#proposes(life, write);
      }
    }
  }

  #proposes(life: Life, write: Extract<DurableWrite, { type: "append" }>): void {
    this.#broadcasts(write.last);
    const cursor = new TxnCursor(write.batch);
    while (cursor.next()) {
      if (cursor.type === TxnType.CLOSE_SESSION && cursor.xid === 0)
        this.#expires(life, cursor.session, cursor.zxid());
    }
  }

  #broadcasts(zxid: Zxid): void {
    const known = this.#broadcast.get(zxid.epoch) ?? 0;
    if (zxid.counter > known) this.#broadcast.set(zxid.epoch, zxid.counter);
  }

  /** A leader closes a session for its silence; whether that comes true is seen later. */
  #expires(life: Life, session: SessionId, zxid: Zxid): void {
    const known = life.server.tree.sessions.get(session);
    const heard = this.#state(life).heard.get(session) ?? this.#opened.get(session);
    if (known === undefined || heard === undefined || this.#closing.has(session)) return;
    // It may have been heard of again while its end waited to be proposed: that comes too late.
    const { now, config, skewMs } = this.#cluster;
    const silentMs = Math.max(heard.longestMs, this.#silence(heard, life));
    this.#expiring.set(keyOf(zxid), { silentMs, timeoutMs: known.timeoutMs });
    const { serving } = this.#state(life);
    // (It may give its epoch up in the very step.)
    if (serving !== null) {
      const since = now - serving.since;
      this.must(
        "Grace",
        since >= config.tickTimeMs - skewMs,
        () => `${life.sid} closes session ${session} ${since} ms after it became ready`,
      );
    }
    this.#looksForSigns(life, session, known.timeoutMs);
  }

  /** A follower that has served undisturbed for a while has passed on what it heard before. */
  #looksForSigns(leader: Life, session: SessionId, timeoutMs: number): void {
    const cluster = this.#cluster;
    const { now, config } = cluster;
    const at = now - SIGN_TICKS * config.tickTimeMs - cluster.slowestMs;
    if (cluster.undisturbedSince > at) return;
    for (const { life } of cluster.members) {
      if (life === null || life === leader) continue;
      const { serving, signs } = this.#state(life);
      if (serving === null || serving.leader !== leader.sid || serving.since > at) continue;
      const last = signs.get(session)?.findLast((time) => time <= at);
      if (last === undefined) continue;
      this.must(
        "SignOfLife",
        now - last >= timeoutMs - cluster.skewMs,
        () => `session ${session} is closed ${now - last} ms after ${life.sid} heard of it, not ${timeoutMs}`,
      );
    }
  }

  /** Time since then as this member may have counted it: a clock that ran ahead is no fault of the core. */
  #silence({ at, by, gains }: Heard, life: Life): number {
    const { now, members } = this.#cluster;
    const gained = this.#gains().map((gain, i) => gain - (gains[i] ?? 0));
    const own = gained[members.findIndex(({ sid }) => sid === life.sid)] ?? 0;
    // What another leader knew comes by that one's clock, or by what it noted for the sleep.
    return now - at + (by === life ? own : gained.reduce((sum, gain) => sum + gain, 0));
  }

  #gains(): number[] {
    const { now, members } = this.#cluster;
    return members.map(({ clock }) => clock.countedAt(now) - now);
  }

  #hear(by: Life, before: Heard | undefined): Heard {
    const longestMs = before === undefined ? 0 : Math.max(before.longestMs, this.#silence(before, by));
    return { at: this.#cluster.now, longestMs, by, gains: this.#gains() };
  }

  /** A client of the session is heard of at a member: it counts if that is the leader, which it is not in its sleep. */
  heard(life: Life, session: SessionId): void {
    const { zab, tree } = life.server;
    if (zab.proposing === undefined && tree.sessions.has(session)) {
      const { signs } = this.#state(life);
      const times = signs.get(session);
      if (times === undefined) signs.set(session, [this.#cluster.now]);
      else {
        times.push(this.#cluster.now);
        if (times.length > SIGNS_MAX) times.shift();
      }
    }
    if (zab.proposing !== undefined && !zab.frozen && tree.sessions.has(session)) {
      const { heard } = this.#state(life);
      const now = this.#hear(life, heard.get(session) ?? this.#opened.get(session));
      heard.set(session, now);
      if (life.server.zab.currentEpoch === this.#lastEpoch)
        this.#heard.set(session, { ...now, longestMs: 0 });
    }
  }

  /** The owner of a session stops with the ensemble, or goes on: meanwhile its clock stands still. */
  stands(session: SessionId, still: boolean): void {
    if (still) this.#standing.add(session);
    else this.#standing.delete(session);
  }

  /** A client closes its session. */
  closing(session: SessionId): void {
    this.#closing.add(session);
  }

  persisted(life: Life): void {
    const { log, meta } = life.storage;
    const state = this.#state(life);
    state.writing.push({ number: life.disk.written, last: log.last.zxid });
    this.must(
      "Epochs",
      log.last.zxid.epoch <= meta.currentEpoch &&
        meta.currentEpoch <= meta.acceptedEpoch &&
        meta.currentEpoch >= state.epoch,
      () =>
        `${life.sid}: log ${text(log.last.zxid)} current ${meta.currentEpoch} accepted ${meta.acceptedEpoch}`,
    );
    state.epoch = meta.currentEpoch;
  }

  /** Writes of this life became durable. */
  synced(life: Life): void {
    const { writing } = this.#state(life);
    let done = 0;
    while (done < writing.length && (writing[done]?.number ?? 0) <= life.durable) done += 1;
    if (done > 0) {
      this.#state(life).durable = must(writing[done - 1], "it was looked at").last;
      writing.splice(0, done);
    }
    if (writing.length === 0) this.#held.set(life.sid, this.#heldBy(life));
  }

  // ── messages ─────────────────────────────────────────────────────────────

  /** A member makes a message. @param to null: the answer to a call */
  saying(life: Life, to: Sid | null, message: PeerMessage): void {
    this.#promises.saying(life, to, message, this.#cluster.events);
  }

  /** A message leaves, and with it what it promises. */
  leaving(life: Life, to: Sid, message: PeerMessage): void {
    this.#promises.leaving(life, to, message);
    switch (message.type) {
      case "ACKEPOCH":
        this.#promise(life, message.epoch, 0);
        return;
      case "ACK":
        this.#promise(life, 0, message.epoch);
        return;
      case "LEADERINFO": {
        this.#promise(life, message.epoch, 0);
        const before = this.#state(life).stays.get(to);
        const again = before?.join === message.join;
        this.#state(life).stays.set(to, {
          join: message.join,
          epoch: message.epoch,
          again,
          // The promise may arrive while this waits for a write before it leaves: it is the same one.
          promised: again && before.promised,
          synchronizing: false,
          sent: null,
          closing: false,
          upToDate: false,
          acked: null,
          commit: ZXID_ZERO,
          tree: null,
          checksEarly: false,
        });
        return;
      }
      case "DIFF":
      case "TRUNC":
      case "SNAP":
      case "SNAPCHUNK":
      case "PROPOSAL":
      case "NEWLEADER":
      case "UPTODATE":
      case "COMMIT":
        this.#leads(life, message.epoch);
        this.#leaderSays(life, to, message);
        return;
      default:
      // says nothing that a promise or a leadership could break
    }
  }

  #promise(life: Life, acceptedEpoch: number, currentEpoch: number): void {
    const promised = this.#promised.get(life.sid);
    if (promised === undefined) this.#promised.set(life.sid, { acceptedEpoch, currentEpoch });
    else {
      if (acceptedEpoch > promised.acceptedEpoch) promised.acceptedEpoch = acceptedEpoch;
      if (currentEpoch > promised.currentEpoch) promised.currentEpoch = currentEpoch;
    }
  }

  #leaderSays(
    life: Life,
    to: Sid,
    message: Extract<
      PeerMessage,
      { type: "DIFF" | "TRUNC" | "SNAP" | "SNAPCHUNK" | "PROPOSAL" | "NEWLEADER" | "UPTODATE" | "COMMIT" }
    >,
  ): void {
    const stay = this.#state(life).stays.get(to);
    const at = (): string => `${life.sid} says ${message.type} to ${to}`;
    this.must("messageIllegal", stay !== undefined && stay.join === message.join, at);
    if (stay === undefined) return;
    switch (message.type) {
      case "DIFF":
        this.must("stateInconsistent", stay.promised && !stay.closing, at);
        stay.synchronizing = true;
        stay.sent = message.from;
        return;
      case "TRUNC":
      case "SNAPCHUNK":
        this.must("stateInconsistent", stay.promised && !stay.closing, at);
        stay.synchronizing = true;
        return;
      case "SNAP":
        this.must("stateInconsistent", stay.promised && !stay.closing, at);
        stay.synchronizing = true;
        stay.sent = message.at.zxid;
        this.#copies(life, to, stay);
        return;
      case "PROPOSAL":
        this.#broadcasts(message.last.epoch === message.epoch ? message.last : ZXID_ZERO);
        this.must(
          "proposalInconsistent",
          stay.sent !== null && compareZxid(stay.sent, message.prev.zxid) === 0,
          () => `${at()} after ${text(message.prev.zxid)}, not ${stay.sent === null ? "-" : text(stay.sent)}`,
        );
        stay.sent = message.last;
        if (stay.upToDate) stay.commit = maxZxid(stay.commit, message.commit);
        return;
      case "NEWLEADER":
        this.must(
          "stateInconsistent",
          stay.synchronizing &&
            !stay.closing &&
            stay.sent !== null &&
            compareZxid(stay.sent, message.last) === 0,
          at,
        );
        stay.closing = true;
        return;
      case "UPTODATE":
        this.must("stateInconsistent", stay.acked !== null && !stay.upToDate, at);
        this.#mayCommit(stay, message.commit, at);
        stay.upToDate = true;
        return;
      case "COMMIT":
        this.must("stateInconsistent", stay.upToDate, at);
        this.#mayCommit(stay, message.zxid, at);
    }
  }

  /** A learner is given the leader's tree. */
  #copies(life: Life, to: Sid, { tree, epoch }: Stay): void {
    const { witnesses, copies, hasty } = this.#state(life);
    const couldCompare = tree !== null && life.server.zab.digestAt(tree.zxid) !== undefined;
    const told = [...witnesses].filter(([sid, at]) => sid !== to && at.epoch === epoch).length;
    const isProven = told + 1 > this.#cluster.members.length / 2;
    if (!couldCompare && !isProven && !life.storage.isConfirmed) copies.set(to, epoch);
    else copies.delete(to);
    if (this.#couldAsk(life, to, epoch)) hasty.add(to);
    else hasty.delete(to);
  }

  /** Had another learner the leader's history, and a tree that was not ahead of the leader's? It answers CHECK then. */
  #couldAsk(life: Life, to: Sid, epoch: number): boolean {
    const { server, storage } = life;
    const state = this.#state(life);
    return server.zab.activeSet.some((other) => {
      const stay = state.stays.get(other);
      if (other === to || stay === undefined || stay.tree === null) return false;
      if (state.copies.get(other) === epoch || storage.isConfirmed) return false;
      if (!stay.checksEarly && !stay.upToDate) return false;
      return compareZxid(stay.tree.zxid, server.tree.lastApplied) <= 0;
    });
  }

  /** Has this member a tree of that leader which proves nothing about it? */
  isUnprovenCopy(leader: Life, sid: Sid): boolean {
    return this.#state(leader).copies.get(sid) === leader.server.zab.currentEpoch;
  }

  /** @throws Indistinguishable when this member has a wrong tree, and nobody could have prevented that */
  #mayBeWrong({ sid, server }: Life): void {
    const leader = this.#cluster.members.find((member) => member.sid === server.zab.leader)?.life;
    if (!leader || leader.sid === sid || !this.damagedTrees.has(leader.sid)) return;
    const epoch = leader.server.zab.currentEpoch;
    const { copies, hasty, witnesses } = this.#state(leader);
    if (copies.get(sid) !== epoch) return;
    // What the leader remembers of the zxid of a witness it has compared; any other it has to ask.
    const couldKnow = [...witnesses].some(
      ([other, at]) =>
        at.epoch === epoch &&
        copies.get(other) !== epoch &&
        leader.server.zab.digestAt(at.zxid) !== undefined,
    );
    if (!couldKnow && !hasty.has(sid)) throw new Indistinguishable(`${sid} has the tree of ${leader.sid}`);
  }

  #mayCommit(stay: Stay, zxid: Zxid, at: () => string): void {
    const sent = stay.sent ?? ZXID_ZERO;
    this.must(
      "commitInconsistent",
      compareZxid(zxid, sent) <= 0 && compareZxid(zxid, stay.commit) >= 0,
      () => `${at()} ${text(zxid)}, sent ${text(sent)}, told ${text(stay.commit)}`,
    );
    stay.commit = zxid;
  }

  /** A message comes that the core of `to` will take. */
  arriving(from: Life, to: Life, message: PeerMessage, isReturn: boolean): void {
    this.#promises.arriving(from, to, message, isReturn);
    switch (message.type) {
      case "ACKEPOCH":
      case "POSITION":
      case "STAGED":
      case "ACK":
        this.#learnerSays(from, to, message);
        return;
      default:
      // of a leader, or about nothing that is checked on arrival
    }
  }

  /** The core of `to` has taken a message. */
  handled(from: Life, to: Life, message: PeerMessage): void {
    switch (message.type) {
      case "TOUCH":
        // What an ended stay left behind is not heard, nor what came behind a gap.
        if (to.server.zab.proposing?.joinOf(from.sid) !== message.join) return;
        for (const session of message.sessions) this.heard(to, session);
        return;
      case "LEADERINFO":
        // A member without memory promises what it is told that others have promised, also after it has asked to join.
        if (!to.storage.meta.initialized && message.epoch < to.server.zab.acceptedEpoch) return;
        this.#fits("stateInconsistent", from, to, message);
        return;
      case "DIFF":
      case "TRUNC":
      case "SNAP":
      case "SNAPCHUNK":
      case "NEWLEADER":
        this.#fits("stateInconsistent", from, to, message);
        return;
      case "PROPOSAL":
        this.#fits("proposalInconsistent", from, to, message);
        return;
      case "UPTODATE":
      case "COMMIT":
      case "CHECK":
        this.#fits("commitInconsistent", from, to, message);
        return;
      default:
      // has no history to compare
    }
  }

  /** The core gives a stay up when a message does not fit into it: on a link that keeps its order none does. */
  #fits(rule: Rule, from: Life, to: Life, message: PeerMessage): void {
    this.must(
      rule,
      to.server.zab.reason !== MISFIT,
      () => `${message.type} of ${from.sid} does not fit ${to.sid}`,
    );
  }

  #learnerSays(
    from: Life,
    to: Life,
    message: Extract<PeerMessage, { type: "ACKEPOCH" | "POSITION" | "STAGED" | "ACK" }>,
  ): void {
    const stay = this.#state(to).stays.get(from.sid);
    if (stay === undefined || stay.join !== message.join || stay.epoch !== message.epoch) return;
    const at = (): string => `${from.sid} says ${message.type} to ${to.sid}`;
    switch (message.type) {
      case "ACKEPOCH":
        // It may come twice: the leader had lost sight of the learner, and took it in again.
        this.must("stateInconsistent", stay.acked === null, at);
        stay.promised = true;
        if (message.needSnap) return;
        stay.tree = message.digest ?? null;
        stay.checksEarly = message.checksEarly === true;
        if (stay.tree !== null)
          this.#state(to).witnesses.set(from.sid, { epoch: stay.epoch, zxid: stay.tree.zxid });
        return;
      case "POSITION":
      case "STAGED":
        // What the learner said before it heard that it is taken in again; its next stay has another number.
        if (stay.again && !stay.synchronizing) return;
        this.must("stateInconsistent", stay.synchronizing && stay.acked === null, at);
        return;
      case "ACK": {
        const { sent, acked } = stay;
        // The leader has taken the learner in anew, and this is still of before.
        if (stay.again && !stay.synchronizing) return;
        this.must(
          "ackInconsistent",
          stay.closing &&
            sent !== null &&
            compareZxid(message.zxid, sent) <= 0 &&
            (acked === null || compareZxid(message.zxid, acked) > 0),
          () =>
            `${at()} ${text(message.zxid)}, sent ${text(sent ?? ZXID_ZERO)}, acked ${text(acked ?? ZXID_ZERO)}`,
        );
        stay.acked = message.zxid;
      }
    }
  }

  #leads(life: Life, epoch: number): void {
    const leader = nameOf(life);
    const known = this.#leaders.get(epoch);
    this.must(
      "Leadership1",
      known === undefined || known === leader,
      () => `${leader} and ${known} lead epoch ${epoch}`,
    );
    if (known === undefined) this.#leaders.set(epoch, leader);
  }

  // ── clients ──────────────────────────────────────────────────────────────

  /** Something is asked of a member. @param order rises with every request of the run */
  asked(life: Life, session: SessionId, order: number, linearizable: boolean): Asked {
    return { sid: life.sid, life: life.number, session, order, mustSee: linearizable ? this.told : null };
  }

  responded(life: Life, asked: Asked, answer: ServerAnswer): void {
    this.must(
      "SessionOrder",
      asked.sid === life.sid && asked.life === life.number,
      () => `the answer to ${asked.order} goes astray`,
    );
    // What is refused at once, and what goes through the quorum for itself, does not wait for the session's others.
    if (
      asked.session !== NO_SESSION &&
      asked.mustSee === null &&
      (answer.ok || answer.code !== "THROTTLED")
    ) {
      let bySession = this.#answered.get(life);
      if (bySession === undefined) {
        bySession = new Map();
        this.#answered.set(life, bySession);
      }
      const last = bySession.get(asked.session) ?? 0;
      this.must("SessionOrder", last < asked.order, () => `${asked.order} is answered after ${last}`);
      bySession.set(asked.session, asked.order);
    }
    if (!answer.ok) return;
    this.tells(answer.zxid);
    const { mustSee } = asked;
    if (mustSee !== null) {
      this.must(
        "Linearizable",
        compareZxid(answer.zxid, mustSee) >= 0,
        () => `the answer to ${asked.order} does not show ${text(mustSee)}`,
      );
    }
  }

  /** A member answers a read that may not be stale. */
  reads(life: Life): void {
    this.must(
      "ReadReady",
      this.#state(life).wasReady,
      () => `${life.sid} answers a read while it catches up`,
    );
  }

  /** A client is told of a zxid. */
  tells(zxid: Zxid): void {
    this.must("ToldIsCommitted", this.#knows(zxid), () => `a client is told of ${text(zxid)}`);
    this.told = maxZxid(this.told, zxid);
  }

  // ── after every step ─────────────────────────────────────────────────────

  /** A step of a member is over: what it applied is committed from now on, and its role may be another. */
  stepped(life: Life): void {
    const state = this.#state(life);
    this.#promises.stepped(life);
    this.#lookAtRole(life, state);
    this.#lookAtStay(life, state);
    const { tree } = life.server;
    const { log } = life.storage;
    const from = this.history[state.applied - 1]?.zxid ?? ZXID_ZERO;
    if (compareZxid(tree.lastApplied, from) === 0) {
      if (this.damagedTrees.has(life.sid)) this.#checkDigest(life);
      return;
    }
    this.must(
      "Durable",
      compareZxid(tree.lastApplied, state.durable) <= 0 || compareZxid(tree.lastApplied, log.base.zxid) === 0,
      () => `${life.sid} applied ${text(tree.lastApplied)}, durable ${text(state.durable)}`,
    );
    const end = this.history.at(-1)?.zxid ?? ZXID_ZERO;
    if (compareZxid(tree.lastApplied, end) > 0) this.#walk(life, maxZxid(from, end));
    this.#checkPosition(life.sid, must(log.positionAt(tree.lastApplied), "what is applied is in the log"));
    state.applied = this.#countUpTo(tree.lastApplied);
    this.#checkDigest(life);
  }

  #lookAtRole(life: Life, state: LifeState): void {
    const { zab } = life.server;
    const { role, phase } = zab;
    const leads = role === "LEADING" && phase === "BROADCAST";
    if (state.role === role && state.phase === phase) return;
    state.role = role;
    state.phase = phase;
    if (!leads) return;
    this.#leads(life, zab.currentEpoch);
    this.#establishes(life, zab.currentEpoch);
    state.heard = new Map(this.#heard);
    for (const session of this.#standing) {
      state.heard.set(session, this.#hear(life, undefined));
    }
    // Acks of a quorum may come late: to a leader that stood still while others led after it, whose txns it need not have.
    const earlier = this.history.findLastIndex(({ zxid }) => zxid.epoch < zab.currentEpoch) + 1;
    this.must(
      "PrimaryIntegrity",
      this.#heldBy(life) === earlier,
      () => `${life.sid} lacks committed txns: ${this.#heldBy(life)} of ${earlier}`,
    );
  }

  #lookAtStay(life: Life, state: LifeState): void {
    const { ready, zab } = life.server;
    const { serving } = state;
    if (zab.role !== "FOLLOWING" || !zab.serving) state.broadcastFrom = null;
    else state.broadcastFrom ??= zab.lastLogged.zxid;
    if (ready && serving === null && state.broadcastFrom !== null) {
      const from = state.broadcastFrom;
      this.must(
        "ReadyWhole",
        compareZxid(zab.lastProcessedZxid, from) >= 0,
        () => `${life.sid} is ready at ${text(zab.lastProcessedZxid)}, its log ended at ${text(from)}`,
      );
    }
    if (ready) state.wasReady = true;
    if (!ready) state.serving = null;
    else if (serving === null || serving.leader !== zab.leader || serving.join !== zab.join) {
      state.serving = { leader: zab.leader, join: zab.join, since: this.#cluster.now };
    }
  }

  #establishes(life: Life, epoch: number): void {
    this.leaderChanges += 1;
    this.#established.push({ epoch, tail: life.server.zab.lastLogged.zxid });
    this.#established.sort((a, b) => a.epoch - b.epoch);
    this.#lastEpoch = Math.max(this.#lastEpoch, epoch);
    this.must(
      "Leadership2",
      this.#leaders.get(epoch) === nameOf(life),
      () => `${life.sid} is another established leader of epoch ${epoch}`,
    );
  }

  #checkDigest(life: Life): void {
    if (this.#tampered.has(life.sid)) return;
    const { lastApplied, digestHigh, digestLow } = life.server.tree;
    const key = keyOf(lastApplied);
    const known = this.#digests.get(key);
    if (this.damagedTrees.has(life.sid)) {
      const right = known === undefined || (known.high === digestHigh && known.low === digestLow);
      if (!right && life.server.ready) this.#mayBeWrong(life);
      this.must(
        "DigestEquality",
        right || !life.server.ready,
        () => `${life.sid} serves with a damaged tree at ${text(lastApplied)}`,
      );
      if (right && this.#isDiskRight(life)) this.damagedTrees.delete(life.sid);
      return;
    }
    if (known === undefined) this.#digests.set(key, { high: digestHigh, low: digestLow });
    else {
      if (known.high !== digestHigh || known.low !== digestLow) this.#mayBeWrong(life);
      this.must(
        "DigestEquality",
        known.high === digestHigh && known.low === digestLow,
        () => `${life.sid} differs at ${text(lastApplied)}`,
      );
    }
  }

  /** Does the checkpoint that a crash would leave hold the tree of the history? What is right in memory may come back wrong. */
  #isDiskRight({ disk }: Life): boolean {
    if (disk.pending > 0) return false;
    const { table, checkpoint } = disk.readMeta();
    const { znodes, sessions } = disk.readTable(table, "", Number.MAX_SAFE_INTEGER);
    const { digestHigh, digestLow } = ZnodeTree.load(znodes, sessions, checkpoint.zxid);
    const known = this.#digests.get(keyOf(checkpoint.zxid));
    return known === undefined || (known.high === digestHigh && known.low === digestLow);
  }

  // ── the committed history ────────────────────────────────────────────────

  /** Extends the history by what a member is the first to have applied. */
  #walk(life: Life, from: Zxid): void {
    const { log } = life.storage;
    const end = life.server.tree.lastApplied;
    // A snapshot brings what nobody was seen to apply: there is no such thing.
    const start = log.positionAt(from);
    this.must(
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

  #same(sid: Sid, known: Committed, position: LogPosition): void {
    const same = compareZxid(known.zxid, position.zxid) === 0 && equalChain(known.chain, position.chain);
    const what = (): string =>
      `${sid} applied ${text(position.zxid)} where others applied ${text(known.zxid)}`;
    // The chain stands for the whole history up to here: one comparison is all three.
    this.must("PrefixConsistency", same, what);
    this.must("Agreement", same, what);
    this.must("TotalOrder", same, what);
  }

  #extend(entry: Committed, cursor: TxnCursor): void {
    const { zxid } = entry;
    const last = this.history.at(-1)?.zxid ?? ZXID_ZERO;
    this.must(
      "GlobalPrimaryOrder",
      zxid.epoch >= last.epoch,
      () => `${text(zxid)} comes after ${text(last)}`,
    );
    this.must(
      "LocalPrimaryOrder",
      zxid.counter === (zxid.epoch === last.epoch ? last.counter + 1 : 1),
      () => `${text(zxid)} comes after ${text(last)}`,
    );
    this.must(
      "Integrity",
      zxid.counter <= (this.#broadcast.get(zxid.epoch) ?? 0),
      () => `${text(zxid)} was broadcast by nobody`,
    );
    this.#isInEveryLaterHistory(zxid);
    const expiring = this.#expiring.get(keyOf(zxid));
    if (expiring !== undefined) {
      const { silentMs, timeoutMs } = expiring;
      this.must(
        "SessionExpiry",
        silentMs >= timeoutMs,
        () => `session ${entry.session} is closed ${silentMs} ms after it was heard of, not ${timeoutMs}`,
      );
    }
    if (cursor.type === TxnType.CREATE_SESSION) {
      this.#opened.set(entry.session, {
        at: this.#cluster.now,
        longestMs: 0,
        by: null,
        gains: this.#gains(),
      });
    }
    this.#index.set(keyOf(zxid), this.history.length);
    this.history.push(entry);
    this.#applyToModel(cursor);
    if (entry.xid > 0 && cursor.type !== TxnType.ERROR) this.#once(entry);
    if (entry.xid < 0 && cursor.type === TxnType.SYNC) this.#owners.set(entry.session, entry.xid);
    else if (entry.xid > 0) this.#isOfOwner(entry);
  }

  /** What is committed of an epoch, a leader of a later one had from the beginning, or it has broadcast nothing. */
  #isInEveryLaterHistory(zxid: Zxid): void {
    for (let i = this.#established.length - 1; i >= 0; i--) {
      const { epoch, tail } = must(this.#established[i], "inside");
      if (epoch <= zxid.epoch) return;
      this.must(
        "PrimaryIntegrity",
        compareZxid(zxid, tail) <= 0 || (this.#broadcast.get(epoch) ?? 0) === 0,
        () => `${text(zxid)} is committed, and epoch ${epoch} began at ${text(tail)}`,
      );
    }
  }

  /** A write of a session is asked for over a connection. */
  submitted(session: SessionId, xid: number, connection: number): void {
    let byXid = this.#connections.get(session);
    if (byXid === undefined) {
      byXid = new Map();
      this.#connections.set(session, byXid);
    }
    const connections = byXid.get(xid);
    if (connections === undefined) byXid.set(xid, new Set([connection]));
    else connections.add(connection);
  }

  #isOfOwner({ session, xid, zxid }: Committed): void {
    const owner = this.#owners.get(session);
    const connections = this.#connections.get(session)?.get(xid);
    if (owner === undefined || connections === undefined) return;
    // A write may be asked for over several connections, one after the other: one of them has to be the owner's.
    this.must(
      "SessionMoved",
      connections.has(owner) || connections.has(0),
      () =>
        `${session}/${xid} of connections ${[...connections].join(", ")} happens at ${text(zxid)}, after ${owner} attached`,
    );
  }

  // ── checkpoints ──────────────────────────────────────────────────────────

  /** A member has written a checkpoint. @param base the log's base before it */
  checkpointed(life: Life, base: Zxid): void {
    const { log, meta } = life.storage;
    if (life.storage.isConfirmed) {
      const known = this.#digests.get(keyOf(meta.checkpoint.zxid));
      this.must(
        "DigestEquality",
        known === undefined || (meta.digest !== undefined && equalChain(known, meta.digest)),
        () => `${life.sid} marks a wrong checkpoint as confirmed, at ${text(meta.checkpoint.zxid)}`,
      );
    }
    const at = log.base.zxid;
    if (compareZxid(at, base) === 0) return;
    const { logRetainTxns } = this.#cluster.config;
    this.must(
      "LogKept",
      compareZxid(at, meta.checkpoint.zxid) <= 0 && log.count >= logRetainTxns,
      () => `${life.sid} cuts its log up to ${text(at)}, ${log.count} txns are left`,
    );
    const { proposing } = life.server.zab;
    if (proposing === undefined) return;
    for (const [sid, { join, acked }] of this.#state(life).stays) {
      if (acked === null || proposing.joinOf(sid) !== join) continue;
      this.must(
        "LogKept",
        compareZxid(at, acked) <= 0,
        () => `${life.sid} cuts its log up to ${text(at)}, and ${sid} is at ${text(acked)}`,
      );
    }
  }

  #once(entry: Committed): void {
    const { session, xid, zxid } = entry;
    let done = this.#done.get(session);
    if (done === undefined) {
      done = new Map();
      this.#done.set(session, done);
    }
    const known = done.get(xid);
    this.must(
      "Once",
      known === undefined,
      () => `${session}/${xid} happens at ${text(known ?? zxid)} and ${text(zxid)}`,
    );
    done.set(xid, zxid);
    if (isAnonymous(session)) return;
    this.must(
      "Once",
      (this.#lastXid.get(session) ?? 0) < xid,
      () => `${session}/${xid} happens out of order`,
    );
    this.#lastXid.set(session, xid);
  }

  #knows(zxid: Zxid): boolean {
    return compareZxid(zxid, ZXID_ZERO) === 0 || this.#index.has(keyOf(zxid));
  }

  /** A place that is known to be committed is the history's. */
  #checkPosition(sid: Sid, position: LogPosition): void {
    if (compareZxid(position.zxid, ZXID_ZERO) === 0) return;
    const known = this.history[this.#index.get(keyOf(position.zxid)) ?? -1];
    this.must("Agreement", known !== undefined, () => `${sid} applied ${text(position.zxid)} alone`);
    if (known !== undefined) this.#same(sid, known, position);
  }

  /** How many committed txns are at or before `zxid`. */
  #countUpTo(zxid: Zxid): number {
    const exact = this.#index.get(keyOf(zxid));
    if (exact !== undefined) return exact + 1;
    let low = 0;
    let high = this.history.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareZxid(must(this.history[middle], "inside").zxid, zxid) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** How many committed txns a member holds, in its tree and log. */
  #heldBy(life: Life): number {
    const { log } = life.storage;
    const end = this.history.at(-1);
    if (end === undefined) return 0;
    const position = log.positionAt(end.zxid);
    if (position === undefined) return this.history.length;
    const count = this.#countUpTo(position.zxid);
    const known = this.history[count - 1];
    if (known === undefined) return 0;
    const same = known.chain.high === position.chain.high && known.chain.low === position.chain.low;
    return same && compareZxid(known.zxid, position.zxid) === 0 ? count : this.#commonWith(life, count);
  }

  /** The log ends in something that was never committed: how far it is the history's. */
  #commonWith(life: Life, upTo: number): number {
    for (let count = upTo; count > 0; count--) {
      const known = must(this.history[count - 1], "inside");
      const position = life.storage.log.positionAt(known.zxid);
      if (position === undefined) return count;
      if (
        compareZxid(position.zxid, known.zxid) === 0 &&
        position.chain.high === known.chain.high &&
        position.chain.low === known.chain.low
      ) {
        return count;
      }
    }
    return 0;
  }
}

/** Ticks that a sign of life may take to the leader: half a tick until it is told, and what alarms take. */
const SIGN_TICKS = 2;

/** What the core gives as its reason when the leader's messages do not fit into a stay. */
const MISFIT = "the leader's messages do not fit together";
