/**
 * One member of the ensemble: the wiring of its parts, and the dispatch of inputs to them.
 *
 *   input ▶ EnsembleServer ─▶ ReadPath ─▶ LocalReads              reads
 *                │     └────▶ WritePath ─▶ ProposalQueue           writes, to a batch
 *                ▼                              │ batch
 *             ZabPeer ◀─────────────────────────┘
 *                │ committed txns
 *                ▼
 *             Applier ─▶ tree, LocalReads, SessionTracker, Connections ─▶ Responder ▶ answers
 *
 * Everything that a part wants from the shell is in the `EffectList` of the step.
 */
import { assertNever } from "../assert.ts";
import type { ZooErrorCode } from "../errors.ts";
import { encodeWrite } from "../wire/jute/requests.ts";
import type { ZabEffect } from "../zab/effects.ts";
import { foundingMembership, type Sid } from "../zab/membership.ts";
import { ZabPeer } from "../zab/peer.ts";
import type { RecoveredState, SnapshotReader } from "../zab/storage.ts";
import type { TxnLogReader } from "../zab/txn-log.ts";
import type { ZnodeTree } from "../znode/tree.ts";
import { anonymousSession, NO_SESSION, type SessionId } from "../znode/types.ts";
import type { SeenWatches, WatchTable } from "../znode/watch.ts";
import { Activity } from "./activity.ts";
import { failed } from "./answers.ts";
import { Applier } from "./applier.ts";
import type { ServerConfig } from "./config.ts";
import { Connections } from "./connections.ts";
import { DigestCheck } from "./digest-check.ts";
import { EffectList } from "./effect-list.ts";
import type { ServerEffect, ServerInput } from "./effects.ts";
import type { Fingerprint } from "./fingerprint.ts";
import { Gather } from "./gather.ts";
import { type ConnectionId, NO_CONNECTION, type Token } from "./ids.ts";
import { LocalReads } from "./local-reads.ts";
import { MemberClock } from "./member-clock.ts";
import type { RawRequest } from "./messages.ts";
import { PeerInbox } from "./peer-inbox.ts";
import { PendingRequests } from "./pending.ts";
import { Quiet } from "./quiet.ts";
import { type ClientRead, ReadPath } from "./read-path.ts";
import { Readiness } from "./readiness.ts";
import { ReplyCache } from "./reply-cache.ts";
import { Responder } from "./responder.ts";
import { SessionTracker } from "./session-tracker.ts";
import type { LogRetention } from "./storage.ts";
import { WritePath } from "./write-path.ts";

/** What a member starts with. */
export interface ServerOptions {
  readonly sid: Sid;
  /** members of the ensemble */
  readonly size: number;
  readonly config: ServerConfig;
  readonly log: TxnLogReader;
  readonly snapshot: SnapshotReader;
  readonly recovered: RecoveredState;
  /** see {@link anonymousSession} */
  readonly nonce: number;
  /** the checkpoint's tree, with the log applied up to `recovered.applied` */
  readonly tree: ZnodeTree;
  /** of the protocol; absent: that of this code */
  readonly version?: number;
}

/**
 * A member: a pure state machine of which a step is one input and an ordered list of effects. The caller runs the effects of a
 * step in their order, and before the next step.
 *
 * Invariant: every client request gets exactly one answer, unless its connection is forgotten or disconnected before.
 *
 * @source ZooKeeper `ZooKeeperServer`, `QuorumPeer`; etcd-raft `RawNode` for the form
 */
export class EnsembleServer {
  readonly sid: Sid;
  readonly config: ServerConfig;
  readonly #zab: ZabPeer;
  readonly #clock = new MemberClock();
  readonly #activity = new Activity();
  readonly #effects: EffectList;
  readonly #pending: PendingRequests;
  readonly #readiness: Readiness;
  readonly #reads: LocalReads;
  readonly #replies: ReplyCache;
  readonly #sessions: SessionTracker;
  readonly #connections: Connections;
  readonly #responder: Responder;
  readonly #gather: Gather;
  readonly #writePath: WritePath;
  readonly #quiet: Quiet;
  readonly #readPath: ReadPath;
  readonly #digests: DigestCheck;
  readonly #applier: Applier;
  readonly #inbox: PeerInbox;

