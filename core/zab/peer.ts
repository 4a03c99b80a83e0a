/**
 * One member of the ensemble: `step(now, input)` takes what happened and returns, in order, what the shell must do.
 * This is the only place where roles change.
 *
 *            ┌────────────── gives up ──────────────┐
 *            ▼                                      │
 *   start ▶ LOOKING ──elected──▶ LEADING ───────────┤
 *            │  └──another is elected──▶ FOLLOWING ─┘
 *
 * @source Zab, DSN 2011; ZooKeeper QuorumPeer
 */
import { assert, assertNever, must } from "../assert.ts";
import { type Feature, FIRST_VERSION, PROTOCOL_VERSION } from "../version.ts";
import type { ZabConfig } from "./config.ts";
import {
  type Link,
  PeerContext,
  type RecoveredState,
  type RoleHost,
  type SnapshotReader,
} from "./context.ts";
import { type CallOrigin, type Tracing, voteEvent, type ZabEffect, type ZabInput } from "./effects.ts";
import { Election } from "./election.ts";
import { Follower, type LeaderMessage } from "./follower.ts";
import { Leader, type LearnerMessage } from "./leader.ts";
import type { Membership, Sid } from "./membership.ts";
import type {
  DigestAt,
  LogPosition,
  Notification,
  Phase,
  Ping,
  Pong,
  Role,
  Vote,
  ZabMessage,
} from "./messages.ts";
import type { TxnLogReader } from "./txn-log.ts";
import { asEpoch, type Epoch, equalZxid, ZXID_ZERO, type Zxid } from "./zxid.ts";

/** More than one life will see. */
export const STAYS_PER_LIFE = 2 ** 20;
/** A boot counter may begin at ms since 1970, and the number of a stay has to remain below 2^53. */
const LIVES = 2 ** 32;

type Returned = Extract<ZabInput, { type: "returned" }>;

const NOTHING: readonly ZabEffect[] = [];

type Handler<Message> = (peer: ZabPeer, from: Sid, message: Message, isCall: boolean) => void;
/** A handler for each of these types of messages. */
type HandlersOf<Type extends ZabMessage["type"]> = {
  readonly [T in Type]: Handler<Extract<ZabMessage, { type: T }>>;
};

export class ZabPeer {
  readonly #context: PeerContext;
  readonly #host: RoleHost;
  #role: Role = "LOOKING";
  #election: Election | null = null;
  #follower: Follower | null = null;
  #leader: Leader | null = null;
  #round = 0;
  /** number of the last stay; those of another life are others */
  #joins: number;
  /** members that follow another, as they told us since we were elected */
  readonly #elsewhere = new Set<Sid>();
  #elections = 0;
  #nextPingAt = 0;
  #resendAt = 0;
  /** when the last input came */
  #steppedAt = 0;
  #resendPauseMs = 0;
  /** when a quorum that agrees stops waiting for a better vote */
  #decideAt = Number.POSITIVE_INFINITY;
  /** leaderships in a row that cost an epoch and under which the ensemble never worked */
  #failures = 0;
  /** when it may lead again after one of those */
  #leadFrom = 0;
  #accepted = false;
  #frozen = false;
  #reason = "";
  /** a later life of this member was seen elsewhere: persist effect after whose end this life is over */
  #over: number | null = null;

