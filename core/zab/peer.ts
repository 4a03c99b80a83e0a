/**
 * One peer of the ensemble: `step(now, input)` takes one input and returns the effects that the shell must run, in order.
 * This is the entry point of Zab: dispatch.ts routes messages of other peers, roles.ts holds the role, and each role has
 * its own file.
 */
import { assert, assertNever, must } from "../assert.ts";
import { type Feature, PROTOCOL_VERSION } from "../version.ts";
import { type ZabConfig, zabTimeouts } from "./config.ts";
import { OwnTree } from "./digests.ts";
import { Dispatch } from "./dispatch.ts";
import type { Tracing, ZabEffect, ZabInput } from "./effects.ts";
import { Epochs } from "./epochs.ts";
import { History } from "./history.ts";
import type { Leader } from "./leader.ts";
import { type Link, Links } from "./links.ts";
import type { Membership, Sid } from "./membership.ts";
import type { DigestAt, LogPosition, Phase, Role } from "./messages.ts";
import { MajorityQuorum } from "./quorum-verifier.ts";
import { Roles } from "./roles.ts";
import { Step } from "./step.ts";
import type { RecoveredState, SnapshotReader } from "./storage.ts";
import type { TxnLogReader } from "./txn-log.ts";
import { type Epoch, equalZxid, ZXID_ZERO, type Zxid } from "./zxid.ts";

const NOTHING: readonly ZabEffect[] = [];

/**
 * Feeds inputs to the parts of a peer, and exposes its state.
 * Invariant: no effect is left between two inputs; the peer does nothing once a later incarnation of it was seen.
 *
 * @source Zab, DSN 2011; ZooKeeper QuorumPeer; etcd-raft RawNode
 */
export class ZabPeer {
  readonly #step = new Step();
  readonly #roles: Roles;
  readonly #dispatch: Dispatch;
  /** time of the last input; ms */
  #steppedAt = 0;

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
    const self = { sid, boot: recovered.boot, version, quorum, config, timeouts };
    this.#roles = new Roles({
      self,
      step: this.#step,
      links: new Links(self, this.#step, recovered.peerBoots),
      epochs: new Epochs(this.#step, recovered),
      history: new History(this.#step, log, recovered),
      tree: new OwnTree(),
      snapshot,
    });
    this.#dispatch = new Dispatch(this.#roles);
  }

  /** Its role; LOOKING before the start too. */
  get role(): Role {
    return this.#roles.role;
  }

  /** Its phase of Zab; ELECTION while it looks for a leader. */
  get phase(): Phase {
    return this.#roles.phase;
  }

  /** The leader that this peer follows, or itself if it leads; null while it looks for one. */
  get leader(): Sid | null {
    return this.#roles.leader;
  }

  /** Whether it is in BROADCAST, as leader or follower, and may take requests. */
  get serving(): boolean {
    return this.phase === "BROADCAST";
  }

  /** The highest epoch promised. */
  get acceptedEpoch(): Epoch {
    return this.#roles.epochs.acceptedEpoch;
  }

  /** The epoch whose history it has adopted. */
  get currentEpoch(): Epoch {
    return this.#roles.epochs.currentEpoch;
  }

  /** The last entry of the log. */
  get lastLogged(): LogPosition {
    return this.#roles.history.lastLogged;
  }

  /** The highest zxid known to be committed. */
  get lastCommittedZxid(): Zxid {
    return this.#roles.history.lastCommittedZxid;
  }

  /** The last zxid that was delivered, to be applied. */
  get lastProcessedZxid(): Zxid {
    return this.#roles.history.lastProcessedZxid;
  }

  /** Number of elections that this instance has taken part in. */
  get elections(): number {
    return this.#roles.looking.elections;
  }

  /** sids that take part in broadcast, as far as this peer knows, ascending: a follower knows its leader and itself. */
  get activeSet(): readonly Sid[] {
    const { leading, following, self } = this.#roles;
    if (leading !== null) return leading.activeSet;
    return following !== null && this.serving ? [following.leader, self.sid].sort((a, b) => a - b) : [];
  }

  /** Whether a quorum has confirmed the tree in memory, so that a checkpoint of it is right. */
  get treeConfirmed(): boolean {
    return this.#roles.tree.confirmedByQuorum;
  }

  /**
   * Whether such a checkpoint is due: the tree is confirmed, and the last checkpoint is not known to be right. (An empty
   * one is.)
   */
  get wantsCheckpoint(): boolean {
    const { snapshot } = this.#roles;
    return this.treeConfirmed && !snapshot.isConfirmed && !equalZxid(snapshot.position().zxid, ZXID_ZERO);
  }