  constructor(options: ServerOptions) {
    const { sid, config, log, recovered, tree } = options;
    const zab = newPeer(options);
    const absorb = (effects: readonly ZabEffect[]) => this.#absorb(effects);
    const effects = new EffectList(zab.links);
    const pending = new PendingRequests();
    const readiness = new Readiness();
    const reads = new LocalReads(effects, tree);
    const replies = new ReplyCache(tree, log);
    const sessions = new SessionTracker(config, zab, effects, tree.sessions);
    const connections = new Connections(sid, effects, reads.watches, pending);
    const responder = new Responder(config, effects, pending, reads, replies, connections, readiness);
    const gather = new Gather(effects);
    const anonymous = anonymousSession(sid, recovered.boot, options.nonce);
    const base = { sid, config, zab, effects, pending, readiness };
    const writes = new WritePath({ ...base, sessions, replies, responder, anonymous, gather, absorb }, tree);
    const isIdle = (now: number) => this.#isIdle(now);
    const quiet = new Quiet({ ...base, tracker: sessions, isIdle, absorb }, recovered.quiet ?? null);
    if (quiet.record?.epoch === recovered.currentEpoch) readiness.startsAsleep();
    this.sid = sid;
    this.config = config;
    this.#zab = zab;
    this.#effects = effects;
    this.#pending = pending;
    this.#readiness = readiness;
    this.#reads = reads;
    this.#replies = replies;
    this.#sessions = sessions;
    this.#connections = connections;
    this.#responder = responder;
    this.#gather = gather;
    this.#writePath = writes;
    this.#quiet = quiet;
    this.#readPath = new ReadPath({ ...base, reads, writes }, tree);
    this.#digests = new DigestCheck(zab, tree, absorb);
    this.#applier = new Applier(tree, reads, replies, sessions, connections, this.#digests, responder);
    this.#inbox = new PeerInbox({ ...base, sessions, writes, quiet, absorb });
  }

  // ── what others see ──────────────────────────────────────────────────────

  get zab(): ZabPeer {
    return this.#zab;
  }

  get tree(): ZnodeTree {
    return this.#applier.tree;
  }

  get watches(): WatchTable {
    return this.#reads.watches;
  }

  /** *map peer → why its last message that was not understood was refused* */
  get refused(): ReadonlyMap<Sid, string> {
    return this.#inbox.refused;
  }

  /** May take requests: in broadcast, and caught up. */
  get ready(): boolean {
    return this.#readiness.isReady;
  }

  /** Not ready, but will be soon: it was asleep. */
  get waking(): boolean {
    return this.#readiness.isWaking(this.#clock.now);
  }

  /** Since when the ensemble sleeps, as far as this member knows; null while it is awake. ms since 1970 */
  get asleepSince(): number | null {
    return this.#quiet.state === "ASLEEP" ? (this.#quiet.record?.sinceMs ?? null) : null;
  }

  /** *map session → its owner, an object of ours that waits at this member*: it sleeps and wakes with the ensemble */
  get parked(): Map<SessionId, number> {
    return this.#quiet.parked;
  }

  /** The clock of this session stands still: its owner sleeps, or is about to. */
  standsStill(session: SessionId): boolean {
    return this.#zab.frozen && this.#quiet.isParked(session);
  }

  /** Requests that wait for an answer. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  /** The connection's name within the ensemble. */
  connectionOf(token: Token): ConnectionId {
    return this.#connections.nameOf(token);
  }

  /** When `tick` is to be fed, at the latest; ms. */
  get deadline(): number {
    return this.#clock.toClock(this.#deadline);
  }