  constructor(
    sid: Sid,
    membership: Membership,
    config: ZabConfig,
    log: TxnLogReader,
    snapshot: SnapshotReader,
    recovered: RecoveredState,
    version = PROTOCOL_VERSION,
  ) {
    this.#context = new PeerContext(sid, membership, config, log, snapshot, recovered, version);
    this.#joins = ((recovered.boot - 1) % LIVES) * STAYS_PER_LIFE;
    this.#host = {
      context: this.#context,
      becomeLooking: (reason) => this.#becomeLooking(reason),
      nextJoin: () => {
        this.#joins += 1;
        return this.#joins;
      },
      phaseChanged: (role, phase) => this.#phaseChanged(role, phase),
    };
  }

  get role(): Role {
    return this.#role;
  }

  get phase(): Phase {
    return this.#leader?.phase ?? this.#follower?.phase ?? "ELECTION";
  }

  /** The leader that this member follows or is; null while it looks for one. */
  get leader(): Sid | null {
    if (this.#leader !== null) return this.#context.sid;
    return this.#follower?.leader ?? null;
  }

  /** In broadcast, as leader or follower: requests may be taken. */
  get serving(): boolean {
    return this.phase === "BROADCAST";
  }

  get acceptedEpoch(): Epoch {
    return this.#context.acceptedEpoch;
  }

  get currentEpoch(): Epoch {
    return this.#context.currentEpoch;
  }

  get lastLogged(): LogPosition {
    return this.#context.lastLogged;
  }

  get lastCommittedZxid(): Zxid {
    return this.#context.lastCommittedZxid;
  }

  get lastProcessedZxid(): Zxid {
    return this.#context.lastProcessedZxid;
  }

  /** Elections this instance has taken part in. */
  get elections(): number {
    return this.#elections;
  }

  get activeSet(): readonly Sid[] {
    if (this.#leader !== null) return this.#leader.activeSet;
    return this.#follower !== null && this.serving
      ? [this.#follower.leader, this.#context.sid].sort((a, b) => a - b)
      : [];
  }

  /** A quorum has confirmed the tree in memory: a checkpoint that is made of it now is right. */
  get treeConfirmed(): boolean {
    return this.#context.treeConfirmed;
  }

  /** Such a checkpoint is wanted: the last one is not known to be right. (An empty one is.) */
  get wantsCheckpoint(): boolean {
    const { treeConfirmed, snapshot } = this.#context;
    return treeConfirmed && !snapshot.isConfirmed && !equalZxid(snapshot.position().zxid, ZXID_ZERO);
  }

  /** A SNAP is being read from the checkpoint, which must not change now. */
  get readsSnapshot(): boolean {
    return this.#leader?.readsSnapshot ?? false;
  }

  get links(): ReadonlyMap<Sid, Readonly<Link>> {
    return this.#context.links;
  }

  /** Number of this life of the member. */
  get boot(): number {
    return this.#context.boot;
  }

  /** The highest life that was seen of a peer; 0: none. */
  bootOf(peer: Sid): number {
    return this.#context.bootOf(peer);
  }

  /** Of the protocol, ours. */
  get version(): number {
    return this.#context.version;
  }

  /** Do all members run a version that knows this? */
  supports(feature: Feature): boolean {
    return this.#context.supports(feature);
  }

  /** Did the last call or return belong to a link that lasts? What else it carried counts only then. */
  get accepted(): boolean {
    return this.#accepted;
  }

  /** The tree here is one that a quorum has: what it replaced is not needed any more. */
  get hasConfirmedTree(): boolean {
    const { initialized, needSnap, diverged } = this.#context;
    if (!initialized || needSnap || diverged !== null) return false;
    return this.#leader?.confirmedByQuorum ?? this.#follower?.confirmedByQuorum ?? false;
  }

  /** Why the last role was given up, or why the one taken since does not lead to service; empty: there is no such reason. */
  get reason(): string {
    if (this.#reason !== "") return this.#reason;
    return this.#leader?.reason ?? this.#follower?.reason ?? "";
  }

  /**
   * Our tree is of no use, its comparison with the leader's is under way, or it differs from another's and no quorum has
   * confirmed either: it may hold what never was.
   */
  get doubtsTree(): boolean {
    const { needSnap, diverged } = this.#context;
    if (needSnap || diverged !== null || this.awaitsComparison) return true;
    return (this.#leader?.reason ?? this.#follower?.reason ?? "") !== "";
  }

  /** We follow, and our tree has not been compared with the leader's yet. */
  get awaitsComparison(): boolean {
    return this.#follower?.awaitsComparison === true;
  }

  /** Which trace effects are made: all of them only while there is a listener. */
  set tracing(which: Tracing) {
    this.#context.tracing = which;
  }

  /** How long a commit may take to be known here, ms: what clients here wait for decides. */
  set patienceMs(ms: number) {
    this.#context.patienceMs = ms;
  }

  /** Digest of the tree, reported by the server that applies; sent with the commits. */
  set digest(digest: DigestAt) {
    this.#context.tellDigest(digest);
  }

  /** The digest of our tree at exactly this zxid, if it is remembered. */
  digestAt(zxid: Zxid): DigestAt | undefined {
    return this.#context.digests.at(zxid);
  }

  /** zxid of the next txn, and room for it; undefined unless this member leads in broadcast. */
  get proposing(): Leader | undefined {
    return this.#leader?.phase === "BROADCAST" ? this.#leader : undefined;
  }

  /** Said with every PONG; see {@link Pong.idleMs}. */
  set idleSince(at: number | null) {
    this.#context.idleSince = at;
  }

  /** Falling asleep or asleep: it sends nothing by itself and asks for no wake-ups. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /** Nothing of Zab is under way here, and no peer that answers is left out. */
  get settled(): boolean {
    const { lastProcessedZxid, lastLogged, links } = this.#context;
    if (!this.serving || !equalZxid(lastProcessedZxid, lastLogged.zxid)) return false;
    const leader = this.#leader;
    if (leader === null) return true;
    return leader.settled && [...links].every(([sid, link]) => !link.up || leader.isServing(sid));
  }

  /** How long no learner has had a client, as they said last; ms. */
  get learnersIdleMs(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const [sid, link] of this.#context.links) {
      if (this.#leader?.isServing(sid) === true) least = Math.min(least, link.idleMs);
    }
    return least;
  }

  /** The number of this member's stay with its leader. */
  get join(): number | undefined {
    return this.#follower?.join;
  }

  /** When `tick` is to be fed, at the latest; ms. */
  get deadline(): number {
    if (this.#frozen || this.#over !== null) return Number.POSITIVE_INFINITY;
    let at = this.#nextPingAt;
    if (this.#leader !== null) at = Math.min(at, this.#leader.deadline);
    if (this.#isEstablishing) at = Math.min(at, this.#resendAt);
    if (this.#follower !== null) at = Math.min(at, this.#follower.deadline);
    if (this.#election !== null) at = Math.min(at, this.#resendAt, this.#decideAt);
    return at;
  }

  /** Takes one input. @param now ms; time serves liveness only @returns effects, to be run in order before the next step */
  step(now: number, input: ZabInput): ZabEffect[] {
    const context = this.#context;
    const stoodMs = now - this.#steppedAt - context.config.tickTimeMs;
    this.#steppedAt = now;
    context.now = now;
    context.effects = [];
    this.#accepted = false;
    if (this.#over !== null) {
      if (input.type === "persisted" && input.seq >= this.#over) {
        context.effects.push({ type: "abort", reason: "a later life of this member was seen" });
      }
      return this.#takeEffects();
    }
    if (stoodMs > context.config.tickTimeMs / 2) this.#excuse(stoodMs);
    switch (input.type) {
      case "start":
        this.#nextPingAt = now;
        this.#becomeLooking("the member has started");
        break;
      case "call":
        this.#handleCall(input.origin, input.messages);
        break;
      case "returned":
        this.#handleReturn(input);
        break;
      case "linkBroken":
        if (context.link(input.peer).generation === input.generation) this.#breakLink(input.peer);
        break;
      case "persisted":
        context.persisted(input.seq);
        if (this.#leader !== null) this.#leader.persisted();
        else context.deliver();
        break;
      case "released":
        this.#leader?.release();
        break;
      case "tick":
        this.#tick();
        break;
      default:
        assertNever(input);
    }
    return this.#takeEffects();
  }

  /** Proposes a batch; see {@link Leader.propose}. */
  propose(now: number, batch: Uint8Array): ZabEffect[] {
    this.#context.now = now;
    this.#context.effects = [];
    must(this.#leader, "only a leader proposes").propose(batch);
    return this.#takeEffects();
  }

  /** Tells the learners what is committed since they last heard. */
  flushCommits(now: number): ZabEffect[] {
    this.#context.now = now;
    this.#context.effects = [];
    this.#leader?.flushCommits();
    return this.#takeEffects();
  }

  /** The tree here differs from the leader's at this zxid. */
  diverged(now: number, at: Zxid): ZabEffect[] {
    this.#context.now = now;
    this.#context.effects = [];
    this.#follower?.diverge(at);
    return this.#takeEffects();
  }

  /** The tree here equals the leader's at this zxid. */
  confirm(now: number, at: Zxid): readonly ZabEffect[] {
    const follower = this.#follower;
    follower?.noteEqual(at);
    if (follower?.asked !== true) return NOTHING;
    this.#context.now = now;
    this.#context.effects = [];
    follower.confirm();
    return this.#takeEffects();
  }

  /** Our digest has changed: compares it with the digests that learners have reported; see {@link Leader.compareTrees}. */
  compareTrees(now: number): ZabEffect[] {
    this.#context.now = now;
    this.#context.effects = [];
    this.#leader?.compareTrees();
    return this.#takeEffects();
  }

  /** The checkpoint that the leader asked for is made. */
  checkpointed(now: number): ZabEffect[] {
    this.#context.now = now;
    this.#context.effects = [];
    this.#leader?.checkpointed();
    return this.#takeEffects();
  }

  /** The leader gives its epoch up: its counter is used up. */
  resign(now: number): ZabEffect[] {
    this.#context.now = now;
    this.#context.effects = [];
    if (this.#leader !== null) this.#becomeLooking("the counter of the epoch is used up");
    return this.#takeEffects();
  }

  /**
   * This epoch is over: nothing is sent until {@link wake}. The state of the roles is kept, so that it can still be read.
   * A frozen member continues only through an election, so nothing of its epoch can happen after a promise to sleep.
   */
  freeze(): void {
    assert(this.settled, "only a member at rest is frozen");
    this.#frozen = true;
  }

  /** Makes a record of the frozen member durable, in the order of all other writes. */
  keep(record: string): ZabEffect[] {
    this.#context.effects = [];
    this.#context.persist([{ type: "quiet", record }]);
    return this.#takeEffects();
  }

  /** Looks for a leader: peers may have come and gone meanwhile. */
  wake(now: number, reason: string): ZabEffect[] {
    this.#context.now = now;
    this.#context.effects = [];
    this.#becomeLooking(reason);
    return this.#takeEffects();
  }

  #takeEffects(): ZabEffect[] {
    const { effects } = this.#context;
    this.#context.effects = [];
    return effects;
  }

  // ── roles ────────────────────────────────────────────────────────────────

  #becomeLooking(reason: string): void {
    const context = this.#context;
    if (this.#election !== null || this.#over !== null) return;
    if (this.#frozen) this.#thaw();
    this.#countFailure();
    this.#role = "LOOKING";
    this.#leader = null;
    this.#follower = null;
    this.#round += 1;
    this.#elections += 1;
    this.#election = new Election(
      context.sid,
      context.quorum,
      this.#ownVote(),
      this.#round,
      context.initialized,
      !context.needSnap,
    );
    this.#resendPauseMs = context.config.electionRetryMs;
    this.#resendAt = context.now + this.#resendPauseMs;
    this.#decideAt = Number.POSITIVE_INFINITY;
    this.#phaseChanged("LOOKING", "ELECTION", reason);
    this.#notifyAll();
    this.#maybeFound();
    this.#maybeDecide();
  }

  /** A role ends. One that cost an epoch, and under which the ensemble never worked, is not tried again at once. */
  #countFailure(): void {
    const { now, config } = this.#context;
    if (this.#leader?.served === true || this.#follower?.phase === "BROADCAST") this.#failures = 0;
    else if (this.#leader !== null && this.#leader.epoch !== null) {
      const most = Math.min(config.electionPauseMsMax, (config.initLimit * config.tickTimeMs) / 2);
      this.#leadFrom = now + Math.min(config.electionPauseMs * 2 ** this.#failures, most);
      this.#failures += 1;
    }
  }

  /** The calls that were kept open were let go, and whether a peer still knows our link is not known. */
  #thaw(): void {
    this.#frozen = false;
    this.#nextPingAt = this.#context.now;
    for (const link of this.#context.links.values()) {
      link.generation += 1;
      link.up = false;
      link.pingSentAt = null;
      link.rttMs = null;
      link.role = null;
    }
  }

  /** A member that cannot build on its own history, or does not count, stands behind every other. */
  #ownVote(): Vote {
    const { sid, currentEpoch, lastLogged, needSnap, initialized } = this.#context;
    if (needSnap || !initialized) return { leader: sid, epoch: asEpoch(0), zxid: ZXID_ZERO };
    return { leader: sid, epoch: currentEpoch, zxid: lastLogged.zxid };
  }

  #becomeLeading(): void {
    this.#leaveElection("LEADING");
    this.#elsewhere.clear();
    this.#resendAt = this.#context.now + this.#context.config.electionRetryMs;
    const leader = new Leader(this.#host);
    this.#leader = leader;
    this.#phaseChanged("LEADING", "DISCOVERY");
    this.#notifyAll();
    leader.start();
  }

  /** @param electedIn the round of its election */
  #becomeFollowing(sid: Sid, electedIn: number): void {
    this.#leaveElection("FOLLOWING");
    const follower = new Follower(this.#host, sid, electedIn);
    this.#follower = follower;
    this.#phaseChanged("FOLLOWING", "DISCOVERY");
    follower.knock();
  }

  #leaveElection(role: Role): void {
    this.#round = must(this.#election, "an election ends once").round;
    this.#election = null;
    this.#role = role;
  }

  /** @param reason why a role was given up */
  #phaseChanged(role: Role, phase: Phase, reason?: string): void {
    const context = this.#context;
    this.#reason = reason ?? "";
    context.effects.push({ type: "role" });
    const event = { type: "role" as const, role, phase, leader: this.leader, epoch: context.currentEpoch };
    context.trace(reason === undefined ? event : { ...event, reason });
  }

  // ── election ─────────────────────────────────────────────────────────────

  #notification(): Notification {
    const context = this.#context;
    const leader = this.leader;
    const vote = this.#election?.vote ?? {
      leader: must(leader, "outside of an election there is a leader"),
      epoch: context.currentEpoch,
      zxid: context.lastLogged.zxid,
    };
    return {
      type: "NOTIFICATION",
      role: this.#role,
      round: this.#election?.round ?? this.#round,
      vote,
      acceptedEpoch: context.acceptedEpoch,
      initialized: this.#election?.initialized ?? context.initialized,
      founding: context.founding,
    };
  }

  /** The answer to a peer's vote. */
  #answer(note: Notification): void {
    const context = this.#context;
    if (note.initialized) {
      context.reply(this.#notification());
      return;
    }
    context.noteBoots();
    context.reply({ ...this.#notification(), boots: [...context.boots] });
  }

  #notifyAll(): void {
    const note = this.#notification();
    this.#context.trace(voteEvent(note.round, note.vote));
    for (const peer of this.#context.links.keys()) this.#context.send(peer, note);
  }

  #handleNotification(from: Sid, note: Notification, isCall: boolean): void {
    const context = this.#context;
    context.link(from).role = note.role;
    if (!isCall && note.boots !== undefined) {
      this.#learnBoots(note.boots);
      if (this.#over !== null) return;
      if (note.initialized && !context.initialized) context.witness(from, note.acceptedEpoch);
    }
    if (this.#election === null) {
      // A peer that claims leadership, but is not our leader, gets our notification, which names our leader.
      const astray = note.role === "LEADING" && this.leader !== from;
      // Before the answer: if this message makes us leave our leader, the answer must not say that we still follow it.
      this.#noticeRole(from, note, isCall);
      if (this.#election === null) {
        if (isCall && (note.role === "LOOKING" || astray)) this.#answer(note);
        return;
      }
    }
    const election = must(this.#election, "it looks for a leader");
    if (election.receive(from, note, !isCall)) {
      this.#decideAt = Number.POSITIVE_INFINITY;
      this.#notifyAll();
    }
    if (isCall && note.role === "LOOKING") this.#answer(note);
    this.#maybeFound();
    this.#maybeDecide();
  }

  /**
   * What the role of a peer says to a member that follows or leads. A return may be overtaken by a later call, so it ends
   * no stay: the role in it may be that of before.
   */
  #noticeRole(from: Sid, note: Notification, isCall: boolean): void {
    if (this.#isDeserted(from, note)) {
      this.#becomeLooking("a quorum follows another");
      return;
    }
    const follower = this.#follower;
    if (!isCall && follower?.phase !== "DISCOVERY") return;
    if (follower !== null && follower.leader === from) {
      if (note.role === "LEADING" && follower.phase === "DISCOVERY") follower.knock();
      else if (note.role === "FOLLOWING") this.#becomeLooking("the elected member follows another");
      else if (note.role === "LOOKING" && (follower.phase !== "DISCOVERY" || isPast(follower, note))) {
        this.#becomeLooking("the leader looks for another");
      }
      return;
    }
    if (note.role !== "LOOKING") return;
    if (this.#leader !== null) this.#leader.drop(from);
    // Somebody lost its leader: ask ours at once instead of at the next tick.
    if (follower !== null && follower.phase === "BROADCAST") this.#ping(follower.leader);
  }

  /** Elected, and not yet the leader of a quorum. */
  get #isEstablishing(): boolean {
    return this.#leader !== null && this.#leader.phase !== "BROADCAST";
  }

  /**
   * Two may be elected, in rounds that crossed. The one from which a quorum says that it follows another gives way at
   * once; never both, since a quorum follows one only.
   */
  #isDeserted(from: Sid, note: Notification): boolean {
    if (!this.#isEstablishing) return false;
    if (note.role !== "LOOKING" && note.vote.leader !== this.#context.sid) this.#elsewhere.add(from);
    else this.#elsewhere.delete(from);
    return this.#context.quorum.contains(this.#elsewhere);
  }

  /** Founding: this member is new, and no member has ever promised an epoch, so no promise can have been lost. */
  #maybeFound(): void {
    const election = this.#election;
    if (election === null || election.initialized) return;
    if (!this.#context.founding || !election.othersPristine) return;
    this.#context.initialized = true;
    this.#context.founding = false;
    this.#context.persist([{ type: "initialized" }]);
    election.markInitialized();
    this.#notifyAll();
  }

  #maybeDecide(): void {
    const election = this.#election;
    if (election === null) return;
    const { initialized, quorum, witnesses } = this.#context;
    // A member that may have lost promises follows no leader before it knows which promises these may have been.
    if (!initialized && !quorum.contains(witnesses)) return;
    const settled = election.settledLeader();
    if (settled !== undefined) {
      this.#becomeFollowing(settled, election.roundOf(settled));
      return;
    }
    if (!election.hasQuorum) {
      this.#decideAt = Number.POSITIVE_INFINITY;
      return;
    }
    const { now, config } = this.#context;
    if (this.#decideAt === Number.POSITIVE_INFINITY) this.#decideAt = now + config.finalizeWaitMs;
    if (!election.everybodyHeard && now < this.#decideAt) return;
    this.#decideAt = Number.POSITIVE_INFINITY;
    const elected = election.vote.leader;
    if (elected === this.#context.sid && now < this.#leadFrom) this.#decideAt = this.#leadFrom;
    else if (elected === this.#context.sid) this.#becomeLeading();
    else this.#becomeFollowing(elected, election.round);
  }

  // ── links ────────────────────────────────────────────────────────────────

  #handleCall(origin: CallOrigin, messages: readonly ZabMessage[]): void {
    const context = this.#context;
    if (!context.links.has(origin.from)) return;
    context.caller = origin.from;
    this.#accepted = this.#acceptCall(origin);
    if (this.#accepted) {
      context.link(origin.from).version = origin.version ?? FIRST_VERSION;
      this.#heard(origin.from);
      for (const message of messages) this.#handleMessage(origin.from, message, true);
    }
    context.caller = null;
  }

  /** Calls of one link come in order and without a gap; a new link or a gap ends what the old one carried. */
  #acceptCall(origin: CallOrigin): boolean {
    const context = this.#context;
    const link = context.link(origin.from);
    const known = context.bootOf(origin.from);
    if (origin.boot < known) {
      context.reply({ type: "OUTDATED", boot: known });
      return false;
    }
    this.#learnBoot(origin.from, origin.boot);
    const age = origin.generation - link.inGeneration;
    if (age < 0) return false;
    if (age > 0) {
      const first = link.inGeneration === 0;
      link.inGeneration = origin.generation;
      link.inSeq = 0;
      if (!first) this.#inboundReset(origin.from);
    }
    if (origin.seq < link.inSeq) return false;
    if (origin.seq > link.inSeq) this.#inboundReset(origin.from);
    link.inSeq = origin.seq + 1;
    return true;
  }

  /** A life of a peer has been seen: what an earlier one said counts no more. */
  #learnBoot(peer: Sid, boot: number): void {
    const context = this.#context;
    if (!context.learnBoot(peer, boot)) return;
    const link = context.link(peer);
    const first = link.inGeneration === 0;
    link.inGeneration = 0;
    link.inSeq = 0;
    this.#leader?.disown(peer);
    if (!first) this.#inboundReset(peer);
  }

  /** What a peer has seen of all members' lives, ours included. */
  #learnBoots(boots: readonly number[]): void {
    const { sid, boot: own, quorum } = this.#context;
    for (const voter of quorum.participants) {
      const boot = boots[voter - 1] ?? 0;
      if (voter !== sid) this.#learnBoot(voter, boot);
      else if (boot > own) this.#forget(boot);
    }
  }

  /**
   * A later life of ours was seen: this storage is an old copy, and what was promised since is forgotten. The next life
   * has a number above, and counts for nothing until it has synchronized.
   */
  #forget(boot: number): void {
    if (this.#over !== null) return;
    const context = this.#context;
    context.initialized = false;
    this.#role = "LOOKING";
    this.#leader = null;
    this.#follower = null;
    this.#election = null;
    this.#phaseChanged("LOOKING", "ELECTION", "a later life of this member was seen");
    this.#over = context.persist([{ type: "amnesia", boot }]);
  }

  /** Messages of this peer may be lost: our stay with it, and its stay with us, end. */
  #inboundReset(peer: Sid): void {
    this.#leader?.drop(peer);
    if (this.#follower?.leader === peer) this.#becomeLooking("something of the leader was lost");
  }

  #handleReturn({ peer, generation, boot, version, messages }: Returned): void {
    const context = this.#context;
    const link = context.link(peer);
    this.#accepted = link.generation === generation && boot >= context.bootOf(peer);
    if (!this.#accepted) return;
    this.#learnBoot(peer, boot);
    link.version = version ?? FIRST_VERSION;
    if (!link.up) {
      link.up = true;
      context.trace({ type: "link", to: peer, up: true });
      context.effects.push({ type: "park", peer, generation });
    }
    this.#heard(peer);
    for (const message of messages) this.#handleMessage(peer, message, false);
  }

  #heard(peer: Sid): void {
    this.#context.link(peer).heardAt = this.#context.now;
    this.#leader?.heard(peer);
    if (this.#follower?.leader === peer) this.#follower.heard();
  }

  #breakLink(peer: Sid): void {
    const context = this.#context;
    const link = context.link(peer);
    if (link.up) context.trace({ type: "link", to: peer, up: false });
    link.generation += 1;
    link.up = false;
    link.pingSentAt = null;
    link.rttMs = null;
    link.role = null;
    this.#leader?.drop(peer);
    if (this.#follower?.leader === peer) this.#becomeLooking("the link to the leader broke");
    if (this.#election !== null) {
      this.#election.markUnreachable(peer);
      this.#maybeDecide();
    }
  }

  // ── messages ─────────────────────────────────────────────────────────────

  #handleMessage(from: Sid, message: ZabMessage, isCall: boolean): void {
    if (this.#over !== null) return;
    const handlers: Readonly<Record<string, Handler<never>>> = ZabPeer.#handlers[this.#role];
    // A type that this version does not know can only be part of what our leader has to say: the stay is over.
    const handle = handlers[message.type] ?? ZabPeer.#toFollower;
    handle(this, from, message as never, isCall);
  }

  static readonly #nothing = (): void => {};

  static readonly #toLeader: Handler<LearnerMessage> = (peer, from, message) => {
    peer.#leader?.receive(from, message);
  };

  static readonly #toFollower: Handler<LeaderMessage> = (peer, from, message, isCall) => {
    const follower = peer.#follower;
    if (follower === null || follower.leader !== from || follower.join !== message.join || !isCall) return;
    if (!follower.receive(message)) peer.#becomeLooking("the leader's messages do not fit together");
  };

  /** What is handled alike in every role. */
  static readonly #always: HandlersOf<"OUTDATED" | "NOTIFICATION" | "PING" | "PONG"> = {
    OUTDATED: (peer, _, message, isCall) => {
      if (!isCall && message.boot > peer.#context.boot) peer.#forget(message.boot);
    },
    NOTIFICATION: (peer, from, message, isCall) => peer.#handleNotification(from, message, isCall),
    PING: (peer, from, message, isCall) => peer.#handlePing(from, message, isCall),
    PONG: (peer, from, message) => peer.#handlePong(from, message),
  };

  /** A learner's messages, at a member that does not lead: only what says something about others counts. */
  static readonly #notLeading: HandlersOf<LearnerMessage["type"]> = {
    FOLLOWERINFO: (peer, _from, _message, isCall) => {
      if (isCall) peer.#context.reply(peer.#notification());
    },
    ACKEPOCH: (peer, _, message) => peer.#learnBoots(message.boots),
    POSITION: ZabPeer.#nothing,
    STAGED: ZabPeer.#nothing,
    ACK: ZabPeer.#nothing,
    CONFIRM: ZabPeer.#nothing,
  };

  static readonly #notFollowing: HandlersOf<LeaderMessage["type"]> = {
    LEADERINFO: ZabPeer.#nothing,
    DIFF: ZabPeer.#nothing,
    TRUNC: ZabPeer.#nothing,
    SNAP: ZabPeer.#nothing,
    SNAPCHUNK: ZabPeer.#nothing,
    PROPOSAL: ZabPeer.#nothing,
    NEWLEADER: ZabPeer.#nothing,
    UPTODATE: ZabPeer.#nothing,
    COMMIT: ZabPeer.#nothing,
    CHECK: ZabPeer.#nothing,
  };

  /** What becomes of each message in each role. A new role or type of message does not compile until it is here. */
  static readonly #handlers: Readonly<Record<Role, HandlersOf<ZabMessage["type"]>>> = {
    LOOKING: { ...ZabPeer.#always, ...ZabPeer.#notLeading, ...ZabPeer.#notFollowing },
    FOLLOWING: {
      ...ZabPeer.#always,
      ...ZabPeer.#notLeading,
      LEADERINFO: ZabPeer.#toFollower,
      DIFF: ZabPeer.#toFollower,
      TRUNC: ZabPeer.#toFollower,
      SNAP: ZabPeer.#toFollower,
      SNAPCHUNK: ZabPeer.#toFollower,
      PROPOSAL: ZabPeer.#toFollower,
      NEWLEADER: ZabPeer.#toFollower,
      UPTODATE: ZabPeer.#toFollower,
      COMMIT: ZabPeer.#toFollower,
      CHECK: ZabPeer.#toFollower,
    },
    LEADING: {
      ...ZabPeer.#always,
      ...ZabPeer.#notFollowing,
      FOLLOWERINFO: ZabPeer.#toLeader,
      ACKEPOCH: (peer, from, message) => {
        peer.#learnBoots(message.boots);
        peer.#leader?.receive(from, message);
      },
      POSITION: ZabPeer.#toLeader,
      STAGED: ZabPeer.#toLeader,
      ACK: ZabPeer.#toLeader,
      CONFIRM: ZabPeer.#toLeader,
    },
  };

  #handlePing(from: Sid, ping: Ping, isCall: boolean): void {
    const context = this.#context;
    context.link(from).role = ping.role;
    if (isCall) {
      const idleMs = context.idleSince === null ? 0 : context.now - context.idleSince;
      const pong: Pong = { type: "PONG", sentAt: ping.sentAt, role: this.#role, idleMs };
      const stay = this.#follower;
      if (stay === null || stay.leader !== from || stay.confirmed === null) context.reply(pong);
      else context.reply({ ...pong, join: stay.join, confirmed: stay.confirmed });
    }
    const follower = this.#follower;
    if (follower === null || follower.leader !== from || follower.phase === "DISCOVERY") return;
    // A leader that does not count us among its learners, or leads no more, will never send us anything.
    if (ping.role !== "LEADING" || ping.join !== follower.join) {
      this.#becomeLooking("the leader does not count us any more");
    } else if (ping.disputed === true) follower.wait();
    else {
      if (follower.phase === "BROADCAST") follower.confirmedByQuorum = ping.confirmed === true;
      if (ping.digest !== undefined) {
        if (ping.confirmed === true) follower.noteConfirmed(ping.digest.zxid);
        context.effects.push({ type: "digest", expected: ping.digest });
      }
    }
  }

  #handlePong(from: Sid, pong: Pong): void {
    const context = this.#context;
    const link = context.link(from);
    link.role = pong.role;
    if (link.pingSentAt !== pong.sentAt) return;
    link.rttMs = context.now - pong.sentAt;
    link.pingSentAt = null;
    link.idleMs = pong.idleMs ?? 0;
    context.trace({ type: "ping", to: from, rttMs: link.rttMs });
    if (pong.confirmed !== undefined && pong.join !== undefined) {
      this.#leader?.confirmed(from, pong.join, pong.confirmed);
    }
    const follower = this.#follower;
    if (follower === null || follower.leader !== from || follower.phase === "DISCOVERY") return;
    if (pong.role !== "LEADING") this.#becomeLooking("the leader leads no more");
  }

  #ping(peer: Sid): void {
    const context = this.#context;
    const link = context.link(peer);
    if (link.pingSentAt !== null) return;
    link.pingSentAt = context.now;
    const ping: Ping = { type: "PING", sentAt: context.now, role: this.#role };
    const join = this.#leader?.joinOf(peer);
    if (join === undefined) context.send(peer, ping);
    else if (this.#leader?.isDisputed(peer) === true) context.send(peer, { ...ping, join, disputed: true });
    else if (context.digest === undefined || this.#leader?.isServing(peer) !== true) {
      context.send(peer, { ...ping, join });
    } else {
      const confirmed = this.#leader.confirmedByQuorum;
      context.send(peer, { ...ping, join, digest: context.digest, ...(confirmed && { confirmed }) });
    }
  }

  // ── time ─────────────────────────────────────────────────────────────────

  /** A member that was suspended received nothing, which is no silence of its peers: it pings them before it decides. */
  #excuse(stoodMs: number): void {
    for (const link of this.#context.links.values()) link.pingSentAt = null;
    this.#leader?.excuse(stoodMs);
    this.#follower?.excuse(stoodMs);
  }

  #tick(): void {
    if (this.#frozen) return;
    const { now, config, links } = this.#context;
    if (now >= this.#nextPingAt) {
      this.#nextPingAt = now + config.tickTimeMs;
      for (const [peer, link] of links) {
        const silent =
          link.pingSentAt !== null && now - link.pingSentAt >= config.syncLimit * config.tickTimeMs;
        if (silent) this.#breakLink(peer);
        this.#ping(peer);
      }
    }
    if (this.#isEstablishing && now >= this.#resendAt) {
      // Peers that follow another answer that; peers that wait for us send FOLLOWERINFO again.
      this.#resendAt = now + config.electionRetryMs;
      this.#notifyAll();
    }
    this.#leader?.tick();
    this.#follower?.tick();
    if (this.#election === null) return;
    if (now >= this.#resendAt) {
      this.#resendPauseMs = Math.min(this.#resendPauseMs * 2, config.electionRetryMsMax);
      this.#resendAt = now + this.#resendPauseMs;
      this.#notifyAll();
    }
    this.#maybeDecide();
  }
}

/** The vote for itself that made us follow this member is given up: for a later round, or for a better candidate. */
function isPast({ leader, electedIn }: Follower, { round, vote }: Notification): boolean {
  return round > electedIn || (round === electedIn && vote.leader !== leader);
}