  /** Whether a SNAP is being read from the checkpoint, which must not change meanwhile. */
  get readsSnapshot(): boolean {
    return this.#roles.leading?.readsSnapshot ?? false;
  }

  /** *map sid → link*, for every other participant. */
  get links(): ReadonlyMap<Sid, Readonly<Link>> {
    return this.#roles.links.all;
  }

  /** Number of this incarnation. */
  get boot(): number {
    return this.#roles.self.boot;
  }

  /** The highest incarnation that was seen of a peer; 0: none. */
  incarnationOf(peer: Sid): number {
    return this.#roles.links.incarnationOf(peer);
  }

  /** Own version of the protocol. */
  get version(): number {
    return this.#roles.self.version;
  }

  /** Whether all members run a version with this feature. */
  supports(feature: Feature): boolean {
    return this.#roles.links.supports(feature);
  }

  /** Whether the last call or return was on a current link. If not, the server must drop the rest of its content too. */
  get accepted(): boolean {
    return this.#dispatch.accepted;
  }

  /** Whether a quorum has this tree, so that a quarantined storage is no longer needed. */
  get hasConfirmedTree(): boolean {
    const { epochs, history, tree, leading, following } = this.#roles;
    if (!epochs.initialized || history.needSnap || tree.differs !== null) return false;
    return leading?.confirmedByQuorum ?? following?.tree.confirmedByQuorum ?? false;
  }

  /** Why the last role ended, or why the current one does not serve yet; empty if there is no reason. */
  get reason(): string {
    return this.#roles.reason || this.#roleReason;
  }

  /**
   * Whether this tree may contain changes that never happened: it is unusable, its comparison with the leader's is under
   * way, or it differs from another member's and no quorum has confirmed either.
   */
  get doubtsTree(): boolean {
    const { history, tree } = this.#roles;
    if (history.needSnap || tree.differs !== null || this.awaitsComparison) return true;
    return this.#roleReason !== "";
  }

