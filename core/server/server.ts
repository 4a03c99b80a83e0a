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
 * All parts add their effects to the one `EffectList` of the step.
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

/** What a member is constructed from. */
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
  /** version of the protocol; absent: the one of this code */
  readonly version?: number;
}

/**
 * A member, as a pure state machine: a step takes one input and returns an ordered list of effects. The caller runs the
 * effects of a step in order, before the next step.
 *
 * Invariant: every client request gets exactly one answer, unless its connection is closed before.
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
    const reads = new LocalReads(config, effects, tree);
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

  // ── state ────────────────────────────────────────────────────────────────

  get zab(): ZabPeer {
    return this.#zab;
  }

  get tree(): ZnodeTree {
    return this.#applier.tree;
  }

  get watches(): WatchTable {
    return this.#reads.watches;
  }

  /** *map peer → why its last unknown or unreadable message was refused* */
  get refused(): ReadonlyMap<Sid, string> {
    return this.#inbox.refused;
  }

  /** Whether it may take requests: in broadcast, and caught up. */
  get ready(): boolean {
    return this.#readiness.isReady;
  }

  /** Whether it is about to become ready after a sleep. */
  get waking(): boolean {
    return this.#readiness.isWaking(this.#clock.now);
  }

  /** Since when the ensemble has been asleep, as far as this member knows, ms since 1970; null while it is awake */
  get asleepSince(): number | null {
    return this.#quiet.state === "ASLEEP" ? (this.#quiet.record?.sinceMs ?? null) : null;
  }

  /** *map session → its owner*, for owners attached to this member, which sleep and wake with the ensemble */
  get parked(): Map<SessionId, number> {
    return this.#quiet.parked;
  }

  /** Whether this session is parked: its owner sleeps or is about to, and its deadline does not advance. */
  isSessionParked(session: SessionId): boolean {
    return this.#zab.frozen && this.#quiet.isParked(session);
  }

  /** Number of pending requests. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  /** The connection's name within the ensemble. */
  connectionOf(token: Token): ConnectionId {
    return this.#connections.nameOf(token);
  }

  /** The latest time at which `tick` must be fed, in the time of the clock; ms. */
  get deadline(): number {
    return this.#clock.toClock(this.#deadline);
  }

  /** The deadline in the member's time. */
  get #deadline(): number {
    if (this.#zab.frozen) return this.#quiet.deadline;
    const at = Math.min(this.#zab.deadline, this.#pending.deadline);
    return this.#readiness.isReady ? Math.min(at, this.#sessions.deadline) : at;
  }

  /**
   * Whether enough has changed for a checkpoint, and no SNAP is being read from the last one.
   * @param logBytes bytes logged since the last one
   */
  checkpointDue(logBytes: number): boolean {
    if (this.#zab.readsSnapshot) return false;
    return (
      this.tree.changedCount >= this.config.checkpointChangesMax ||
      logBytes >= this.config.checkpointLogBytesMax ||
      this.tree.needsCheckpoint(this.config.znodeCacheBytes) ||
      this.#zab.wantsCheckpoint
    );
  }

  /** What a checkpoint must leave in the log, so that a learner that merely lags needs no SNAP. */
  get logRetention(): LogRetention {
    const { logRetainTxns, diffBytesMax } = this.config;
    return { logRetainTxns, diffBytesMax, slowest: this.#zab.proposing?.slowest };
  }

  // ── inputs ───────────────────────────────────────────────────────────────

  /** Handles one input. @param clockMs time of the member's clock, ms @returns effects, to be run in order before the next call */
  step(clockMs: number, input: ServerInput): ServerEffect[] {
    const now = this.#readClock(clockMs);
    this.#zab.patienceMs = this.#patienceMs(now);
    switch (input.type) {
      case "call":
      case "returned":
        this.#inbox.receive(now, input);
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
        // During sleep no peer is called; a peer that dies then is noticed at the next wake-up.
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

  /** Ends a turn of submits: sends the writes that need not wait. */
  flush(clockMs: number): ServerEffect[] {
    const now = this.#readClock(clockMs);
    this.#writePath.maybeLeave(now);
    return this.#finish(now);
  }

  /** Replaces the tree by a received snapshot. */
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

  /** Reports that the checkpoint that a `checkpoint` effect requested is made. */
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
   * Takes a write of a client; {@link flush} ends the turn. The answer is a `respond` effect.
   * @param request session 0 for a write without a session
   * @param connection the session's connection over which it came, if any; see {@link connectionOf}
   * @param known fingerprint of the request, if the caller has computed it
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

  /** Opens a session and attaches this connection to it. The answer has xid 0. */
  openSession(clockMs: number, token: Token, session: SessionId, timeoutMs: number): void {
    const open = encodeWrite({ type: "createSession", timeoutMs });
    this.submitWrite(clockMs, token, { session, xid: 0, ...open }, this.connectionOf(token));
  }

  /**
   * Attaches a session to this connection, by a txn. Once it is applied here, this member has every state that the client
   * has seen at any member, and no write over an earlier connection can happen any more. The answer has the connection's
   * name as its xid.
   */
  attach(clockMs: number, token: Token, session: SessionId): void {
    const connection = this.connectionOf(token);
    const sync = encodeWrite({ type: "sync" });
    this.submitWrite(clockMs, token, { session, xid: connection, ...sync }, connection);
  }

  /** Takes a read of a client. It is answered after earlier writes of the same session. */
  submitRead(clockMs: number, token: Token, read: ClientRead): void {
    const now = this.#readClock(clockMs);
    const { session, background = false } = read;
    this.#activity.read(now);
    this.#noteRequest(now, background);
    if (session !== NO_SESSION) this.touch(clockMs, session, background);
    this.#readPath.submit(now, token, read);
  }

  /** Takes a request that is refused without being executed. It is answered in the session's order too. */
  submitRefused(clockMs: number, token: Token, session: SessionId, xid: number, code: ZooErrorCode): void {
    this.touch(clockMs, session);
    const answer = failed(this.tree.lastApplied, code);
    this.#responder.respondInTurn(this.#clock.now, token, session, xid, answer);
  }

  /** Takes the watches that a client had on an earlier connection. */
  submitWatches(clockMs: number, token: Token, session: SessionId, xid: number, seen: SeenWatches): void {
    this.touch(clockMs, session);
    this.#readPath.submitLocal(this.#clock.now, token, session, xid, { type: "setWatches", seen });
  }

  /** Records a heartbeat of the session. @param background whether it must not keep the ensemble awake */
  touch(clockMs: number, session: SessionId, background = false): void {
    const now = this.#readClock(clockMs);
    if (background && this.isSessionParked(session)) return;
    this.#noteRequest(now, background);
    this.#sessions.touch(now, session);
  }

  /** Sets the number of connected clients. While there is one, the ensemble stays awake; {@link flush} ends the turn. */
  setClients(clockMs: number, count: number): void {
    if (!this.#activity.connected(count)) return;
    this.#noteRequest(this.#readClock(clockMs), false);
  }

  /** Handles a closed connection; see {@link Connections.forget}. */
  forget(token: Token): void {
    this.#connections.forget(token);
  }

  /** Records a request, and wakes the ensemble if it sleeps. */
  #noteRequest(now: number, background: boolean): void {
    if (!background) {
      this.#activity.asked(now);
      this.#zab.idleSince = this.#activity.idleSince(now);
    }
    if (this.#zab.frozen) this.#absorb(this.#zab.wake(now, "a client sent a request"));
  }

  // ── effects of Zab ───────────────────────────────────────────────────────

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
    // The ensemble stays awake for a while after an election, because a session may be about to expire.
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

  /** Ends a step: does everything that the step has made possible. */
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
    this.tree.trim(this.config.znodeCacheBytes);
    return this.#effects.take();
  }

  // ── time ─────────────────────────────────────────────────────────────────

  #tick(now: number): void {
    const { syncLimit, tickTimeMs } = this.config;
    // A member that has been out of the quorum for long disconnects its clients, which would wait in vain.
    const hasClients = this.watches.count > 0 || this.#connections.size > 0;
    if (this.#readiness.hasTimedOut(now, syncLimit * tickTimeMs, hasClients)) {
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

  /** How long a COMMIT may be held back for this member; depends on what its clients wait for. ms. */
  #patienceMs(now: number): number {
    if (this.#pending.length > 0) return 0;
    // without clients, only this system's objects wait for changes, of which they learn soon enough
    const isWatched = this.watches.count > 0 && this.#activity.hasClients;
    const isIdle = !isWatched && !this.#activity.hasRead(now, this.config.tickTimeMs);
    return isIdle ? this.config.idlePatienceMs : this.config.watchPatienceMs;
  }

  /** Whether no client has sent a request for long, and nothing is in flight. */
  #isIdle(now: number): boolean {
    const { quietAfterMs } = this.config;
    if (quietAfterMs === 0 || !this.#activity.isIdle(now, quietAfterMs)) return false;
    if (!this.#readiness.isReady || this.#pending.length > 0) return false;
    return this.#writePath.isIdle && this.#zab.settled;
  }
}

const newPeer = ({ sid, size, config, log, snapshot, recovered, version }: ServerOptions): ZabPeer =>
  new ZabPeer(sid, foundingMembership(size), config, log, snapshot, recovered, version);