  /** In the member's time. */
  get #deadline(): number {
    if (this.#zab.frozen) return this.#quiet.deadline;
    const at = Math.min(this.#zab.deadline, this.#pending.deadline);
    return this.#readiness.isReady ? Math.min(at, this.#sessions.deadline) : at;
  }

  /** Enough has changed for a checkpoint, and nobody reads the last one. @param logBytes logged since the last one */
  checkpointDue(logBytes: number): boolean {
    if (this.#zab.readsSnapshot) return false;
    return (
      this.tree.changedCount >= this.config.checkpointChangesMax ||
      logBytes >= this.config.checkpointLogBytesMax ||
      this.#zab.wantsCheckpoint
    );
  }

  /** What a checkpoint is to leave in the log: a learner that merely lags takes no SNAP. */
  get logRetention(): LogRetention {
    const { logRetainTxns, diffBytesMax } = this.config;
    return { logRetainTxns, diffBytesMax, slowest: this.#zab.proposing?.slowest };
  }

  // ── inputs ───────────────────────────────────────────────────────────────

  /** Takes one input. @param clockMs what the member's clock shows @returns effects, to be run in order before the next call */
  step(clockMs: number, input: ServerInput): ServerEffect[] {
    const now = this.#readClock(clockMs);
    this.#zab.patienceMs = this.#patienceMs(now);
    switch (input.type) {
      case "call":
      case "returned":
        if (this.#inbox.receive(now, input)) this.#writePath.maybeLeave(now);
        break;
      case "yielded":
        this.#gather.yielded();
        this.#writePath.leave(now);
        break;
      case "tick":
        this.#absorb(this.#zab.step(now, input));
        this.#tick(now);
        break;
      case "start":
        this.#activity.asked(now);
        this.#zab.idleSince = now;
        this.#readiness.started(now, this.config.requestTimeoutMs);
        this.#absorb(this.#zab.step(now, input));
        break;
      case "linkBroken":
        // Asleep, the calls that were open are released; a peer that dies then is noticed on waking.
        if (this.#quiet.state !== "ASLEEP") this.#absorb(this.#zab.step(now, input));
        break;
      case "persisted":
      case "released":
        this.#absorb(this.#zab.step(now, input));
        break;
      default:
        assertNever(input);
    }
    return this.#finish(now);
  }

  /** Ends a turn of submits: sends what may leave at once. */
  flush(clockMs: number): ServerEffect[] {
    const now = this.#readClock(clockMs);
    this.#writePath.maybeLeave(now);
    return this.#finish(now);
  }

  /** The tree was replaced by a received snapshot. */
  loadTree(clockMs: number, tree: ZnodeTree): ServerEffect[] {
    const now = this.#readClock(clockMs);
    this.#sessions.loadTree(tree.sessions);
    this.#replies.loadTree(tree);
    this.#reads.loadTree(tree);
    this.#applier.loadTree(tree);
    this.#digests.loadTree(tree);
    this.#readPath.loadTree(tree);
    this.#readiness.loadTree();
    this.#effects.push({ type: "dropClients" });
    this.#writePath.loadTree(tree);
    return this.#finish(now);
  }

  /** The checkpoint that a `checkpoint` effect asked for is made. */
  checkpointed(clockMs: number): ServerEffect[] {
    const now = this.#readClock(clockMs);
    this.#absorb(this.#zab.checkpointed(now));
    return this.#finish(now);
  }

  #readClock(clockMs: number): number {
    const passedMs = this.#clock.read(clockMs);
    const { now } = this.#clock;
    this.#sessions.timePassed(now, passedMs);
    return now;
  }

  // ── clients ──────────────────────────────────────────────────────────────

  /**
   * Takes a write of a client; {@link flush} ends the turn. The answer comes as a `respond` effect.
   * @param request session 0: a write without a session
   * @param connection the connection of the session by which it comes, if any: {@link connectionOf}
   * @param known fingerprint of the request, where the caller has it already
   */
  submitWrite(
    clockMs: number,
    token: Token,
    request: RawRequest,
    connection = NO_CONNECTION,
    known?: Fingerprint,
  ): void {
    const now = this.#readClock(clockMs);
    this.#noteRequest(now, false);
    if (request.session !== NO_SESSION) this.#sessions.touch(now, request.session);
    this.#writePath.submit(now, token, request, connection, known);
  }

  /** Opens a session for a connection, which is the session's from then on; the answer comes with xid 0. */
  openSession(clockMs: number, token: Token, session: SessionId, timeoutMs: number): void {
    const open = encodeWrite({ type: "createSession", timeoutMs });
    this.submitWrite(clockMs, token, { session, xid: 0, ...open }, this.connectionOf(token));
  }

  /**
   * A client continues its session over this connection. That is a txn: once it is applied here, this member has
   * everything that the client has seen at any member, every member knows that earlier connections are void, and no
   * write of them happens any more. The answer has the connection's name as its xid.
   */
  attach(clockMs: number, token: Token, session: SessionId): void {
    const connection = this.connectionOf(token);
    const sync = encodeWrite({ type: "sync" });
    this.submitWrite(clockMs, token, { session, xid: connection, ...sync }, connection);
  }

  /** Takes a read of a client: it is answered behind the writes of the same session that came before. */
  submitRead(clockMs: number, token: Token, read: ClientRead): void {
    const now = this.#readClock(clockMs);
    const { session, background = false } = read;
    this.#activity.read(now);
    this.#noteRequest(now, background);
    if (session !== NO_SESSION) this.touch(clockMs, session, background);
    this.#readPath.submit(now, token, read);
  }

  /** Takes a request that is refused without being tried: it is answered in the session's order too. */
  submitRefused(clockMs: number, token: Token, session: SessionId, xid: number, code: ZooErrorCode): void {
    this.touch(clockMs, session);
    const answer = failed(this.tree.lastApplied, code);
    this.#responder.respondInTurn(this.#clock.now, token, session, xid, answer);
  }

  /** Takes the watches that a client of this member had on an earlier connection. */
  submitWatches(clockMs: number, token: Token, session: SessionId, xid: number, seen: SeenWatches): void {
    this.touch(clockMs, session);
    this.#readPath.submitLocal(this.#clock.now, token, session, xid, { type: "setWatches", seen });
  }

  /** The session's client has given a sign of life. @param background by itself that does not keep the ensemble awake */
  touch(clockMs: number, session: SessionId, background = false): void {
    const now = this.#readClock(clockMs);
    if (background && this.standsStill(session)) return;
    this.#noteRequest(now, background);
    this.#sessions.touch(now, session);
  }

  /** How many clients are connected now. While there are any, the ensemble stays awake; {@link flush} ends the turn. */
  setClients(clockMs: number, count: number): void {
    if (!this.#activity.connected(count)) return;
    this.#noteRequest(this.#readClock(clockMs), false);
  }

  /** The client is gone; see {@link Connections.forget}. */
  forget(token: Token): void {
    this.#connections.forget(token);
  }

  /** A request has come: if the ensemble sleeps, it wakes. */
  #noteRequest(now: number, background: boolean): void {
    if (!background) {
      this.#activity.asked(now);
      this.#zab.idleSince = this.#activity.idleSince(now);
    }
    if (this.#zab.frozen) this.#absorb(this.#zab.wake(now, "a client asks"));
  }

  // ── what Zab decided ─────────────────────────────────────────────────────

  #absorb(effects: readonly ZabEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "deliver":
          this.#apply(this.#clock.now, effect);
          break;
        case "digest":
          this.#digests.expect(this.#clock.now, effect.expected, effect.asked === true);
          break;
        case "snapshotLoaded":
          this.#effects.push({ type: "reloadTree" });
          break;
        case "learnerLeft":
          this.#quiet.disturb("a learner has left");
          this.#sessions.expiry.learnerLeft(effect.sid, this.#clock.now);
          this.#writePath.learnerLeft(effect.sid);
          break;
        case "role":
          this.#roleChanged(this.#clock.now);
          break;
        case "persist":
        case "send":
        case "reply":
        case "park":
        case "hold":
        case "abort":
        case "trace":
        case "checkpoint":
          this.#effects.push(effect);
          break;
        default:
          assertNever(effect);
      }
    }
  }

  #apply(now: number, { batch, offset, upTo }: Extract<ZabEffect, { type: "deliver" }>): void {
    const leads = this.#zab.proposing !== undefined;
    this.#applier.apply(now, batch, offset, upTo, leads);
    if (leads) this.#writePath.applied(this.tree.lastApplied);
  }

  #roleChanged(now: number): void {
    const slept = this.#quiet.state !== "AWAKE";
    if (slept && !this.#zab.frozen) {
      this.#quiet.becomeAwake();
      this.#readiness.woken(now, this.config.requestTimeoutMs);
    }
    if (this.#zab.serving && this.#readiness.hasBarrier) return;
    this.#sessions.epochEnded(now, slept);
    this.#readiness.lost();
    this.#digests.reset();
    this.#writePath.reset();
  }

  #maybeBecomeReady(now: number): void {
    const outcome = this.#readiness.maybeBegin(now, this.#zab);
    if (outcome === undefined) return;
    // Whatever woke it, or made it elect, needs a while: a session may be about to expire.
    this.#noteRequest(now, false);
    const leader = this.#zab.proposing;
    if (leader !== undefined) {
      this.#quiet.restore(now, leader.continues, outcome === "WOKEN");
      this.#sessions.becomeLeading(now);
    } else {
      this.#quiet.rejoin();
      this.#sessions.becomeFollowing(now, outcome === "LATE");
    }
    this.#writePath.begin();
    this.#writePath.maybeLeave(now);
  }

