/**
 * A whole member: the Zab peer, the tree it replicates, sessions, watches, and the way of a request.
 *
 *   client ▶ submitWrite ▶ pending ▶ (follower: REQUEST ▶) leader: queue ▶ prep ▶ propose ▶ … commit ▶ apply ▶ respond
 *
 * A write that has not come back when this member changes its leader is neither lost nor done twice: the history that a
 * new leader establishes holds all that can still happen of the old one's. What is not in it is sent again, what is in it
 * is answered from it.
 *
 * @source ZooKeeper request processors (Prep, Proposal, Commit, Final, FollowerRequest)
 */
import { assert, assertNever } from "../assert.ts";
import type { ZooErrorCode } from "../errors.ts";
import { FIRST_VERSION } from "../version.ts";
import { encodeWrite } from "../wire/jute/requests.ts";
import { WireError } from "../wire/reader.ts";
import { appendTxn, TxnCursor } from "../wire/txn-codec.ts";
import { ByteWriter } from "../wire/writer.ts";
import { equalDigest } from "../zab/digests.ts";
import type { ZabEffect } from "../zab/effects.ts";
import { foundingMembership, type Sid } from "../zab/membership.ts";
import type { DigestAt } from "../zab/messages.ts";
import { ZabPeer } from "../zab/peer.ts";
import type { RecoveredState, SnapshotReader } from "../zab/storage.ts";
import type { TxnLogReader } from "../zab/txn-log.ts";
import { compareZxid, ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import { Prep } from "../znode/prep.ts";
import type { ZnodeTree } from "../znode/tree.ts";
import {
  anonymousSession,
  isAnonymous,
  NO_SESSION,
  type ReadRequest,
  type SessionId,
  type Txn,
  type TxnHeader,
  type WriteRequest,
  type WriteResult,
} from "../znode/types.ts";
import { type SeenWatches, WatchTable } from "../znode/watch.ts";
import { failed, type ServerAnswer } from "./answers.ts";
import type { ServerConfig } from "./config.ts";
import { Connections } from "./connections.ts";
import { EffectList } from "./effect-list.ts";
import type { DisconnectCode, ServerEffect, ServerInput } from "./effects.ts";
import { ApplyError } from "./failure.ts";
import { type Fingerprint, fingerprintOf, NOT_KNOWN } from "./fingerprint.ts";
import { type ConnectionId, connectionIdOf, NO_CONNECTION, NO_TOKEN, type Token } from "./ids.ts";
import { MemberClock } from "./member-clock.ts";
import {
  decodeRequest,
  isNumbered,
  isServerMessage,
  isZabMessage,
  packRequests,
  type RawRequest,
  type RejectCode,
  type RejectMessage,
  type RoutedRequest,
  type ServerMessage,
  type TakenRequest,
  unknownIn,
  unpackRequests,
} from "./messages.ts";
import {
  type LocalRequest,
  type PendingLocal,
  type PendingRequest,
  PendingRequests,
  type PendingWrite,
  type SyncedRead,
} from "./pending.ts";
import { Quiet, type QuietHost } from "./quiet.ts";
import { ReplyCache } from "./reply-cache.ts";
import { isSameRequest } from "./reuse.ts";
import { SessionTracker } from "./session-tracker.ts";
import type { LogRetention } from "./storage.ts";

/** Bytes of a txn beyond the request's body, at most: what a batch must have room for. */
const TXN_OVERHEAD_BYTES = 128;

export interface ServerOptions {
  readonly sid: Sid;
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

export class EnsembleServer {
  readonly sid: Sid;
  readonly config: ServerConfig;
  readonly watches = new WatchTable();
  /** *map peer → why its last message that was not understood was refused* */
  readonly refused = new Map<Sid, string>();
  readonly #zab: ZabPeer;
  readonly #log: TxnLogReader;
  readonly #pending = new PendingRequests();
  /** of our clients that have a session */
  readonly #connections = new Connections();
  readonly #replies: ReplyCache;
  readonly #sessions: SessionTracker;
  readonly #anonymous: SessionId;
  #tree: ZnodeTree;
  #prep: Prep;
  readonly #effects: EffectList;
  readonly #clock = new MemberClock();
  #anonymousXid = 0;
  /** serving, and caught up with the history that this stay began with */
  #ready = false;
  /** ready, now or before in this life: the tree is not behind what was shown here */
  #wasReady = false;
  /** when we were last seen ready */
  #readyAt = 0;
  /** what must be applied before we are ready; null while not in broadcast */
  #barrier: Zxid | null = null;
  /** the leader's writes that await a batch */
  #queue: (TakenRequest | PendingWrite)[] = [];
  #queueBytes = 0;
  /** a follower's writes that await their way to the leader */
  #outbox: PendingWrite[] = [];
  /** size of recent batches, fading */
  #recent = 0;
  #yielding = false;
  /** when a client last read here */
  #readAt = Number.NEGATIVE_INFINITY;
  #expectedDigest: DigestAt | null = null;
  readonly #quiet: Quiet;
  /** when a client asked last; ms */
  #activeAt = 0;
  /** clients that are connected */
  #clients = 0;
  /** until when what waits for the ensemble to wake is kept waiting; ms */
  #wakingUntil = 0;
  /** why a sleep that has begun cannot go on */
  #disturbed: string | null = null;
  /** *map session → its owner, an object of ours that waits at this member*: it sleeps and wakes with the ensemble */
  readonly parked = new Map<SessionId, number>();

  constructor(options: ServerOptions) {
    this.sid = options.sid;
    this.config = options.config;
    this.#log = options.log;
    this.#tree = options.tree;
    this.#prep = new Prep(options.tree);
    this.#anonymous = anonymousSession(options.sid, options.recovered.boot, options.nonce);
    this.#zab = new ZabPeer(
      options.sid,
      foundingMembership(options.size),
      options.config,
      options.log,
      options.snapshot,
      options.recovered,
      options.version,
    );
    this.#effects = new EffectList(this.#zab.links);
    this.#sessions = new SessionTracker(options.config, this.#zab, this.#effects, options.tree.sessions);
    this.#replies = new ReplyCache(options.tree, options.log);
    this.#quiet = new Quiet(this.#quietHost(), options.recovered.quiet ?? null);
    if (this.#quiet.record?.epoch === options.recovered.currentEpoch) {
      this.#wakingUntil = Number.POSITIVE_INFINITY;
    }
    this.#tellDigest();
  }

  #quietHost(): QuietHost {
    return {
      sid: this.sid,
      config: this.config,
      zab: this.#zab,
      tracker: this.#sessions,
      parked: this.parked,
      isIdle: (now) => this.#isIdle(now),
      send: (to, message) => this.#effects.send(to, message),
      emit: (effect) => this.#effects.push(effect),
      absorb: (effects) => this.#absorb(effects),
      wake: (reason) => this.#wake(reason),
    };
  }

  get zab(): ZabPeer {
    return this.#zab;
  }

  get tree(): ZnodeTree {
    return this.#tree;
  }

  /** May take requests: in broadcast, and caught up. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Since when the ensemble sleeps, as far as this member knows; null while it is awake. ms since 1970 */
  get asleepSince(): number | null {
    return this.#quiet.state === "ASLEEP" ? (this.#quiet.record?.sinceMs ?? null) : null;
  }

  /** The clock of this session stands still: its owner sleeps, or is about to. */
  standsStill(session: SessionId): boolean {
    return this.#zab.frozen && this.#quiet.isParked(session);
  }

  /** Not ready, but will be soon: it was asleep. */
  get waking(): boolean {
    return !this.#ready && this.#clock.now < this.#wakingUntil;
  }

  /** Requests that wait for an answer. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  /** When `tick` is to be fed, at the latest; ms. */
  get deadline(): number {
    return this.#clock.toClock(this.#deadline);
  }

  /** Of our own time. */
  get #deadline(): number {
    if (this.#zab.frozen) return this.#quiet.deadline;
    const at = Math.min(this.#zab.deadline, this.#pending.deadline);
    if (!this.#ready) return at;
    return Math.min(at, this.#sessions.deadline);
  }

  /** Enough has changed for a checkpoint, and nobody reads the last one. @param logBytes logged since the last one */
  checkpointDue(logBytes: number): boolean {
    if (this.#zab.readsSnapshot) return false;
    return (
      this.#tree.changedCount >= this.config.checkpointChangesMax ||
      logBytes >= this.config.checkpointLogBytesMax ||
      this.#zab.wantsCheckpoint
    );
  }

  /** What a checkpoint is to leave in the log: a learner that merely lags takes no SNAP. */
  get logRetention(): LogRetention {
    const { logRetainTxns, diffBytesMax } = this.config;
    return { logRetainTxns, diffBytesMax, slowest: this.#zab.proposing?.slowest };
  }

  #readClock(clockMs: number): number {
    const passedMs = this.#clock.read(clockMs);
    const { now } = this.#clock;
    this.#sessions.timePassed(now, passedMs);
    return now;
  }

  /** Takes one input. @param clockMs what the member's clock shows @returns effects, to be run in order before the next call */
  step(clockMs: number, input: ServerInput): ServerEffect[] {
    const now = this.#readClock(clockMs);
    this.#zab.patienceMs = this.#patienceMs;
    switch (input.type) {
      case "call":
      case "returned":
        this.#receive(now, input);
        break;
      case "yielded":
        this.#yielding = false;
        this.#sendGathered();
        break;
      case "tick":
        this.#absorb(this.#zab.step(now, input));
        this.#tick();
        break;
      case "start":
        this.#activeAt = now;
        this.#zab.idleSince = now;
        if (this.#wakingUntil > 0) this.#wakingUntil = now + this.config.requestTimeoutMs;
        this.#absorb(this.#zab.step(now, input));
        break;
      case "linkBroken":
        // The calls that were open are let go in sleep; a peer that died then is found out on waking.
        if (this.#quiet.state !== "ASLEEP") this.#absorb(this.#zab.step(now, input));
        break;
      case "persisted":
      case "released":
        this.#absorb(this.#zab.step(now, input));
        break;
      default:
        assertNever(input);
    }
    return this.#finish();
  }

  /**
   * Takes a write of a client; {@link flush} ends the turn. The answer comes as a `respond` effect.
   * @param request session 0: a write without a session
   * @param connection the connection of the session by which it comes, if any: {@link connectionIdOf}
   * @param known fingerprint of the request, where the caller has it already
   */
  submitWrite(
    clockMs: number,
    token: Token,
    request: RawRequest,
    connection = NO_CONNECTION,
    known?: Fingerprint,
  ): void {
    this.#readClock(clockMs);
    this.#noteRequest(false);
    const anonymous = request.session === NO_SESSION;
    const session = anonymous ? this.#anonymous : request.session;
    const xid = anonymous ? this.#nextAnonymousXid() : request.xid;
    if (!anonymous) this.touch(clockMs, session);
    let fingerprint = NOT_KNOWN;
    if (!anonymous && xid > 0) {
      fingerprint = known ?? fingerprintOf(request.opcode, request.body);
      const answer = this.#answeredOrUsed(request, fingerprint);
      if (answer !== undefined) {
        this.#respondInTurn(token, session, request.xid, answer);
        return;
      }
    }
    this.#take(token, session, xid, request, connection, fingerprint, null);
  }

  /** Opens a session for a connection, which speaks for it from then on; the answer comes with xid 0. */
  openSession(now: number, token: Token, session: SessionId, timeoutMs: number): void {
    const open = encodeWrite({ type: "createSession", timeoutMs });
    this.submitWrite(now, token, { session, xid: 0, ...open }, this.connectionOf(token));
  }

  /**
   * A client continues its session over this connection. That is a txn: once it is applied here, this member has
   * everything that the client has seen at any member, every member knows that earlier connections are void, and no
   * write of them happens any more. The answer has the connection's name as its xid.
   */
  attach(now: number, token: Token, session: SessionId): void {
    const connection = this.connectionOf(token);
    this.submitWrite(now, token, { session, xid: connection, ...encodeWrite({ type: "sync" }) }, connection);
  }

  connectionOf(token: Token): ConnectionId {
    return connectionIdOf(this.sid, token);
  }

  /** @param read what the answer shows instead of the write's outcome */
  #take(
    token: Token,
    session: SessionId,
    xid: number,
    request: RawRequest,
    connection: ConnectionId,
    fingerprint: Fingerprint,
    read: SyncedRead | null,
  ): void {
    const { queueLengthMax, queueBytesMax } = this.config;
    if (this.#pending.length >= queueLengthMax || this.#pending.bytes + request.body.length > queueBytesMax) {
      this.#respondInTurn(token, session, request.xid, this.#failure("THROTTLED"));
      return;
    }
    const write: PendingWrite = {
      type: "write",
      token,
      session,
      connection,
      xid,
      opcode: request.opcode,
      body: request.body,
      fingerprint,
      origin: this.sid,
      read,
      deadline: this.#clock.now + this.config.requestTimeoutMs,
      sent: false,
    };
    this.#pending.add(write);
    if (this.#ready) this.#route(write);
  }

  /**
   * Takes a read of a client: answered from the tree here, behind the writes of the same session that came before.
   * @param linearizable a quorum confirms first that nothing newer was committed when the read came
   * @param background it does not keep the ensemble awake
   * @param atLeast what the client has seen already: a member that is behind it catches up first, as for a linearizable
   * read; BAD_ARGUMENTS when a quorum does not know of it
   * @param waits while this member is not ready: the client has a connection here, and its requests wait for a quorum
   */
  submitRead(
    clockMs: number,
    token: Token,
    input: {
      readonly session: SessionId;
      readonly xid: number;
      readonly request: ReadRequest;
      readonly linearizable: boolean;
      readonly stale: boolean;
      readonly background?: boolean;
      readonly atLeast?: Zxid | undefined;
      readonly waits?: boolean;
    },
  ): void {
    const now = this.#readClock(clockMs);
    this.#readAt = now;
    const { session, xid, request, background = false, atLeast = ZXID_ZERO } = input;
    this.#noteRequest(background);
    if (session !== NO_SESSION) this.touch(clockMs, session, background);
    const deadline = now + this.config.requestTimeoutMs;
    if (input.linearizable || compareZxid(atLeast, this.#tree.lastApplied) > 0) {
      const sync = { session: NO_SESSION, xid, ...encodeWrite({ type: "sync" }) };
      const read = { request, atLeast };
      this.#take(token, this.#anonymous, this.#nextAnonymousXid(), sync, NO_CONNECTION, NOT_KNOWN, read);
      return;
    }
    const waits = input.waits === true || (this.waking && !input.stale);
    if ((session !== NO_SESSION && this.#pending.has(session)) || (waits && !this.#ready)) {
      this.#pending.add({ type: "read", token, session, xid, request, deadline });
    } else if (!this.#ready && (!input.stale || this.#zab.doubtsTree)) {
      this.#effects.respond(token, xid, this.#failure("NO_QUORUM"));
    } else {
      this.#effects.respond(token, xid, this.#read(token, request));
    }
  }

  /** Takes what is refused without being tried: answered in the session's order too. */
  submitRefused(clockMs: number, token: Token, session: SessionId, xid: number, code: ZooErrorCode): void {
    this.touch(clockMs, session);
    this.#respondInTurn(token, session, xid, this.#failure(code));
  }

  /** Takes the watches that a client of ours had left on a connection before. */
  submitWatches(clockMs: number, token: Token, session: SessionId, xid: number, seen: SeenWatches): void {
    this.touch(clockMs, session);
    const request = { type: "setWatches", seen } as const;
    if (this.#pending.has(session)) {
      const deadline = this.#clock.now + this.config.requestTimeoutMs;
      this.#pending.add({ type: "read", token, session, xid, request, deadline });
    } else this.#effects.respond(token, xid, this.#read(token, request));
  }

  /**
   * The session's client was heard of.
   * @param background by itself that does not keep the ensemble awake
   */
  touch(clockMs: number, session: SessionId, background = false): void {
    const now = this.#readClock(clockMs);
    if (background && this.standsStill(session)) return;
    this.#noteRequest(background);
    this.#sessions.touch(now, session);
  }

  /** How many clients are connected now. While there are any, the ensemble stays awake; {@link flush} ends the turn. */
  setClients(clockMs: number, count: number): void {
    if (count === this.#clients) return;
    this.#readClock(clockMs);
    this.#clients = count;
    this.#noteRequest(false);
  }

  /** A request comes: whoever slept wakes. */
  #noteRequest(background: boolean): void {
    if (!background) {
      this.#activeAt = this.#clock.now;
      this.#zab.idleSince = this.#clients > 0 ? null : this.#clock.now;
    }
    if (this.#zab.frozen) this.#wake("a client asks");
  }

  /** Nobody has asked anything for long, and nothing is under way. */
  #isIdle(now: number): boolean {
    const { quietAfterMs } = this.config;
    if (quietAfterMs === 0 || this.#clients > 0 || now - this.#activeAt < quietAfterMs) return false;
    if (!this.#ready || this.#yielding || this.#pending.length > 0 || this.#prep.outstanding > 0)
      return false;
    return this.#queue.length === 0 && this.#outbox.length === 0 && this.#zab.settled;
  }

  #wake(reason: string): void {
    this.#absorb(this.#zab.wake(this.#clock.now, reason));
  }

  /** Ends a turn of submits: sends what may go at once. */
  flush(clockMs: number): ServerEffect[] {
    this.#readClock(clockMs);
    this.#sendOrGather();
    return this.#finish();
  }

  /** The client is gone: drops its watches and what it waited for. Writes on their way stay on their way. */
  forget(token: Token): void {
    this.watches.removeWatcher(token);
    this.#connections.drop(token);
    this.#pending.removeToken(token);
  }

  /** The tree was replaced by a received snapshot. */
  loadTree(clockMs: number, tree: ZnodeTree): ServerEffect[] {
    this.#readClock(clockMs);
    this.#tree = tree;
    this.#sessions.loadTree(tree.sessions);
    this.#prep = new Prep(tree);
    this.#expectedDigest = null;
    // The snapshot may be of a time before what was shown here: the log behind it has to be applied first.
    this.#wasReady = false;
    this.#replies.loadTree(tree);
    this.#tellDigest();
    this.#effects.push({ type: "dropClients" });
    // Txns that the snapshot stands for passed us by, so what became of our writes is known only in part.
    for (const write of this.#pending.writes()) {
      const known = this.#replies.answerTo(write, write.fingerprint);
      if (!write.sent && known === undefined) continue;
      this.#pending.answer(write, known ?? this.#lost(write));
    }
    this.#answerWaiting(false);
    return this.#finish();
  }

  /** The checkpoint that a `checkpoint` effect asked for is made. */
  checkpointed(clockMs: number): ServerEffect[] {
    this.#absorb(this.#zab.checkpointed(this.#readClock(clockMs)));
    return this.#finish();
  }

  // ── what comes from peers ────────────────────────────────────────────────

  /** What a client waits for here decides how soon a commit is to be known. */
  get #patienceMs(): number {
    if (this.#pending.length > 0) return 0;
    const idle = this.watches.count === 0 && this.#clock.now - this.#readAt >= this.config.tickTimeMs;
    return idle ? this.config.idlePatienceMs : this.config.watchPatienceMs;
  }

  #receive(now: number, input: Extract<ServerInput, { type: "call" | "returned" }>): void {
    if (this.#quiet.state !== "AWAKE") {
      // What comes back now was sent before the sleep.
      if (input.type === "returned" && this.#quiet.state === "ASLEEP") return;
      if (input.type === "call" && this.#quiet.wakesUp(now, input.messages)) this.#wake("a peer is awake");
    }
    const unknown = unknownIn(input.messages);
    if (unknown !== undefined) {
      this.#refuseCall(
        now,
        input,
        `it sent a message of type ${unknown.slice(0, 40)}, which is not known here`,
      );
      return;
    }
    const ours = input.messages.filter(isServerMessage);
    // Zab sees every call, also one without a message for it: calls are counted, and show that the peer lives.
    this.#absorb(this.#zab.step(now, { ...input, messages: input.messages.filter(isZabMessage) }));
    const from = input.type === "call" ? input.origin.from : input.peer;
    if (!this.#zab.accepted) return;
    try {
      for (const message of ours) this.#handleServerMessage(from, message);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#refuseCall(now, input, `it sent ${error.message}`);
    }
    if (ours.length > 0) this.#sendOrGather();
  }

  /** What a peer of another version says is not understood: its call is refused, or our link to it is given up. */
  #refuseCall(now: number, input: Extract<ServerInput, { type: "call" | "returned" }>, why: string): void {
    const from = input.type === "call" ? input.origin.from : input.peer;
    const version = (input.type === "call" ? input.origin : input).version ?? FIRST_VERSION;
    const reason = `${why} (its version is ${version}, ours ${this.#zab.version})`;
    this.refused.set(from, reason);
    if (input.type === "call") this.#effects.push({ type: "refuse", to: from, reason });
    else {
      const { peer, generation } = input;
      this.#absorb(this.#zab.step(now, { type: "linkBroken", peer, generation }));
    }
    this.#effects.push({ type: "trace", event: { type: "link", to: from, up: false, reason } });
  }

  #handleServerMessage(from: Sid, message: ServerMessage): void {
    if (message.type === "REJECT") {
      if (this.#zab.leader !== from || this.#zab.join !== message.join) return;
      const code = message.exactly ?? message.code;
      for (const name of message.requests) {
        const isAnswered = this.#pending.answer(name, this.#failure(code));
        // It was taken for the write that has the number, and answered as such: what we noted of that write may be wrong.
        if (!isAnswered && code === "XID_REUSED") {
          this.#replies.noteFingerprint(name.session, name.xid, NOT_KNOWN);
        }
      }
      this.#answerWaiting(false);
      return;
    }
    if (message.type === "QUIET" || message.type === "SLEEP") {
      this.#quiet.told(this.#clock.now, from, message);
      return;
    }
    const leader = this.#zab.proposing;
    if (leader === undefined || leader.joinOf(from) !== message.join) return;
    if (message.type === "QUIETED" || message.type === "SLEPT") {
      this.#quiet.answered(this.#clock.now, from, message);
      return;
    }
    if (message.type === "TOUCH") {
      this.#sessions.touchAll(this.#clock.now, message.sessions, from);
      return;
    }
    leader.expectCommit(from);
    const requests = unpackRequests(message.packed, from);
    const { queueLengthMax, queueBytesMax } = this.config;
    const tooMany = this.#queue.length + requests.length > queueLengthMax;
    if (tooMany || this.#queueBytes + message.packed.length > queueBytesMax) {
      this.#reject(from, requests, "THROTTLED");
      return;
    }
    for (const request of requests) this.#enqueue(request);
  }

  /** LEADING: tells a learner that its writes are not taken. */
  #reject(
    to: Sid,
    writes: readonly RoutedRequest[],
    code: RejectCode,
    exactly: RejectMessage["exactly"] = undefined,
  ): void {
    const join = this.#zab.proposing?.joinOf(to);
    if (join === undefined) return;
    const requests = writes.map(({ session, xid, connection }) => ({ session, xid, connection }));
    this.#effects.send(to, {
      type: "REJECT",
      join,
      code,
      requests,
      ...(exactly !== undefined && { exactly }),
    });
  }

  // ── what Zab decided ─────────────────────────────────────────────────────

  #absorb(effects: readonly ZabEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "deliver":
          this.#apply(effect.batch, effect.offset, effect.upTo);
          break;
        case "digest":
          this.#expectDigest(effect.expected, effect.asked === true);
          break;
        case "snapshotLoaded":
          this.#effects.push({ type: "reloadTree" });
          break;
        case "learnerLeft":
          if (this.#quiet.state === "FREEZING") this.#disturbed = "a learner has left";
          this.#sessions.expiry.learnerLeft(effect.sid, this.#clock.now);
          this.#queue = this.#queue.filter((write) => write.origin !== effect.sid);
          this.#queueBytes = this.#queue.reduce((sum, write) => sum + write.body.length, 0);
          break;
        case "role":
          this.#roleChanged();
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

  #roleChanged(): void {
    const slept = this.#quiet.state !== "AWAKE";
    if (slept && !this.#zab.frozen) {
      this.#quiet.awoken();
      this.#wakingUntil = this.#clock.now + this.config.requestTimeoutMs;
    }
    if (this.#zab.serving && this.#barrier !== null) return;
    this.#sessions.epochEnded(this.#clock.now, slept);
    this.#ready = false;
    this.#barrier = null;
    // It is of the leader that was: neither for nor against the next one.
    this.#expectedDigest = null;
    // What was neither proposed nor forwarded is known not to have happened.
    for (const write of this.#queue) if ("sent" in write) write.sent = false;
    for (const write of this.#outbox) write.sent = false;
    this.#queue = [];
    this.#queueBytes = 0;
    this.#outbox = [];
    this.#recent = 0;
    this.#prep.reset();
  }

  /** Ends a step: what became possible is done now. */
  #finish(): ServerEffect[] {
    if (this.#disturbed !== null) {
      if (this.#quiet.state === "FREEZING") this.#wake(this.#disturbed);
      this.#disturbed = null;
    }
    if (this.#zab.proposing?.comparing === true) this.#absorb(this.#zab.compareTrees(this.#clock.now));
    if (this.#zab.serving && !this.#ready) this.#maybeBecomeReady();
    if (this.#ready) this.#sessions.maybeReport(this.#clock.now);
    if (this.#ready && this.#zab.proposing !== undefined && this.#queue.length > 0) this.#sendOrGather();
    this.#absorb(this.#zab.flushCommits(this.#clock.now));
    if (this.#zab.proposing?.exhausted === true && this.#prep.outstanding === 0) {
      this.#absorb(this.#zab.resign(this.#clock.now));
    }
    return this.#effects.take();
  }

  #maybeBecomeReady(): void {
    // What this member forwarded in an earlier stay with the same leader may be logged and still await its commit.
    this.#barrier ??= this.#zab.lastLogged.zxid;
    if (compareZxid(this.#zab.lastProcessedZxid, this.#barrier) < 0) return;
    // What is prepared against a wrong tree is a wrong result: a quorum's trees are compared first.
    if (this.#zab.proposing?.trusted === false) return;
    if (this.#zab.awaitsComparison) return;
    const isInTime = this.waking;
    const inVain = this.#wakingUntil > 0 && !isInTime;
    this.#ready = true;
    this.#wasReady = true;
    this.#wakingUntil = 0;
    // Whatever woke it, or made it elect, needs a while: a session may be about to expire.
    this.#noteRequest(false);
    const leader = this.#zab.proposing;
    if (leader !== undefined) {
      this.#quiet.restore(this.#clock.now, leader.continues, isInTime);
      this.#sessions.becomeLeading(this.#clock.now);
    } else {
      this.#quiet.rejoin();
      this.#sessions.becomeFollowing(this.#clock.now, inVain);
    }
    this.#replies.forgetPrepared();
    // The history of this epoch is applied. What was not in it did not happen, and goes again.
    for (const write of this.#pending.writes()) {
      const known = this.#replies.answerTo(write, write.fingerprint);
      if (known === undefined) this.#route(write);
      else this.#pending.answer(write, known);
    }
    this.#answerWaiting();
    this.#sendOrGather();
  }

  // ── the way of a write ───────────────────────────────────────────────────

  #route(write: PendingWrite): void {
    // From here on it may happen: what is gathered leaves without being looked at again.
    write.sent = true;
    if (this.#zab.proposing !== undefined) this.#enqueue(write);
    else this.#outbox.push(write);
  }

  #enqueue(write: TakenRequest | PendingWrite): void {
    this.#queue.push(write);
    this.#queueBytes += write.body.length;
  }

  /** At once while the traffic is thin, else after a turn of I/O that lets more requests come together. */
  #sendOrGather(): void {
    const leader = this.#zab.proposing;
    const waiting = leader !== undefined ? this.#queue.length : this.#outbox.length;
    if (waiting === 0 || !this.#ready || this.#yielding) return;
    if (leader !== undefined && !leader.mayPropose) return;
    if (waiting <= 2 && this.#recent <= 2) {
      this.#sendGathered();
      return;
    }
    this.#yielding = true;
    this.#effects.push({ type: "yield" });
  }

  #sendGathered(): void {
    if (!this.#ready) return;
    if (this.#zab.proposing !== undefined) this.#proposeQueued();
    else this.#forwardOutbox();
  }

  #noteBatch(count: number): void {
    this.#recent = Math.max(count, this.#recent * 0.7);
  }

  #forwardOutbox(): void {
    const { leader, join } = this.#zab;
    const writes = this.#outbox;
    if (leader === null || join === undefined || writes.length === 0) return;
    this.#outbox = [];
    this.#noteBatch(writes.length);
    for (let start = 0; start < writes.length; ) {
      let bytes = 0;
      let end = start;
      for (; end < writes.length; end++) {
        bytes += (writes[end]?.body.length ?? 0) + TXN_OVERHEAD_BYTES;
        if (bytes > this.config.batchBytesMax && end > start) break;
      }
      const chunk = writes.slice(start, end);
      this.#effects.send(leader, { type: "REQUEST", join, packed: packRequests(chunk) });
      start = end;
    }
  }

  /** LEADING: makes txns of the queue and proposes them, batch by batch. */
  #proposeQueued(): void {
    const leader = this.#zab.proposing;
    if (leader === undefined) return;
    const isStored = this.#zab.supports("recordFingerprints");
    let taken = 0;
    while (taken < this.#queue.length && leader.mayPropose) {
      const { epoch, counter: first } = leader.nextZxid;
      const writer = new ByteWriter(this.#batchBytes(taken));
      let counter = first;
      for (; taken < this.#queue.length; taken++) {
        const write = this.#queue[taken];
        if (write === undefined) break;
        if (
          counter > first &&
          writer.length + write.body.length + TXN_OVERHEAD_BYTES > this.config.batchBytesMax
        ) {
          break;
        }
        const numbered = isNumbered(write.session, write.xid);
        if (numbered && this.#isUsed(write)) {
          if (this.#replies.isFalseRetry(write)) this.#refuse(write, "XID_REUSED");
          continue;
        }
        if (this.#sessions.hasMoved(write)) {
          this.#refuse(write, "SESSION_MOVED");
          continue;
        }
        const header = {
          session: write.session,
          xid: write.xid,
          zxid: { epoch, counter },
          timeMs: this.#clock.now,
        };
        if (numbered) this.#replies.prepared(header, write.fingerprint);
        this.#prepare(header, write, writer, isStored ? write.fingerprint : NOT_KNOWN);
        counter += 1;
      }
      if (counter === first) break;
      this.#noteBatch(counter - first);
      // Exactly as long as it is: the log and the messages keep the whole buffer.
      this.#absorb(this.#zab.propose(this.#clock.now, writer.finish()));
    }
    if (taken === this.#queue.length) this.#queue = [];
    else this.#queue.splice(0, taken);
    this.#queueBytes = this.#queue.reduce((sum, write) => sum + write.body.length, 0);
  }

  #batchBytes(from: number): number {
    let bytes = 0;
    for (let i = from; i < this.#queue.length && bytes < this.config.batchBytesMax; i++) {
      bytes += (this.#queue[i]?.body.length ?? 0) + TXN_OVERHEAD_BYTES;
    }
    return bytes;
  }

  /** The session has gone this far already: the txn of this write is in the log, or its answer is known. */
  #isUsed(write: RawRequest): boolean {
    // Of a session that is closing or gone nothing is remembered: the write is refused, not ignored.
    return write.xid <= this.#prep.lastXidOf(write.session) && this.#prep.isOpen(write.session);
  }

  /**
   * Without a txn: nothing of it happens, and it takes no number. What has moved may be sent again over the session's new
   * connection. A member that does not know XID_REUSED says that too much is under way, and decides when the write is repeated.
   */
  #refuse(write: TakenRequest, code: "SESSION_MOVED" | "XID_REUSED"): void {
    if (write.origin !== this.sid) {
      if (code === "XID_REUSED") this.#reject(write.origin, [write], "THROTTLED", code);
      else this.#reject(write.origin, [write], code);
      return;
    }
    this.#pending.answer(write, this.#failure(code));
    this.#answerWaiting(false);
  }

  #prepare(header: TxnHeader, write: RoutedRequest, writer: ByteWriter, fingerprint: Fingerprint): void {
    const request = decodeRequest(write);
    const txn: Txn =
      "code" in request
        ? { type: "error", code: request.code, ops: 0, at: 0 }
        : this.#prep.prepare(header, this.#bounded(request));
    if (txn.type === "sync" && write.xid < 0 && write.xid === write.connection) {
      this.#sessions.setOwner(this.#clock.now, write.session, write.connection);
    }
    appendTxn(writer, header, txn, fingerprint);
  }

  /** Brings the timeout that a client asks for into the range that is allowed. */
  #bounded(request: WriteRequest): WriteRequest {
    if (request.type !== "createSession") return request;
    const { sessionTimeoutMsMin, sessionTimeoutMsMax } = this.config;
    const timeoutMs = Math.min(Math.max(request.timeoutMs, sessionTimeoutMsMin), sessionTimeoutMsMax);
    return { type: "createSession", timeoutMs };
  }

  // ── commit ───────────────────────────────────────────────────────────────

  /** @throws ApplyError when a txn cannot be applied: it is committed, so this member cannot go past it */
  #apply(batch: Uint8Array, offset: number, upTo: Zxid): void {
    try {
      this.#applyUpTo(batch, offset, upTo);
    } catch (error) {
      throw new ApplyError(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  #applyUpTo(batch: Uint8Array, offset: number, upTo: Zxid): void {
    const leads = this.#zab.proposing !== undefined;
    const cursor = new TxnCursor(batch, offset);
    while (cursor.next()) {
      if (cursor.epoch > upTo.epoch || (cursor.epoch === upTo.epoch && cursor.counter > upTo.counter)) break;
      const numbered = isNumbered(cursor.session, cursor.xid);
      const fingerprint = numbered ? this.#replies.takeFingerprint(cursor) : cursor.fingerprint;
      const header = cursor.header();
      const txn = cursor.txn();
      assert(compareZxid(header.zxid, this.#tree.lastApplied) > 0, "a txn is applied once, in order");
      const result = this.#tree.apply(header, txn, fingerprint);
      if (this.#tree.events.length > 0) this.#fireWatches(header.zxid);
      if (leads) this.#trackSession(header.session, txn);
      if (this.#expectedDigest !== null) this.#checkDigest(header.zxid);
      if (numbered) this.#replies.applied(header, result, fingerprint);
      else if (header.xid < 0 && txn.type === "sync") this.#sessionMoved(header);
      this.#answer(header, result, txn, fingerprint);
      if (txn.type === "closeSession") this.#sessionClosed(header.session);
    }
    if (leads) this.#prep.committed(this.#tree.lastApplied);
    this.#tellDigest();
  }

  #fireWatches(zxid: Zxid): void {
    for (const { watcher, event } of this.watches.fire(this.#tree.events)) {
      this.#effects.push({ type: "notify", token: watcher as Token, event, zxid });
    }
    // Setting the length leaves compiled code, and there are one or two.
    while (this.#tree.events.length > 0) this.#tree.events.pop();
  }

  #trackSession(session: SessionId, txn: Txn): void {
    if (txn.type === "createSession") this.#sessions.opened(this.#clock.now, session, txn.timeoutMs);
    else if (txn.type === "closeSession") this.#sessions.closed(session);
  }

  /** A connection, here or elsewhere, has attached to the session: the one that it had here is void. */
  #sessionMoved({ session, xid }: TxnHeader): void {
    const token = this.#connections.of(session);
    if (token !== undefined && this.connectionOf(token) !== xid) this.#disconnect(token, "SESSION_MOVED");
  }

  #sessionClosed(session: SessionId): void {
    const token = this.#connections.of(session);
    if (token !== undefined) this.#disconnect(token, "SESSION_EXPIRED");
  }

  /** What was not answered on the connection will not be: the client asks again where it is now. */
  #disconnect(token: Token, code: DisconnectCode): void {
    this.forget(token);
    this.#effects.push({ type: "disconnect", token, code });
  }

  /** Answers the request that this txn carries out, if it is one of ours, and the reads that waited behind it. */
  #answer(header: TxnHeader, result: WriteResult, txn: Txn, prepared: Fingerprint): void {
    const { session, xid } = header;
    for (;;) {
      const head = this.#pending.first(session);
      if (head === undefined) return;
      // On its way to the first stay, the tree passes states that an earlier life has left behind, and may not be compared yet.
      if (head.type !== "answered" && !this.#wasReady) return;
      if (head.type !== "write") {
        this.#pending.shift(session);
        this.#answerLocal(head);
      } else if (head.xid === xid && (head.sent || xid > 0)) {
        // (What has not left us yet, and has no number of its session, cannot be what this txn is of: an earlier life's.)
        this.#pending.shift(session);
        if (head.fingerprint !== NOT_KNOWN) {
          const isAnother = this.#replies.isOfAnother(head, header, txn, result, prepared);
          if (isAnother) {
            this.#effects.respond(head.token, xid, this.#failure("XID_REUSED"));
            continue;
          }
          if (head.sent && prepared === NOT_KNOWN) {
            this.#replies.noteFingerprint(session, xid, head.fingerprint);
          }
        }
        if (head.connection !== NO_CONNECTION && opens(head, result)) {
          this.#connections.attach(session, head.token);
        }
        this.#effects.respond(
          head.token,
          xid,
          head.read === null
            ? { ok: true, zxid: header.zxid, result }
            : this.#readSynced(head.token, head.read),
        );
      } else if (xid > head.xid && head.xid > 0 && !isAnonymous(session)) {
        this.#pending.shift(session);
        this.#effects.respond(head.token, head.xid, this.#failure("XID_TOO_OLD"));
      } else return;
    }
  }

  /** The answer to a write that was done before, or whose number another one has that waits here. */
  #answeredOrUsed(write: RawRequest, fingerprint: Fingerprint): ServerAnswer | undefined {
    const waiting = this.#pending.writeOf(write.session, write.xid);
    if (waiting !== undefined && !isSameRequest(waiting, write)) return this.#failure("XID_REUSED");
    return this.#replies.answerTo(write, fingerprint);
  }

  // ── reads ────────────────────────────────────────────────────────────────

  #read(token: Token, request: LocalRequest): ServerAnswer {
    if (request.type === "setWatches") return this.#resumeWatches(token, request.seen);
    const outcome = this.#tree.read(request);
    if (request.watch && token !== NO_TOKEN) {
      if (outcome.type !== "error") {
        this.watches.register(request.type === "getChildren" ? "child" : "data", request.path, token);
      } else if (request.type === "exists") this.watches.register("exists", request.path, token);
    }
    if (outcome.type === "error") return this.#failure(outcome.code);
    return { ok: true, zxid: this.#tree.lastApplied, result: outcome };
  }

  /** What was missed is told before the answer. */
  #resumeWatches(token: Token, seen: SeenWatches): ServerAnswer {
    const zxid = this.#tree.lastApplied;
    for (const event of this.watches.resume(this.#tree, seen, token)) {
      this.#effects.push({ type: "notify", token, event, zxid });
    }
    return { ok: true, zxid, result: { type: "setWatches" } };
  }

  /** What waits behind no write any more; reads wait until this member is ready as well. */
  #answerWaiting(reads = this.#ready): void {
    for (const request of this.#pending.takeLocal(reads)) this.#answerLocal(request);
  }

  #answerLocal(local: PendingLocal): void {
    const answer = local.type === "answered" ? local.answer : this.#read(local.token, local.request);
    this.#effects.respond(local.token, local.xid, answer);
  }

  /** A zxid that a client has seen was committed, so it is lower than that of any later sync. */
  #readSynced(token: Token, { request, atLeast }: SyncedRead): ServerAnswer {
    if (compareZxid(atLeast, this.#tree.lastApplied) > 0) return this.#failure("BAD_ARGUMENTS");
    return this.#read(token, request);
  }

  // ── digest ───────────────────────────────────────────────────────────────

  #tellDigest(): void {
    const { lastApplied, digestHigh, digestLow } = this.#tree;
    this.#zab.digest = { zxid: lastApplied, high: digestHigh, low: digestLow };
  }

  #expectDigest(expected: DigestAt, asked: boolean): void {
    const age = compareZxid(expected.zxid, this.#tree.lastApplied);
    if (age >= 0) {
      // Each PROPOSAL brings a later one: the one that waits has its turn first.
      if (this.#expectedDigest !== null && !asked) return;
      this.#expectedDigest = expected;
      if (age === 0) this.#checkDigest(expected.zxid);
      return;
    }
    // The leader may apply later than we do.
    const ours = this.#zab.digestAt(expected.zxid);
    if (ours !== undefined) this.#compareDigests(expected, ours);
  }

  #checkDigest(zxid: Zxid): void {
    const expected = this.#expectedDigest;
    const age = expected === null ? -1 : compareZxid(zxid, expected.zxid);
    if (expected === null || age < 0) return;
    this.#expectedDigest = null;
    const { digestHigh: high, digestLow: low } = this.#tree;
    if (age === 0) this.#compareDigests(expected, { zxid, high, low });
  }

  #compareDigests(leaders: DigestAt, ours: DigestAt): void {
    const { zxid } = leaders;
    if (equalDigest(leaders, ours)) this.#absorb(this.#zab.confirm(this.#clock.now, zxid));
    else this.#absorb(this.#zab.diverged(this.#clock.now, zxid));
  }

  // ── time ─────────────────────────────────────────────────────────────────

  #tick(): void {
    const now = this.#clock.now;
    this.#maybeDropClients(now);
    for (const request of this.#pending.expired(now)) {
      this.#effects.respond(request.token, request.xid, this.#lost(request));
    }
    this.#answerWaiting(false);
    if (this.#ready && !this.#zab.frozen) this.#tickReady();
    this.#quiet.tick(now);
  }

  #tickReady(): void {
    if (this.#zab.proposing !== undefined) this.#expireSessions();
  }

  /** A member that is out of the quorum for long tells its clients to go elsewhere: here they would wait for ever. */
  #maybeDropClients(now: number): void {
    if (this.#ready) this.#readyAt = now;
    else if (this.#hasClients && now - this.#readyAt > this.config.syncLimit * this.config.tickTimeMs) {
      this.#readyAt = now;
      this.#effects.push({ type: "dropClients" });
    }
  }

  get #hasClients(): boolean {
    return this.watches.count > 0 || this.#connections.size > 0;
  }

  #expireSessions(): void {
    const close = encodeWrite({ type: "closeSession" });
    const expired = this.#sessions.expiry.expire(this.#clock.now);
    const connection = NO_CONNECTION;
    for (const session of expired) {
      this.#enqueue({ session, connection, xid: 0, ...close, fingerprint: NOT_KNOWN, origin: this.sid });
    }
    if (expired.length > 0) this.#sendOrGather();
  }

  // ── leaves ───────────────────────────────────────────────────────────────

  #nextAnonymousXid(): number {
    this.#anonymousXid = (this.#anonymousXid % 0x7fff_ffff) + 1;
    return this.#anonymousXid;
  }

  /** Behind what the session asked before; requests without a session have no order. */
  #respondInTurn(token: Token, session: SessionId, xid: number, answer: ServerAnswer): void {
    if (isAnonymous(session) || !this.#pending.has(session)) this.#effects.respond(token, xid, answer);
    else {
      const deadline = this.#clock.now + this.config.requestTimeoutMs;
      this.#pending.add({ type: "answered", token, session, xid, answer, deadline });
    }
  }

  /** The code for a request without an answer. A read has no outcome that could be unknown. */
  #lost(request: PendingRequest): ServerAnswer {
    if (request.type === "answered") return request.answer;
    const unknown = request.type === "write" && request.sent && request.read === null;
    return this.#failure(unknown ? "UNKNOWN_OUTCOME" : "NO_QUORUM");
  }

  #failure(code: ZooErrorCode): ServerAnswer {
    return failed(this.#tree.lastApplied, code);
  }
}

/** Does the outcome of this write make its connection the one of the session? */
function opens(write: PendingWrite, result: WriteResult): boolean {
  return result.type === "createSession" || (result.type === "sync" && write.xid === write.connection);
}
