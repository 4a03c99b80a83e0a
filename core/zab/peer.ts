/**
 * One peer of the ensemble: `step(now, input)` takes what happened and returns, in order, what the shell must do.
 * This is the only place where roles change; what a role does is in its own file.
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
import { type ZabConfig, zabTimeouts } from "./config.ts";
import { OwnTree } from "./digests.ts";
import type { CallOrigin, Tracing, ZabEffect, ZabInput } from "./effects.ts";
import { Epochs } from "./epochs.ts";
import { Follower } from "./follower.ts";
import { History } from "./history.ts";
import { Leader } from "./leader.ts";
import { type Link, Links, unpackIncarnation } from "./links.ts";
import { Looking } from "./looking.ts";
import type { Membership, Sid } from "./membership.ts";
import type {
  DigestAt,
  LeaderMessage,
  LearnerMessage,
  LogPosition,
  Notification,
  Phase,
  Ping,
  Pong,
  Role,
  ZabMessage,
} from "./messages.ts";
import { MajorityQuorum } from "./quorum-verifier.ts";
import type { RoleHost } from "./role.ts";
import type { Self } from "./self.ts";
import { Step } from "./step.ts";
import type { RecoveredState, SnapshotReader } from "./storage.ts";
import type { TxnLogReader } from "./txn-log.ts";
import { type Epoch, equalZxid, ZXID_ZERO, type Zxid } from "./zxid.ts";

/** Numbers of stays that belong to one incarnation: more than it will begin. */
export const JOINS_PER_INCARNATION = 2 ** 20;
/** A boot counter may begin at ms since 1970, and the number of a stay has to remain below 2^53. */
const INCARNATIONS_MAX = 2 ** 32;

type Returned = Extract<ZabInput, { type: "returned" }>;

const NOTHING: readonly ZabEffect[] = [];
const NEVER = Number.POSITIVE_INFINITY;

type Handler<Message> = (peer: ZabPeer, from: Sid, message: Message, isCall: boolean) => void;
/** A handler for each of these types of messages. */
type HandlersOf<Type extends ZabMessage["type"]> = {
  readonly [T in Type]: Handler<Extract<ZabMessage, { type: T }>>;
};

/**
 * Feeds inputs to the parts and roles of a peer, and changes roles.
 * Invariants: at most one role is set, and it is the one that `role` names; nothing is done once a later incarnation of this
 * peer was seen.
 *
 * @source ZooKeeper QuorumPeer; etcd-raft RawNode
 */
export class ZabPeer {
  readonly #self: Self;
  readonly #step = new Step();
  readonly #links: Links;
  readonly #epochs: Epochs;
  readonly #history: History;
  readonly #tree = new OwnTree();
  readonly #snapshot: SnapshotReader;
  readonly #host: RoleHost;
  readonly #looking: Looking;
  #role: Role = "LOOKING";
  #follower: Follower | null = null;
  #leader: Leader | null = null;
  /** number of the last stay; stays of another incarnation have other numbers */
  #joins: number;
  /** when the last input came */
  #steppedAt = 0;
  #accepted = false;
  #frozen = false;
  /** why the last role was given up */
  #reason = "";
  #patienceMs = 0;
  /** since when this peer has had no client; null while one is connected, or if it is not known */
  #idleSince: number | null = null;
  /** a later incarnation of this peer was seen: the persist effect after which this one ends */
  #lastSeq: number | null = null;

  /** @param log the peer reads it; the shell writes it, by the persist effects */
  constructor(
    sid: Sid,
    membership: Membership,
    config: ZabConfig,
    log: TxnLogReader,
    snapshot: SnapshotReader,
    recovered: RecoveredState,
    version = PROTOCOL_VERSION,
  ) {
    const quorum = new MajorityQuorum(membership);
    const timeouts = zabTimeouts(config);
    assert(quorum.participants.includes(sid), "a peer is a participant of its ensemble");
    this.#self = { sid, boot: recovered.boot, version, quorum, config, timeouts };
    this.#links = new Links(this.#self, this.#step, recovered.peerBoots);
    this.#epochs = new Epochs(this.#step, recovered);
    this.#history = new History(this.#step, log, recovered);
    this.#snapshot = snapshot;
    this.#joins = ((recovered.boot - 1) % INCARNATIONS_MAX) * JOINS_PER_INCARNATION;
    this.#host = this.#makeHost();
    this.#looking = new Looking(this.#host);
  }

