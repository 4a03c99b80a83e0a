/** The role of a peer. This is the only place where it changes. */
import { assert } from "../assert.ts";
import { Follower } from "./follower.ts";
import { Leader } from "./leader.ts";
import { Looking } from "./looking.ts";
import type { Sid } from "./membership.ts";
import type { LeaderMessage, LearnerMessage, Notification, Phase, Ping, Pong, Role } from "./messages.ts";
import type { PeerParts, RoleHost } from "./role.ts";

/** Stay numbers reserved for one incarnation, more than it will use. */
export const JOINS_PER_INCARNATION = 2 ** 20;
/** A boot counter may begin at the ms since 1970, and stay numbers must be below 2^53. */
const INCARNATIONS_MAX = 2 ** 32;

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The role of a peer: LOOKING, FOLLOWING or LEADING. Passes every input to the current role.
 *
 *            ┌───────────── steps down ─────────────┐
 *            ▼                                      │
 *   start ▶ LOOKING ──elected──▶ LEADING ───────────┤
 *            │  └──another is elected──▶ FOLLOWING ─┘
 *
 * Invariants: at most one of `leading`, `following` and an election exists, and `role` names it; none exists once a later
 * incarnation of this peer was seen; a frozen peer changes its role only to LOOKING.
 *
 * @source ZooKeeper QuorumPeer.run; etcd-raft becomeFollower, becomeLeader
 */
export class Roles implements RoleHost {
  readonly self: PeerParts["self"];
  readonly step: PeerParts["step"];
  readonly links: PeerParts["links"];
  readonly epochs: PeerParts["epochs"];
  readonly history: PeerParts["history"];
  readonly tree: PeerParts["tree"];
  readonly snapshot: PeerParts["snapshot"];
  /** the elections of this peer */
  readonly looking: Looking;
  #role: Role = "LOOKING";
  #follower: Follower | null = null;
  #leader: Leader | null = null;
  /** number of the last stay; no two incarnations share a number */
  #joins: number;
  #frozen = false;
  /** why the last role ended */
  #reason = "";
  /** once a later incarnation of this peer was seen: number of the persist effect after which this one ends */
  #lastSeq: number | null = null;
  /** how long the leader may hold back a COMMIT for this peer, ms; depends on what its clients wait for */
  patienceMs = 0;
  /** since when this peer has had no client, ms; null while one is connected, or if it is not known */
  idleSince: number | null = null;

  constructor(parts: PeerParts) {
    this.self = parts.self;
    this.step = parts.step;
    this.links = parts.links;
    this.epochs = parts.epochs;
    this.history = parts.history;
    this.tree = parts.tree;
    this.snapshot = parts.snapshot;
    this.#joins = ((parts.self.boot - 1) % INCARNATIONS_MAX) * JOINS_PER_INCARNATION;
    this.looking = new Looking(this);
  }

  // ── state ────────────────────────────────────────────────────────────────

  /** The current role; LOOKING before the start too. */
  get role(): Role {
    return this.#role;
  }

  get phase(): Phase {
    return this.#leader?.phase ?? this.#follower?.phase ?? "ELECTION";
  }