  /** Ends a step: what has become possible is done now. */
  #finish(now: number): ServerEffect[] {
    this.#quiet.finish(now);
    if (this.#zab.proposing?.comparing === true) this.#absorb(this.#zab.compareTrees(now));
    if (this.#zab.serving && !this.#readiness.isReady) this.#maybeBecomeReady(now);
    if (this.#readiness.isReady) this.#sessions.maybeReport(now);
    if (this.#zab.proposing !== undefined && this.#writePath.hasQueued) this.#writePath.maybeLeave(now);
    this.#absorb(this.#zab.flushCommits(now));
    if (this.#zab.proposing?.exhausted === true && !this.#writePath.hasOutstanding) {
      this.#absorb(this.#zab.resign(now));
    }
    return this.#effects.take();
  }

  // ── time ─────────────────────────────────────────────────────────────────

  #tick(now: number): void {
    const { syncLimit, tickTimeMs } = this.config;
    // A member that is long out of the quorum sends its clients away: here they would wait in vain.
    const hasClients = this.watches.count > 0 || this.#connections.size > 0;
    if (this.#readiness.maybeGivesUp(now, syncLimit * tickTimeMs, hasClients)) {
      this.#effects.push({ type: "dropClients" });
    }
    this.#responder.expire(now, this.tree.lastApplied);
    const leads = this.#zab.proposing !== undefined;
    if (leads && this.#readiness.isReady && !this.#zab.frozen) this.#expireSessions(now);
    this.#quiet.tick(now);
  }

  #expireSessions(now: number): void {
    const expired = this.#sessions.expiry.expire(now);
    for (const session of expired) this.#writePath.submitOwn(session, { type: "closeSession" });
    if (expired.length > 0) this.#writePath.maybeLeave(now);
  }

  /** How long a commit may take to be known here: what clients here wait for decides; ms. */
  #patienceMs(now: number): number {
    if (this.#pending.length > 0) return 0;
    const isIdle = this.watches.count === 0 && !this.#activity.hasRead(now, this.config.tickTimeMs);
    return isIdle ? this.config.idlePatienceMs : this.config.watchPatienceMs;
  }

  /** No client has asked anything for long, and nothing is under way. */
  #isIdle(now: number): boolean {
    const { quietAfterMs } = this.config;
    if (quietAfterMs === 0 || !this.#activity.isIdle(now, quietAfterMs)) return false;
    if (!this.#readiness.isReady || this.#pending.length > 0) return false;
    return this.#writePath.isIdle && this.#zab.settled;
  }
}

const newPeer = ({ sid, size, config, log, snapshot, recovered, version }: ServerOptions): ZabPeer =>
  new ZabPeer(sid, foundingMembership(size), config, log, snapshot, recovered, version);
