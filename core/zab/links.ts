/**
 * The links to the other peers: the order of their calls, their current incarnations, and whether they answer.
 *
 * The outgoing link to a peer has a generation; a link that broke is replaced by the next generation, and messages of the
 * old one are dropped. The peer's incoming link has a generation too, and numbers its calls.
 */
import { assert, must } from "../assert.ts";
import { type Feature, FIRST_VERSION, knows } from "../version.ts";
import type { CallOrigin } from "./effects.ts";
import type { Sid } from "./membership.ts";
import type { Ping, Pong, Role, ZabMessage } from "./messages.ts";
import type { Self } from "./self.ts";
import type { Step } from "./step.ts";

/** State of the link with one peer, in both directions. */
export interface Link {
  /** number of the outgoing link; a broken one is replaced by the next */
  generation: number;
  up: boolean;
  /** own clock when the unanswered PING was sent, ms; null if there is none */
  pingSentAt: number | null;
  rttMs: number | null;
  /** when the last message came from the peer, ms; null if none has */
  heardAt: number | null;
  /** the peer's role, as it last reported */
  role: Role | null;
  /** how long the peer has had no client, as it last reported; ms */
  idleMs: number;
  /** version of the protocol of this incarnation of the peer; 0 if not known yet */
  version: number;
  /** when this incarnation of the peer was first seen; ms */
  bornAt: number;
  /** number of incarnations in a row that ended soon */
  shortIncarnations: number;
  /** generation of the incoming link; 0 if no call has come from this incarnation of the peer yet */
  inGeneration: number;
  /** number of the next call on the incoming link */
  inSeq: number;
}

/** Order of a call: late, the next one of its link, or the first one after calls were lost. */
export type CallOrder = "LATE" | "NEXT" | "INTERRUPTED";

/** Number of short incarnations in a row after which a peer still need not wait. */
const SHORT_INCARNATIONS_FREE = 2;

/**
 * The links of one peer, with the incarnations of the other peers that it has seen.
 * Invariant: generations and incarnations only rise, and a seen incarnation is durable before its peer relies on that.
 *
 * @source ZooKeeper QuorumCnxManager; VR revisited (incarnations)
 */
export class Links {
  readonly #self: Self;
  readonly #step: Step;
  /** *map sid → link*, for every other participant */
  readonly #links = new Map<Sid, Link>();
  /** *map sid → highest incarnation seen*, for every other participant; 0 if none */
  readonly #incarnations = new Map<Sid, number>();
  #nextPingAt = 0;

  constructor(self: Self, step: Step, peerBoots: readonly number[]) {
    this.#self = self;
    this.#step = step;
    for (const sid of self.quorum.participants) {
      this.#incarnations.set(sid, unpackIncarnation(peerBoots, sid));
      if (sid !== self.sid) this.#links.set(sid, newLink());
    }
  }

  /** *map sid → link*, for every other participant. */
  get all(): ReadonlyMap<Sid, Readonly<Link>> {
    return this.#links;
  }

  /** The link of a member. */
  of(peer: Sid): Readonly<Link> {
    return this.#link(peer);
  }

  #link(peer: Sid): Link {
    return must(this.#links.get(peer), "a peer is a member of the ensemble");
  }

  /** Records a message of a peer, and the peer's version. @param version undefined means {@link FIRST_VERSION} */
  heard(peer: Sid, version: number | undefined): void {
    const link = this.#link(peer);
    link.version = version ?? FIRST_VERSION;
    link.heardAt = this.#step.now;
  }

  /** Records the role that the peer reports. */
  noteRole(peer: Sid, role: Role): void {
    this.#link(peer).role = role;
  }

  /** Sends a message on the current generation of the link. */
  send(to: Sid, message: ZabMessage): void {
    this.#step.push({ type: "send", to, generation: this.of(to).generation, message });
  }

  // ── incarnations ─────────────────────────────────────────────────────────

  /** The highest incarnation of a peer that was seen; 0 if none. */
  incarnationOf(peer: Sid): number {
    return this.#incarnations.get(peer) ?? 0;
  }

