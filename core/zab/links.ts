/**
 * The links to the other peers: in which order their calls come, which of their incarnations counts, and whether they answer.
 *
 * Our link to a peer has a generation; a link that broke is replaced by the next generation, and what the old one carried
 * counts no more. The peer's link to us has a generation too, and numbers its calls.
 */
import { assert, must } from "../assert.ts";
import { type Feature, FIRST_VERSION, knows } from "../version.ts";
import type { CallOrigin } from "./effects.ts";
import type { Sid } from "./membership.ts";
import type { Ping, Pong, Role, ZabMessage } from "./messages.ts";
import type { Self } from "./self.ts";
import type { Step } from "./step.ts";

/** How a peer's link is doing, in both directions. */
export interface Link {
  /** number of our outgoing link; a broken one is replaced by the next */
  generation: number;
  up: boolean;
  /** our clock when the PING under way left, or null; ms */
  pingSentAt: number | null;
  rttMs: number | null;
  /** when something came from the peer last; ms */
  heardAt: number | null;
  /** of the peer, as it said last */
  role: Role | null;
  /** how long the peer has had no client, as it said last; ms */
  idleMs: number;
  /** of the protocol, as this incarnation of the peer says; 0: it has said nothing yet */
  version: number;
  /** when this incarnation of the peer was seen first; ms */
  bornAt: number;
  /** incarnations in a row that ended soon */
  shortIncarnations: number;
  /** generation of the peer's link to us; 0: nothing has come from this incarnation of the peer yet */
  inGeneration: number;
  /** number of the call that comes next on it */
  inSeq: number;
}

/** A call: late, or the next one of its link, or the first after calls were lost. */
export type CallOrder = "LATE" | "NEXT" | "INTERRUPTED";

/** A peer may be restarted so often in a row without waiting. */
const SHORT_INCARNATIONS_FREE = 2;

/**
 * The links of one peer, with the incarnations that it has seen of the others.
 * Invariant: generations and incarnations only rise, and an incarnation is durable before its peer relies on that.
 *
 * @source ZooKeeper QuorumCnxManager; VR revisited (incarnations)
 */
export class Links {
  readonly #self: Self;
  readonly #step: Step;
  /** *map sid → link*, for every other participant */
  readonly #links = new Map<Sid, Link>();
  /** *map sid → highest incarnation seen*, for every participant; 0: none. Ours is not in it */
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

  /** The link of a peer that is a member. */
  of(peer: Sid): Readonly<Link> {
    return this.#link(peer);
  }

  #link(peer: Sid): Link {
    return must(this.#links.get(peer), "a peer is a member of the ensemble");
  }

  /** Something came from a peer, which names its version. @param version absent: {@link FIRST_VERSION} */
  heard(peer: Sid, version: number | undefined): void {
    const link = this.#link(peer);
    link.version = version ?? FIRST_VERSION;
    link.heardAt = this.#step.now;
  }

  /** The peer says what it is. */
  noteRole(peer: Sid, role: Role): void {
    this.#link(peer).role = role;
  }

  /** Sends a message on the present generation of the link. */
  send(to: Sid, message: ZabMessage): void {
    this.#step.push({ type: "send", to, generation: this.of(to).generation, message });
  }

  // ── incarnations ─────────────────────────────────────────────────────────

  /** The highest incarnation that was seen of a peer; 0: none. */
  incarnationOf(peer: Sid): number {
    return this.#incarnations.get(peer) ?? 0;
  }

  /** All of them, as they are sent and stored. */
  packIncarnations(): number[] {
    return packIncarnations(this.#incarnations);
  }

  /** An incarnation of a peer was seen. @returns whether it is the first sign of it */
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
   * When a learner is taken in, ms: at once, unless its incarnations keep ending. Each one that ends costs the leader a
   * synchronization, so after several short ones the learner waits for a tick, then two, and so on; never so long that it
   * gives up.
   */
  admitAt(peer: Sid): number {
    const { bornAt, shortIncarnations } = this.of(peer);
    if (shortIncarnations <= SHORT_INCARNATIONS_FREE) return this.#step.now;
    const { tickMs, answersMs } = this.#self.timeouts;
    return bornAt + Math.min(2 ** (shortIncarnations - SHORT_INCARNATIONS_FREE - 1) * tickMs, answersMs);
  }

  /** Do all members know this feature? One that does not answer counts as one that does not. */
  supports(feature: Feature): boolean {
    if (!knows(this.#self.version, feature)) return false;
    for (const link of this.#links.values()) if (!link.up || !knows(link.version, feature)) return false;
    return true;
  }

  // ── order and generations ────────────────────────────────────────────────

  /** Where a call stands among those of its link: they come in order and without a gap; a new link, or a gap, ends the old ones. */
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

  /** What an earlier incarnation sent counts no more. @returns whether anything had come from it */
  resetInbound(peer: Sid): boolean {
    const link = this.#link(peer);
    const wasUsed = link.inGeneration > 0;
    link.inGeneration = 0;
    link.inSeq = 0;
    return wasUsed;
  }

  /** A call on the present generation has returned: the peer is there. */
  answered(peer: Sid): void {
    const link = this.#link(peer);
    if (link.up) return;
    link.up = true;
    this.#step.trace({ type: "link", to: peer, up: true });
    this.#step.push({ type: "park", peer, generation: link.generation });
  }

  /** A call has failed, or the peer is silent: the next generation begins. */
  break(peer: Sid): void {
    const link = this.#link(peer);
    if (link.up) this.#step.trace({ type: "link", to: peer, up: false });
    replace(link);
  }

  /** Nothing is known of any link any more: the calls that were kept open were released. */
  replaceAll(): void {
    this.#nextPingAt = this.#step.now;
    for (const link of this.#links.values()) replace(link);
  }

  // ── pings ────────────────────────────────────────────────────────────────

  /** When the next round of pings is due; ms. */
  get nextPingAt(): number {
    return this.#nextPingAt;
  }

  /** The first round of pings is due now. */
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

  /** The peer has not answered a PING within syncLimit. */
  isSilent(peer: Sid): boolean {
    const { pingSentAt } = this.of(peer);
    return pingSentAt !== null && this.#step.now - pingSentAt >= this.#self.timeouts.syncMs;
  }

  /** Is there no answer to a PING to wait for? */
  mayPing(peer: Sid): boolean {
    return this.of(peer).pingSentAt === null;
  }

  /** Sends a PING, whose answer is waited for. */
  ping(peer: Sid, ping: Ping): void {
    assert(this.mayPing(peer), "one PING is under way at a time");
    this.#link(peer).pingSentAt = ping.sentAt;
    this.send(peer, ping);
  }

  /** Takes the answer to a PING. @returns whether it answers the one under way */
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

  /** This peer was suspended: that a PING has no answer yet is no silence of the others. */
  excusePings(): void {
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
 * incarnation seen; 0: none*. It can carry every sid, with a place for each lower one: a membership of few high sids will want
 * pairs instead, which is a change of these two functions and of PROTOCOL_VERSION.
 */
export function packIncarnations(seen: ReadonlyMap<Sid, number>): number[] {
  const packed = new Array<number>(Math.max(0, ...seen.keys())).fill(0);
  for (const [sid, boot] of seen) packed[sid - 1] = boot;
  return packed;
}

/** The incarnation of one peer in that form. */
export const unpackIncarnation = (packed: readonly number[], sid: Sid): number => packed[sid - 1] ?? 0;