  /** Why the current role does not serve; empty if there is no reason. */
  get #roleReason(): string {
    const { leading, following } = this.#roles;
    return leading?.trees.reason ?? following?.reason ?? "";
  }

  /** Whether this peer follows and its tree has not been compared with the leader's yet. */
  get awaitsComparison(): boolean {
    return this.#roles.following?.tree.awaitsComparison === true;
  }

  /** Sets which trace effects are emitted: all of them only while there is a listener. */
  set tracing(which: Tracing) {
    this.#step.tracing = which;
  }

  /** Sets how long the leader may hold back a COMMIT for this peer, ms; depends on what its clients wait for. */
  set patienceMs(ms: number) {
    this.#roles.patienceMs = ms;
  }

  /** Sets the digest of the tree, as the server reports it. */
  set digest(digest: DigestAt) {
    this.#roles.tree.tellDigest(digest);
  }

  /** The digest of this tree at exactly this zxid; undefined if not remembered. */
  digestAt(zxid: Zxid): DigestAt | undefined {
    return this.#roles.tree.digests.at(zxid);
  }

  /** The leadership of this peer; undefined unless it leads in broadcast. */
  get proposing(): Leader | undefined {
    const { leading } = this.#roles;
    return leading?.phase === "BROADCAST" ? leading : undefined;
  }

  /** Since when this peer has had no client, ms; null while one is connected. Every PONG reports it as `idleMs`. */
  set idleSince(at: number | null) {
    this.#roles.idleSince = at;
  }

  /** Whether it is falling asleep or asleep: it sends nothing by itself and has no deadline. */
  get frozen(): boolean {
    return this.#roles.frozen;
  }

  /** Whether nothing of Zab is in flight, and every peer that answers takes part. */
  get settled(): boolean {
    const { leading, links } = this.#roles;
    const { lastProcessedZxid, lastLogged } = this.#roles.history;
    if (!this.serving || !equalZxid(lastProcessedZxid, lastLogged.zxid)) return false;
    if (leading === null) return true;
    return leading.settled && [...links.all].every(([sid, link]) => !link.up || leading.isServing(sid));
  }

  /** How long no learner has had a client, as the learners last reported; ms. */
  get learnersIdleMs(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const [sid, link] of this.#roles.links.all) {
      if (this.#roles.leading?.isServing(sid) === true) least = Math.min(least, link.idleMs);
    }
    return least;
  }

  /** The number of this peer's stay with its leader. */
  get join(): number | undefined {
    return this.#roles.following?.join;
  }

  /** The latest time at which `tick` must be fed; ms. */
  get deadline(): number {
    return this.#roles.deadline;
  }

  /** Handles one input. @param now ms; affects liveness only @returns effects, to be run in order before the next step */
  step(now: number, input: ZabInput): ZabEffect[] {
    const suspendedMs = now - this.#steppedAt - this.#roles.self.timeouts.tickMs;
    this.#steppedAt = now;
    this.#step.begin(now);
    this.#dispatch.reset();
    const { lastSeq } = this.#roles;
    if (lastSeq !== null) {
      if (input.type === "persisted" && input.seq >= lastSeq) {
        this.#step.push({ type: "abort", reason: "a later incarnation of this member was seen" });
      }
      return this.#step.end();
    }
    if (suspendedMs > this.#roles.self.timeouts.tickMs / 2) this.#roles.extendDeadlines(suspendedMs);
    switch (input.type) {
      case "start":
        this.#roles.links.startPings();
        this.#roles.becomeLooking("the member has started");
        break;
      case "call":
        this.#dispatch.handleCall(input.origin, input.messages);
        break;
      case "returned":
        this.#dispatch.handleReturn(input);
        break;
      case "linkBroken":
        if (this.#roles.links.of(input.peer).generation === input.generation) {
          this.#roles.breakLink(input.peer);
        }
        break;
      case "persisted":
        this.#step.persisted(input.seq);
        this.#roles.history.persisted(input.seq);
        if (this.#roles.leading !== null) this.#roles.leading.persisted();
        else if (this.#roles.following !== null) this.#roles.following.persisted();
        else this.#roles.history.deliver();
        break;
      case "released":
        this.#roles.leading?.release();
        break;
      case "tick":
        this.#roles.tick();
        break;
      default:
        assertNever(input);
    }
    return this.#step.end();
  }

  // ── calls of the server ──────────────────────────────────────────────────

  /** Proposes a batch; see {@link Leader.propose}. */
  propose(now: number, batch: Uint8Array): ZabEffect[] {
    this.#step.begin(now);
    must(this.#roles.leading, "only a leader proposes").propose(batch);
    return this.#step.end();
  }

  /** Sends the commit index to the learners that did not receive it with a proposal. */
  flushCommits(now: number): ZabEffect[] {
    this.#step.begin(now);
    this.#roles.leading?.flushCommits();
    return this.#step.end();
  }

  /** Reports that this tree differs from the leader's at this zxid. */
  diverged(now: number, at: Zxid): ZabEffect[] {
    this.#step.begin(now);
    this.#roles.following?.diverge(at);
    return this.#step.end();
  }

  /** Reports that this tree equals the leader's at this zxid. */
  confirm(now: number, at: Zxid): readonly ZabEffect[] {
    const follower = this.#roles.following;
    follower?.tree.noteEqual(at);
    if (follower?.tree.checkRequested !== true) return NOTHING;
    this.#step.begin(now);
    follower.confirm();
    return this.#step.end();
  }

  /** Compares the new digest of this tree with those that learners have reported; see {@link Leader.compareTrees}. */
  compareTrees(now: number): ZabEffect[] {
    this.#step.begin(now);
    this.#roles.leading?.compareTrees();
    return this.#step.end();
  }

  /** Reports that the checkpoint that the leader requested is made. */
  checkpointed(now: number): ZabEffect[] {
    this.#step.begin(now);
    this.#roles.leading?.checkpointed();
    return this.#step.end();
  }

  /** Makes the leader step down because the counter of its epoch is used up. */
  resign(now: number): ZabEffect[] {
    this.#step.begin(now);
    if (this.#roles.leading !== null) this.#roles.becomeLooking("the counter of the epoch is used up");
    return this.#step.end();
  }

  /**
   * Ends this epoch: the peer sends nothing until {@link wake}. The role keeps its state, so that it can still be read. A
   * frozen peer continues only through an election, so nothing of this epoch can happen after a promise to sleep.
   */
  freeze(): void {
    assert(this.settled, "a peer with nothing in flight is frozen");
    this.#roles.freeze();
  }

  /** Persists the record of the frozen peer, in order with all other writes. */
  keep(record: string): ZabEffect[] {
    this.#step.persist([{ type: "quiet", record }]);
    return this.#step.end();
  }

  /** Ends the sleep by an election, since other peers may have changed meanwhile. */
  wake(now: number, reason: string): ZabEffect[] {
    this.#step.begin(now);
    this.#roles.becomeLooking(reason);
    return this.#step.end();
  }
}