  /** All incarnations, in the form in which they are sent and stored. */
  packIncarnations(): number[] {
    return packIncarnations(this.#incarnations);
  }

  /** Records an incarnation of a peer. @returns whether it is new */
  learnIncarnation(peer: Sid, boot: number): boolean {
    if (boot <= this.incarnationOf(peer)) return false;
    this.#incarnations.set(peer, boot);
    this.#step.defer({ type: "peerBoots", boots: this.packIncarnations() });
    const link = this.#link(peer);
    const { now } = this.#step;
    link.version = 0;
    const wasShort = now - link.bornAt < this.#self.timeouts.shortIncarnationMs;
    link.shortIncarnations = wasShort ? link.shortIncarnations + 1 : 0;
    link.bornAt = now;
    return true;
  }

  /**
   * When a learner may be offered the epoch, ms: at once, unless its incarnations keep ending. Each of them costs the
   * leader a synchronization, so after several short ones the learner waits for one tick, then two, and so on, but always
   * for less than its own timeout.
   */
  admitAt(peer: Sid): number {
    const { bornAt, shortIncarnations } = this.of(peer);
    if (shortIncarnations <= SHORT_INCARNATIONS_FREE) return this.#step.now;
    const { tickMs, answersMs } = this.#self.timeouts;
    return bornAt + Math.min(2 ** (shortIncarnations - SHORT_INCARNATIONS_FREE - 1) * tickMs, answersMs);
  }

  /** Whether all members support this feature. A member that does not answer counts as one that does not. */
  supports(feature: Feature): boolean {
    if (!knows(this.#self.version, feature)) return false;
    for (const link of this.#links.values()) if (!link.up || !knows(link.version, feature)) return false;
    return true;
  }

  // ── order and generations ────────────────────────────────────────────────

  /**
   * Determines the order of a call on its link: calls are numbered without a gap; a new generation, or a gap, ends what
   * came before.
   */
  classify(origin: CallOrigin): CallOrder {
    const link = this.#link(origin.from);
    const age = origin.generation - link.inGeneration;
    if (age < 0) return "LATE";
    let order: CallOrder = "NEXT";
    if (age > 0) {
      if (link.inGeneration > 0) order = "INTERRUPTED";
      link.inGeneration = origin.generation;
      link.inSeq = 0;
    }
    if (origin.seq < link.inSeq) return "LATE";
    if (origin.seq > link.inSeq) order = "INTERRUPTED";
    link.inSeq = origin.seq + 1;
    return order;
  }

  /** Resets the incoming link for a new incarnation. @returns whether any call had come from the earlier one */
  resetInbound(peer: Sid): boolean {
    const link = this.#link(peer);
    const wasUsed = link.inGeneration > 0;
    link.inGeneration = 0;
    link.inSeq = 0;
    return wasUsed;
  }

  /** Records that a call on the current generation has returned. */
  answered(peer: Sid): void {
    const link = this.#link(peer);
    if (link.up) return;
    link.up = true;
    this.#step.trace({ type: "link", to: peer, up: true });
  }

  /** Begins the next generation, because a call has failed or the peer is silent. */
  break(peer: Sid): void {
    const link = this.#link(peer);
    if (link.up) this.#step.trace({ type: "link", to: peer, up: false });
    replace(link);
  }

  /** Begins the next generation of every link, because the channels were released during sleep. */
  replaceAll(): void {
    this.#nextPingAt = this.#step.now;
    for (const link of this.#links.values()) replace(link);
  }

  // ── pings ────────────────────────────────────────────────────────────────

  /** When the next round of pings is due; ms. */
  get nextPingAt(): number {
    return this.#nextPingAt;
  }

  /** Makes the first round of pings due now. */
  startPings(): void {
    this.#nextPingAt = this.#step.now;
  }

  /** Begins the next round of pings if it is due. @returns whether it is */
  maybeStartRound(): boolean {
    const { now } = this.#step;
    if (now < this.#nextPingAt) return false;
    this.#nextPingAt = now + this.#self.timeouts.tickMs;
    return true;
  }

  /** Whether the peer has not answered a PING within syncLimit. */
  isSilent(peer: Sid): boolean {
    const { pingSentAt } = this.of(peer);
    return pingSentAt !== null && this.#step.now - pingSentAt >= this.#self.timeouts.syncMs;
  }

  /** Whether no PING to this peer is unanswered. */
  mayPing(peer: Sid): boolean {
    return this.of(peer).pingSentAt === null;
  }

  /** Sends a PING, which stays unanswered until its PONG. */
  ping(peer: Sid, ping: Ping): void {
    assert(this.mayPing(peer), "one PING is under way at a time");
    this.#link(peer).pingSentAt = ping.sentAt;
    this.send(peer, ping);
  }

  /** Handles the answer to a PING. @returns whether it answers the current one */
  takePong(peer: Sid, pong: Pong): boolean {
    const link = this.#link(peer);
    link.role = pong.role;
    if (link.pingSentAt !== pong.sentAt) return false;
    link.rttMs = this.#step.now - pong.sentAt;
    link.pingSentAt = null;
    link.idleMs = pong.idleMs ?? 0;
    this.#step.trace({ type: "ping", to: peer, rttMs: link.rttMs });
    return true;
  }

  /** Restarts the timeouts of unanswered PINGs after this peer was suspended, since the others were not silent then. */
  extendPingDeadlines(): void {
    for (const link of this.#links.values()) link.pingSentAt = null;
  }
}

const newLink = (): Link => ({
  generation: 1,
  up: false,
  pingSentAt: null,
  rttMs: null,
  heardAt: null,
  role: null,
  idleMs: 0,
  version: 0,
  bornAt: Number.NEGATIVE_INFINITY,
  shortIncarnations: 0,
  inGeneration: 0,
  inSeq: 0,
});

function replace(link: Link): void {
  link.generation += 1;
  link.up = false;
  link.pingSentAt = null;
  link.rttMs = null;
  link.role = null;
}

/**
 * The form in which incarnations are sent (NOTIFICATION, ACKEPOCH) and stored (`peerBoots`): *list, at sid − 1 → highest
 * incarnation seen; 0: none*. It has a place for every sid up to the highest; for memberships of few high sids a list of
 * pairs would be shorter, which would change these two functions and PROTOCOL_VERSION.
 */
export function packIncarnations(seen: ReadonlyMap<Sid, number>): number[] {
  const packed = new Array<number>(Math.max(0, ...seen.keys())).fill(0);
  for (const [sid, boot] of seen) packed[sid - 1] = boot;
  return packed;
}

/** Reads the incarnation of one peer from that form. */
export const unpackIncarnation = (packed: readonly number[], sid: Sid): number => packed[sid - 1] ?? 0;