  #makeHost(): RoleHost {
    const peer = this;
    return {
      self: this.#self,
      step: this.#step,
      links: this.#links,
      epochs: this.#epochs,
      history: this.#history,
      tree: this.#tree,
      snapshot: this.#snapshot,
      get role() {
        return peer.#role;
      },
      get leader() {
        return peer.leader;
      },
      get patienceMs() {
        return peer.#patienceMs;
      },
      becomeLooking: (reason) => this.#becomeLooking(reason),
      becomeFollowing: (leader, electedIn) => this.#becomeFollowing(leader, electedIn),
      becomeLeading: () => this.#becomeLeading(),
      nextJoin: () => {
        this.#joins += 1;
        return this.#joins;
      },
      phaseChanged: (role, phase) => this.#phaseChanged(role, phase),
      ping: (to) => this.#ping(to),
      notifyAll: () => this.#looking.notifyAll(),
    };
  }

  /** LOOKING before the start too. */
  get role(): Role {
    return this.#role;
  }

  /** Of Zab; ELECTION while it looks for a leader. */
  get phase(): Phase {
    return this.#leader?.phase ?? this.#follower?.phase ?? "ELECTION";
  }

  /** Whom this peer follows, or itself if it leads; null while it looks for a leader. */
  get leader(): Sid | null {
    if (this.#leader !== null) return this.#self.sid;
    return this.#follower?.leader ?? null;
  }

  /** In broadcast, as leader or follower: requests may be taken. */
  get serving(): boolean {
    return this.phase === "BROADCAST";
  }

  /** The highest epoch that it has promised. */
  get acceptedEpoch(): Epoch {
    return this.#epochs.acceptedEpoch;
  }

  /** The epoch whose history it has taken over. */
  get currentEpoch(): Epoch {
    return this.#epochs.currentEpoch;
  }

  /** The last entry of the log. */
  get lastLogged(): LogPosition {
    return this.#history.lastLogged;
  }

  /** The highest zxid that is known here to be committed. */
  get lastCommittedZxid(): Zxid {
    return this.#history.lastCommittedZxid;
  }

  /** End of what was handed over to be applied. */
  get lastProcessedZxid(): Zxid {
    return this.#history.lastProcessedZxid;
  }

  /** Elections this instance has taken part in. */
  get elections(): number {
    return this.#looking.elections;
  }

  /** sids that take part in broadcast, as far as this peer knows, ascending: a follower knows its leader and itself. */
  get activeSet(): readonly Sid[] {
    if (this.#leader !== null) return this.#leader.activeSet;
    return this.#follower !== null && this.serving
      ? [this.#follower.leader, this.#self.sid].sort((a, b) => a - b)
      : [];
  }

  /** A quorum has confirmed the tree in memory: a checkpoint that is made of it now is right. */
  get treeConfirmed(): boolean {
    return this.#tree.confirmedByQuorum;
  }

  /** Such a checkpoint is wanted: the last one is not known to be right. (An empty one is.) */
  get wantsCheckpoint(): boolean {
    const snapshot = this.#snapshot;
    return this.treeConfirmed && !snapshot.isConfirmed && !equalZxid(snapshot.position().zxid, ZXID_ZERO);
  }

  /** A SNAP is being read from the checkpoint, which must not change now. */
  get readsSnapshot(): boolean {
    return this.#leader?.readsSnapshot ?? false;
  }

  /** *map sid → link*, for every other participant. */
  get links(): ReadonlyMap<Sid, Readonly<Link>> {
    return this.#links.all;
  }

  /** Number of this incarnation. */
  get boot(): number {
    return this.#self.boot;
  }

  /** The highest incarnation that was seen of a peer; 0: none. */
  incarnationOf(peer: Sid): number {
    return this.#links.incarnationOf(peer);
  }

  /** Of the protocol, ours. */
  get version(): number {
    return this.#self.version;
  }

  /** Do all members run a version that knows this? */
  supports(feature: Feature): boolean {
    return this.#links.supports(feature);
  }

  /** Did the last call or return belong to a link that lasts? What else it carried counts only then. */
  get accepted(): boolean {
    return this.#accepted;
  }

  /** The tree here is one that a quorum has: what it replaced is not needed any more. */
  get hasConfirmedTree(): boolean {
    if (!this.#epochs.initialized || this.#history.needSnap || this.#tree.differs !== null) return false;
    return this.#leader?.confirmedByQuorum ?? this.#follower?.confirmedByQuorum ?? false;
  }

  /** Why the last role was given up, or why the one taken since does not lead to service; empty: there is no such reason. */
  get reason(): string {
    if (this.#reason !== "") return this.#reason;
    return this.#leader?.trees.reason ?? this.#follower?.reason ?? "";
  }

  /**
   * Our tree is of no use, its comparison with the leader's is under way, or it differs from another's and no quorum has
   * confirmed either: it may hold what never was.
   */
  get doubtsTree(): boolean {
    if (this.#history.needSnap || this.#tree.differs !== null || this.awaitsComparison) return true;
    return (this.#leader?.trees.reason ?? this.#follower?.reason ?? "") !== "";
  }

  /** We follow, and our tree has not been compared with the leader's yet. */
  get awaitsComparison(): boolean {
    return this.#follower?.awaitsComparison === true;
  }

  /** Which trace effects are made: all of them only while there is a listener. */
  set tracing(which: Tracing) {
    this.#step.tracing = which;
  }

  /** How long a commit may take to be known here, ms: what clients here wait for decides. */
  set patienceMs(ms: number) {
    this.#patienceMs = ms;
  }

  /** Digest of the tree, reported by the server that applies; sent with the commits. */
  set digest(digest: DigestAt) {
    this.#tree.tellDigest(digest);
  }

  /** The digest of our tree at exactly this zxid, if it is remembered. */
  digestAt(zxid: Zxid): DigestAt | undefined {
    return this.#tree.digests.at(zxid);
  }

  /** The leadership of this peer; undefined unless it leads in broadcast. */
  get proposing(): Leader | undefined {
    return this.#leader?.phase === "BROADCAST" ? this.#leader : undefined;
  }

  /** Said with every PONG; see {@link Pong.idleMs}. */
  set idleSince(at: number | null) {
    this.#idleSince = at;
  }

  /** Falling asleep or asleep: it sends nothing by itself and asks for no wake-ups. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /** Nothing of Zab is under way here, and no peer that answers is left out. */
  get settled(): boolean {
    const { lastProcessedZxid, lastLogged } = this.#history;
    if (!this.serving || !equalZxid(lastProcessedZxid, lastLogged.zxid)) return false;
    const leader = this.#leader;
    if (leader === null) return true;
    return leader.settled && [...this.#links.all].every(([sid, link]) => !link.up || leader.isServing(sid));
  }

  /** How long no learner has had a client, as they said last; ms. */
  get learnersIdleMs(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const [sid, link] of this.#links.all) {
      if (this.#leader?.isServing(sid) === true) least = Math.min(least, link.idleMs);
    }
    return least;
  }

  /** The number of this peer's stay with its leader. */
  get join(): number | undefined {
    return this.#follower?.join;
  }

  /** When `tick` is to be fed, at the latest; ms. */
  get deadline(): number {
    if (this.#frozen || this.#lastSeq !== null) return NEVER;
    const at = Math.min(this.#links.nextPingAt, this.#looking.deadline);
    return Math.min(at, this.#leader?.deadline ?? this.#follower?.deadline ?? NEVER);
  }

  /** Takes one input. @param now ms; time serves liveness only @returns effects, to be run in order before the next step */
  step(now: number, input: ZabInput): ZabEffect[] {
    const suspendedMs = now - this.#steppedAt - this.#self.timeouts.tickMs;
    this.#steppedAt = now;
    this.#step.begin(now);
    this.#accepted = false;
    if (this.#lastSeq !== null) {
      if (input.type === "persisted" && input.seq >= this.#lastSeq) {
        this.#step.push({ type: "abort", reason: "a later life of this member was seen" });
      }
      return this.#step.end();
    }
    if (suspendedMs > this.#self.timeouts.tickMs / 2) this.#excuse(suspendedMs);
    switch (input.type) {
      case "start":
        this.#links.startPings();
        this.#becomeLooking("the member has started");
        break;
      case "call":
        this.#handleCall(input.origin, input.messages);
        break;
      case "returned":
        this.#handleReturn(input);
        break;
      case "linkBroken":
        if (this.#links.of(input.peer).generation === input.generation) this.#breakLink(input.peer);
        break;
      case "persisted":
        this.#step.persisted(input.seq);
        this.#history.persisted(input.seq);
        if (this.#leader !== null) this.#leader.persisted();
        else this.#history.deliver();
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
    return this.#step.end();
  }

  // ── what the server asks of the role ─────────────────────────────────────

  /** Proposes a batch; see {@link Leader.propose}. */
  propose(now: number, batch: Uint8Array): ZabEffect[] {
    this.#step.begin(now);
    must(this.#leader, "only a leader proposes").propose(batch);
    return this.#step.end();
  }

  /** Sends the learners the commit index where no proposal has carried it. */
  flushCommits(now: number): ZabEffect[] {
    this.#step.begin(now);
    this.#leader?.flushCommits();
    return this.#step.end();
  }

  /** The tree here differs from the leader's at this zxid. */
  diverged(now: number, at: Zxid): ZabEffect[] {
    this.#step.begin(now);
    this.#follower?.diverge(at);
    return this.#step.end();
  }

  /** The tree here equals the leader's at this zxid. */
  confirm(now: number, at: Zxid): readonly ZabEffect[] {
    const follower = this.#follower;
    follower?.noteEqual(at);
    if (follower?.checkRequested !== true) return NOTHING;
    this.#step.begin(now);
    follower.confirm();
    return this.#step.end();
  }

  /** Our digest has changed: compares it with the digests that learners have reported; see {@link Leader.compareTrees}. */
  compareTrees(now: number): ZabEffect[] {
    this.#step.begin(now);
    this.#leader?.compareTrees();
    return this.#step.end();
  }

  /** The checkpoint that the leader asked for is made. */
  checkpointed(now: number): ZabEffect[] {
    this.#step.begin(now);
    this.#leader?.checkpointed();
    return this.#step.end();
  }

  /** The leader gives its epoch up: its counter is used up. */
  resign(now: number): ZabEffect[] {
    this.#step.begin(now);
    if (this.#leader !== null) this.#becomeLooking("the counter of the epoch is used up");
    return this.#step.end();
  }

  /**
   * This epoch is over: nothing is sent until {@link wake}. The state of the roles is kept, so that it can still be read.
   * A frozen peer continues only through an election, so nothing of its epoch can happen after a promise to sleep.
   */
  freeze(): void {
    assert(this.settled, "only a peer at rest is frozen");
    this.#frozen = true;
  }

  /** Makes a record of the frozen peer durable, in the order of all other writes. */
  keep(record: string): ZabEffect[] {
    this.#step.persist([{ type: "quiet", record }]);
    return this.#step.end();
  }

  /** Looks for a leader: peers may have come and gone meanwhile. */
  wake(now: number, reason: string): ZabEffect[] {
    this.#step.begin(now);
    this.#becomeLooking(reason);
    return this.#step.end();
  }

  // ── roles ────────────────────────────────────────────────────────────────

  #becomeLooking(reason: string): void {
    if (this.#looking.isActive || this.#lastSeq !== null) return;
    if (this.#frozen) {
      // The calls that were kept open were released, and whether a peer still knows our link is not known.
      this.#frozen = false;
      this.#links.replaceAll();
    }
    if (this.#leader?.trees.served === true || this.#follower?.phase === "BROADCAST")
      this.#looking.noteSuccess();
    else if (this.#leader !== null && this.#leader.epoch !== null) this.#looking.noteFailure();
    this.#setRole("LOOKING");
    this.#looking.begin();
    this.#phaseChanged("LOOKING", "ELECTION", reason);
    this.#looking.open();
  }

  #becomeLeading(): void {
    this.#looking.end();
    this.#setRole("LEADING");
    const leader = new Leader(this.#host);
    this.#leader = leader;
    this.#phaseChanged("LEADING", "DISCOVERY");
    this.#looking.notifyAll();
    leader.start();
  }

  #becomeFollowing(leader: Sid, electedIn: number): void {
    this.#looking.end();
    this.#setRole("FOLLOWING");
    const follower = new Follower(this.#host, leader, electedIn);
    this.#follower = follower;
    this.#phaseChanged("FOLLOWING", "DISCOVERY");
    follower.sendFollowerInfo();
  }

  #setRole(role: Role): void {
    this.#role = role;
    this.#leader = null;
    this.#follower = null;
  }

  /** @param reason why a role was given up */
  #phaseChanged(role: Role, phase: Phase, reason?: string): void {
    this.#reason = reason ?? "";
    this.#step.push({ type: "role" });
    const epoch = this.#epochs.currentEpoch;
    const event = { type: "role" as const, role, phase, leader: this.leader, epoch };
    this.#step.trace(reason === undefined ? event : { ...event, reason });
  }

  /**
   * A later incarnation of this peer was seen: this storage is an old copy, and what was promised since is forgotten. The next
   * incarnation has a number above, and counts for nothing until it has synchronized.
   */
  #end(boot: number): void {
    if (this.#lastSeq !== null) return;
    this.#epochs.loseMemory();
    this.#setRole("LOOKING");
    this.#looking.abandon();
    this.#phaseChanged("LOOKING", "ELECTION", "a later life of this member was seen");
    this.#lastSeq = this.#step.persist([{ type: "amnesia", boot }]);
  }

  // ── calls and returns ────────────────────────────────────────────────────

  #handleCall(origin: CallOrigin, messages: readonly ZabMessage[]): void {
    if (!this.#links.all.has(origin.from)) return;
    this.#step.caller = origin.from;
    this.#accepted = this.#acceptCall(origin);
    if (this.#accepted) {
      this.#links.of(origin.from).version = origin.version ?? FIRST_VERSION;
      this.#heard(origin.from);
      for (const message of messages) this.#handleMessage(origin.from, message, true);
    }
    this.#step.caller = null;
  }

  #acceptCall(origin: CallOrigin): boolean {
    const known = this.#links.incarnationOf(origin.from);
    if (origin.boot < known) {
      this.#step.reply({ type: "OUTDATED", boot: known });
      return false;
    }
    this.#learnIncarnation(origin.from, origin.boot);
    const order = this.#links.take(origin);
    if (order === "INTERRUPTED") this.#interrupted(origin.from);
    return order !== "LATE";
  }

  #handleReturn({ peer, generation, boot, version, messages }: Returned): void {
    const link = this.#links.of(peer);
    this.#accepted = link.generation === generation && boot >= this.#links.incarnationOf(peer);
    if (!this.#accepted) return;
    this.#learnIncarnation(peer, boot);
    link.version = version ?? FIRST_VERSION;
    this.#links.answered(peer);
    this.#heard(peer);
    for (const message of messages) this.#handleMessage(peer, message, false);
  }

  /** An incarnation of a peer was seen: what an earlier one said counts no more. */
  #learnIncarnation(peer: Sid, boot: number): void {
    if (!this.#links.learnIncarnation(peer, boot)) return;
    const wasUsed = this.#links.restart(peer);
    this.#leader?.forgetIncarnation(peer);
    if (wasUsed) this.#interrupted(peer);
  }

  /** What a peer has seen of all members' incarnations, ours included. */
  #learnIncarnations(packed: readonly number[]): void {
    const { sid, boot: own, quorum } = this.#self;
    for (const participant of quorum.participants) {
      const boot = unpackIncarnation(packed, participant);
      if (participant !== sid) this.#learnIncarnation(participant, boot);
      else if (boot > own) this.#end(boot);
    }
  }

  /** Messages of this peer may be lost: our stay with it, and its stay with us, end. */
  #interrupted(peer: Sid): void {
    this.#leader?.drop(peer);
    this.#follower?.interrupted(peer);
  }

  #heard(peer: Sid): void {
    this.#links.of(peer).heardAt = this.#step.now;
    this.#leader?.heard(peer);
    this.#follower?.heard(peer);
  }

  #breakLink(peer: Sid): void {
    this.#links.break(peer);
    this.#leader?.drop(peer);
    this.#follower?.linkBroken(peer);
    this.#looking.linkBroken(peer);
  }

  // ── messages ─────────────────────────────────────────────────────────────

  #handleMessage(from: Sid, message: ZabMessage, isCall: boolean): void {
    if (this.#lastSeq !== null) return;
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
      if (!isCall && message.boot > peer.#self.boot) peer.#end(message.boot);
    },
    NOTIFICATION: (peer, from, message, isCall) => peer.#handleNotification(from, message, isCall),
    PING: (peer, from, message, isCall) => peer.#handlePing(from, message, isCall),
    PONG: (peer, from, message) => peer.#handlePong(from, message),
  };

  /** A learner's messages, at a peer that does not lead: only what says something about others counts. */
  static readonly #notLeading: HandlersOf<LearnerMessage["type"]> = {
    FOLLOWERINFO: (peer, _from, _message, isCall) => {
      if (isCall) peer.#step.reply(peer.#looking.notification());
    },
    ACKEPOCH: (peer, _, message) => peer.#learnIncarnations(message.boots),
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
        peer.#learnIncarnations(message.boots);
        peer.#leader?.receive(from, message);
      },
      POSITION: ZabPeer.#toLeader,
      STAGED: ZabPeer.#toLeader,
      ACK: ZabPeer.#toLeader,
      CONFIRM: ZabPeer.#toLeader,
    },
  };

  #handleNotification(from: Sid, note: Notification, isCall: boolean): void {
    this.#links.of(from).role = note.role;
    if (!isCall && note.boots !== undefined) {
      this.#learnIncarnations(note.boots);
      if (this.#lastSeq !== null) return;
      if (note.initialized && !this.#epochs.initialized) this.#epochs.noteRecorded(from, note.acceptedEpoch);
    }
    if (!this.#looking.isActive) {
      // A peer that claims leadership, but is not our leader, gets our notification, which names our leader.
      const astray = note.role === "LEADING" && this.leader !== from;
      // Before the answer: if this message makes us leave our leader, the answer must not say that we still follow it.
      if (this.#leader !== null) this.#leader.notice(from, note, isCall);
      else this.#follower?.notice(from, note, isCall);
      if (!this.#looking.isActive) {
        if (isCall && (note.role === "LOOKING" || astray)) this.#looking.answer(note);
        return;
      }
    }
    this.#looking.receive(from, note, isCall);
  }

  // ── pings ────────────────────────────────────────────────────────────────

  #handlePing(from: Sid, ping: Ping, isCall: boolean): void {
    this.#links.of(from).role = ping.role;
    const follower = this.#follower;
    if (isCall) {
      const idleMs = this.#idleSince === null ? 0 : this.#step.now - this.#idleSince;
      const pong: Pong = { type: "PONG", sentAt: ping.sentAt, role: this.#role, idleMs };
      if (follower === null || follower.leader !== from || follower.confirmed === null)
        this.#step.reply(pong);
      else this.#step.reply({ ...pong, join: follower.join, confirmed: follower.confirmed });
    }
    follower?.handlePing(from, ping);
  }

  #handlePong(from: Sid, pong: Pong): void {
    if (!this.#links.takePong(from, pong)) return;
    if (pong.confirmed !== undefined && pong.join !== undefined) {
      this.#leader?.confirmed(from, pong.join, pong.confirmed);
    }
    this.#follower?.handlePong(from, pong);
  }

  #ping(peer: Sid): void {
    if (!this.#links.mayPing(peer)) return;
    const ping: Ping = { type: "PING", sentAt: this.#step.now, role: this.#role };
    this.#links.ping(peer, this.#leader?.addToPing(peer, ping) ?? ping);
  }

  // ── time ─────────────────────────────────────────────────────────────────

  /** A peer that was suspended received nothing, which is no silence of the others: it pings them before it decides. */
  #excuse(suspendedMs: number): void {
    this.#links.excusePings();
    this.#leader?.excuse(suspendedMs);
    this.#follower?.excuse(suspendedMs);
  }

  #tick(): void {
    if (this.#frozen) return;
    if (this.#links.maybeStartRound()) {
      for (const peer of this.#links.all.keys()) {
        if (this.#links.isSilent(peer)) this.#breakLink(peer);
        this.#ping(peer);
      }
    }
    this.#leader?.tick();
    this.#follower?.tick();
    this.#looking.tick();
  }
}
