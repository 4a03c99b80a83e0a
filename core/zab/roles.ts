/** The role of a peer. This is the only place where it changes. */
import { assert } from "../assert.ts";
import { Follower } from "./follower.ts";
import { Leader } from "./leader.ts";
import { Looking } from "./looking.ts";
import type { Sid } from "./membership.ts";
import type { LeaderMessage, LearnerMessage, Notification, Phase, Ping, Pong, Role } from "./messages.ts";
import type { PeerParts, RoleHost } from "./role.ts";

/** Numbers of stays that belong to one incarnation: more than it will begin. */
export const JOINS_PER_INCARNATION = 2 ** 20;
/** A boot counter may begin at ms since 1970, and the number of a stay has to remain below 2^53. */
const INCARNATIONS_MAX = 2 ** 32;

const NEVER = Number.POSITIVE_INFINITY;

/**
 * What a peer is: looking for a leader, following one, or leading. Hands everything that concerns the role to it.
 *
 *            ┌────────────── gives up ──────────────┐
 *            ▼                                      │
 *   start ▶ LOOKING ──elected──▶ LEADING ───────────┤
 *            │  └──another is elected──▶ FOLLOWING ─┘
 *
 * Invariants: at most one of `leading`, `following` and an election is there, and `role` names it; none is once a later incarnation
 * of this peer was seen; a frozen peer leaves its role only for LOOKING.
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
  /** number of the last stay; stays of another incarnation have other numbers */
  #joins: number;
  #frozen = false;
  /** why the last role was given up */
  #reason = "";
  /** a later incarnation of this peer was seen: the persist effect after which this one ends */
  #lastSeq: number | null = null;
  /** how long a commit may take to be known here, ms: what clients here wait for decides */
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

  // ── what it is ───────────────────────────────────────────────────────────

  /** LOOKING before the start too. */
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

  /** The leadership of this peer; null: it does not lead. */
  get leading(): Leader | null {
    return this.#leader;
  }

  /** Its stay with a leader; null: it does not follow. */
  get following(): Follower | null {
    return this.#follower;
  }

  /** Falling asleep or asleep. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /** Why the last role was given up; empty: another has been taken since. */
  get reason(): string {
    return this.#reason;
  }

  /** The persist effect after which this incarnation ends; null: it continues. */
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
      // The calls that were kept open were released, and whether a peer still knows our link is not known.
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

  /** @param reason why a role was given up */
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

  /** Sends nothing until it looks for a leader again. The state of the role is kept, so that it can still be read. */
  freeze(): void {
    this.#frozen = true;
  }

  /**
   * A later incarnation of this peer was seen: this storage is an old copy, and what was promised since is forgotten. The next
   * incarnation has a number above, and counts for nothing until it has synchronized.
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

  /** Something came from a peer. */
  heard(peer: Sid): void {
    this.#leader?.heard(peer);
    this.#follower?.heard(peer);
  }

  /** Messages of this peer may be lost: our stay with it, and its stay with us, end. */
  interrupted(peer: Sid): void {
    this.#leader?.drop(peer);
    this.#follower?.interrupted(peer);
  }

  /** A call to this peer has failed, or it is silent. */
  breakLink(peer: Sid): void {
    this.links.break(peer);
    this.#leader?.drop(peer);
    this.#follower?.linkBroken(peer);
    this.looking.linkBroken(peer);
  }

  // ── messages ─────────────────────────────────────────────────────────────

  /** Takes a vote, or what a peer says of its leader. */
  handleNotification(from: Sid, note: Notification, isCall: boolean): void {
    if (!this.looking.isActive) {
      // A peer that claims leadership, but is not our leader, gets our notification, which names our leader.
      const astray = note.role === "LEADING" && this.leader !== from;
      // Before the answer: if this message makes us leave our leader, the answer must not say that we still follow it.
      if (this.#leader !== null) this.#leader.notice(from, note, isCall);
      else this.#follower?.notice(from, note, isCall);
      if (!this.looking.isActive) {
        if (isCall && (note.role === "LOOKING" || astray)) this.looking.answer(note);
        return;
      }
    }
    this.looking.receive(from, note, isCall);
  }

  /** Hands a learner's message to the leadership. */
  toLeader(from: Sid, message: LearnerMessage): void {
    this.#leader?.receive(from, message);
  }

  /** Hands a message of our leader to our stay with it, unless it is of another stay. */
  toFollower(from: Sid, message: LeaderMessage, isCall: boolean): void {
    const follower = this.#follower;
    if (follower === null || follower.leader !== from || follower.join !== message.join || !isCall) return;
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

  /** A peer that was suspended received nothing, which is no silence of the others: it pings them before it decides. */
  excuse(suspendedMs: number): void {
    this.links.excusePings();
    this.#leader?.excuse(suspendedMs);
    this.#follower?.excuse(suspendedMs);
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