  get leader(): Sid | null {
    if (this.#leader !== null) return this.self.sid;
    return this.#follower?.leader ?? null;
  }

  /** The leadership of this peer; null if it does not lead. */
  get leading(): Leader | null {
    return this.#leader;
  }

  /** Its stay with a leader; null if it does not follow. */
  get following(): Follower | null {
    return this.#follower;
  }

  /** Whether it is falling asleep or asleep. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /** Why the last role ended; empty once the next one serves. */
  get reason(): string {
    return this.#reason;
  }

  /** Number of the persist effect after which this incarnation ends; null if it continues. */
  get lastSeq(): number | null {
    return this.#lastSeq;
  }

  /** When `tick` is to be called, at the latest; ms. */
  get deadline(): number {
    if (this.#frozen || this.#lastSeq !== null) return NEVER;
    const at = Math.min(this.links.nextPingAt, this.looking.deadline);
    return Math.min(at, this.#leader?.deadline ?? this.#follower?.deadline ?? NEVER);
  }

  // ── changes ──────────────────────────────────────────────────────────────

  becomeLooking(reason: string): void {
    if (this.looking.isActive || this.#lastSeq !== null) return;
    if (this.#frozen) {
      // The channels were released during sleep, and it is unknown whether the peers still know this peer's links.
      this.#frozen = false;
      this.links.replaceAll();
    }
    if (this.#leader?.trees.served === true || this.#follower?.phase === "BROADCAST")
      this.looking.noteSuccess();
    else if (this.#leader !== null && this.#leader.epoch !== null) this.looking.noteFailure();
    this.#setRole("LOOKING");
    this.looking.begin();
    this.phaseChanged("LOOKING", "ELECTION", reason);
    this.looking.announce();
  }

  becomeLeading(): void {
    this.looking.end();
    this.#setRole("LEADING");
    const leader = new Leader(this);
    this.#leader = leader;
    this.phaseChanged("LEADING", "DISCOVERY");
    this.looking.notifyAll();
    leader.start();
  }

  becomeFollowing(leader: Sid, electedIn: number): void {
    assert(leader !== this.self.sid, "a peer does not follow itself");
    this.looking.end();
    this.#setRole("FOLLOWING");
    const follower = new Follower(this, leader, electedIn);
    this.#follower = follower;
    this.phaseChanged("FOLLOWING", "DISCOVERY");
    follower.sendFollowerInfo();
  }

  #setRole(role: Role): void {
    this.#role = role;
    this.#leader = null;
    this.#follower = null;
  }

  /** @param reason why the last role ended */
  phaseChanged(role: Role, phase: Phase, reason?: string): void {
    this.#reason = reason ?? "";
    this.step.push({ type: "role" });
    const epoch = this.epochs.currentEpoch;
    const event = { type: "role" as const, role, phase, leader: this.leader, epoch };
    this.step.trace(reason === undefined ? event : { ...event, reason });
  }

  nextJoin(): number {
    this.#joins += 1;
    return this.#joins;
  }

  /** Stops sending until the next election. The role keeps its state, so that it can still be read. */
  freeze(): void {
    this.#frozen = true;
  }

  /**
   * Ends this incarnation, because a later one was seen: this storage is an old copy that lacks later promises. The next
   * incarnation has a number above both, and is without memory until it has synchronized.
   */
  end(boot: number): void {
    if (this.#lastSeq !== null) return;
    assert(boot > this.self.boot, "only a later incarnation ends this one");
    this.epochs.loseMemory();
    this.#setRole("LOOKING");
    this.looking.abandon();
    this.phaseChanged("LOOKING", "ELECTION", "a later incarnation of this member was seen");
    this.#lastSeq = this.step.persist([{ type: "amnesia", boot }]);
  }

  // ── links ────────────────────────────────────────────────────────────────

  /** Records that a message came from a peer. */
  heard(peer: Sid): void {
    this.#leader?.heard(peer);
    this.#follower?.heard(peer);
  }

  /** Handles a gap in the calls of a peer, in which messages may be lost: its stay here, or the stay with it, ends. */
  interrupted(peer: Sid): void {
    this.#leader?.drop(peer);
    this.#follower?.interrupted(peer);
  }

  /** Handles a failed call to a peer, or its silence. */
  breakLink(peer: Sid): void {
    this.links.break(peer);
    this.#leader?.drop(peer);
    this.#follower?.linkBroken(peer);
    this.looking.linkBroken(peer);
  }

  // ── messages ─────────────────────────────────────────────────────────────

  /** Handles the notification of a peer. */
  handleNotification(from: Sid, note: Notification, isCall: boolean): void {
    if (!this.looking.isActive) {
      // A peer that claims leadership but is not the own leader is sent the own notification, which names the leader.
      const astray = note.role === "LEADING" && this.leader !== from;
      // Before the answer: if this message ends the stay with the leader, the answer must not name that leader.
      if (this.#leader !== null) this.#leader.notice(from, note, isCall);
      else this.#follower?.notice(from, note, isCall);
      if (!this.looking.isActive) {
        if (isCall && (note.role === "LOOKING" || astray)) this.looking.answer(note);
        return;
      }
    }
    this.looking.receive(from, note, isCall);
  }

  /** Passes a learner's message to the leadership. */
  toLeader(from: Sid, message: LearnerMessage): void {
    this.#leader?.receive(from, message);
  }

  /** Passes a leader's message to the stay with it, unless it belongs to another stay. */
  toFollower(from: Sid, message: LeaderMessage, isCall: boolean): void {
    const follower = this.#follower;
    if (follower === null || follower.leader !== from || follower.join !== message.join) return;
    // All come in calls but one, which answers a REQUEST.
    if (isCall === (message.type === "LEADERACK")) return;
    if (!follower.receive(message)) this.becomeLooking("the leader's messages do not fit together");
  }

  handlePing(from: Sid, ping: Ping, isCall: boolean): void {
    this.links.noteRole(from, ping.role);
    const follower = this.#follower;
    if (isCall) {
      const idleMs = this.idleSince === null ? 0 : this.step.now - this.idleSince;
      const pong: Pong = { type: "PONG", sentAt: ping.sentAt, role: this.#role, idleMs };
      if (follower === null || follower.leader !== from || follower.tree.confirmed === null)
        this.step.reply(pong);
      else this.step.reply({ ...pong, join: follower.join, confirmed: follower.tree.confirmed });
    }
    follower?.handlePing(from, ping);
  }

  handlePong(from: Sid, pong: Pong): void {
    if (!this.links.takePong(from, pong)) return;
    if (pong.confirmed !== undefined && pong.join !== undefined) {
      this.#leader?.confirmed(from, pong.join, pong.confirmed);
    }
    this.#follower?.handlePong(from, pong);
  }

  ping(peer: Sid): void {
    if (!this.links.mayPing(peer)) return;
    const ping: Ping = { type: "PING", sentAt: this.step.now, role: this.#role };
    this.links.ping(peer, this.#leader?.addToPing(peer, ping) ?? ping);
  }

  notifyAll(): void {
    this.looking.notifyAll();
  }

  // ── time ─────────────────────────────────────────────────────────────────

  /** Extends all deadlines by the time for which this peer was suspended, since the others were not silent then. */
  extendDeadlines(suspendedMs: number): void {
    this.links.extendPingDeadlines();
    this.#leader?.extendDeadlines(suspendedMs);
    this.#follower?.extendDeadlines(suspendedMs);
  }

  /** A deadline may have passed. */
  tick(): void {
    if (this.#frozen) return;
    if (this.links.maybeStartRound()) {
      for (const peer of this.links.all.keys()) {
        if (this.links.isSilent(peer)) this.breakLink(peer);
        this.ping(peer);
      }
    }
    this.#leader?.tick();
    this.#follower?.tick();
    this.looking.tick();
  }
}
