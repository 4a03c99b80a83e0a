/** Handles the calls of peers and the returns of own calls: routes Zab's messages to Zab, and the others to the server's parts. */
import { assertNever } from "../assert.ts";
import { FIRST_VERSION } from "../version.ts";
import { WireError } from "../wire/reader.ts";
import type { ZabEffect } from "../zab/effects.ts";
import type { Sid } from "../zab/membership.ts";
import type { ZabPeer } from "../zab/peer.ts";
import { MESSAGE_TYPE_LENGTH_MAX } from "./config.ts";
import type { EffectList } from "./effect-list.ts";
import type { ServerInput } from "./effects.ts";
import { isServerMessage, isZabMessage, type ServerMessage, unknownIn } from "./messages.ts";
import type { Quiet } from "./quiet.ts";
import type { SessionTracker } from "./session-tracker.ts";
import type { WritePath } from "./write-path.ts";

/** A call of a peer, or the return of a call to it. */
type PeerInput = Extract<ServerInput, { type: "call" | "returned" }>;

/** The parts that a {@link PeerInbox} uses. */
export interface InboxParts {
  readonly zab: ZabPeer;
  readonly effects: EffectList;
  readonly sessions: SessionTracker;
  readonly writes: WritePath;
  readonly quiet: Quiet;
  /** Handles effects of the peer. */
  absorb(effects: readonly ZabEffect[]): void;
}

/**
 * Passes each message of a peer to the part that handles it: first those of Zab, then the others.
 *
 * Invariant: a message is handled only if all messages of its call are of known types, the call is on a current link, and
 * the message belongs to the current stay. Otherwise the message has no effect.
 *
 * @source ZooKeeper `Learner.processPacket`, `LearnerHandler.run`
 */
export class PeerInbox {
  /** *map peer → why its last unknown or unreadable message was refused* */
  readonly refused = new Map<Sid, string>();
  readonly #parts: InboxParts;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  /** Handles the messages, and sends the writes that may be sent after them. */
  receive(now: number, input: PeerInput): void {
    const { absorb, quiet, writes, zab } = this.#parts;
    if (quiet.state !== "AWAKE") {
      // A return that arrives during sleep was sent before it.
      if (input.type === "returned" && quiet.state === "ASLEEP") return;
      if (input.type === "call" && quiet.wakesUp(now, input.messages)) {
        absorb(zab.wake(now, "a peer is awake"));
      }
    }
    const unknown = unknownIn(input.messages);
    if (unknown !== undefined) {
      const type = unknown.slice(0, MESSAGE_TYPE_LENGTH_MAX);
      this.#refuse(now, input, `it sent a message of type ${type}, which is not known here`);
      return;
    }
    const ours = input.messages.filter(isServerMessage);
    // Zab gets every call, also one without a Zab message: calls are numbered, and show that the peer is alive.
    absorb(zab.step(now, { ...input, messages: input.messages.filter(isZabMessage) }));
    if (!zab.accepted || ours.length === 0) return;
    try {
      for (const message of ours) this.#handle(now, peerOf(input), message);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#refuse(now, input, `it sent ${error.message}`);
    }
    writes.maybeLeave(now);
    if (ours.some(({ type }) => type === "REQUEST")) this.#answerRequest(peerOf(input));
  }

  /** LEADING: all writes of a learner's REQUEST are proposed: the return of the call says how far they are durable here. */
  #answerRequest(from: Sid): void {
    const { effects, writes, zab } = this.#parts;
    const ack = writes.hasQueued ? undefined : zab.proposing?.ackRequest(from);
    if (ack !== undefined) effects.push({ type: "reply", message: ack });
  }

  /** Refuses a call, or breaks the link after a return, with a message that this version does not understand. */
  #refuse(now: number, input: PeerInput, why: string): void {
    const { absorb, effects, zab } = this.#parts;
    const from = peerOf(input);
    const version = (input.type === "call" ? input.origin : input).version ?? FIRST_VERSION;
    const reason = `${why} (its version is ${version}, ours ${zab.version})`;
    this.refused.set(from, reason);
    if (input.type === "call") effects.push({ type: "refuse", to: from, reason });
    else {
      const { peer, generation } = input;
      absorb(zab.step(now, { type: "linkBroken", peer, generation }));
    }
    effects.push({ type: "trace", event: { type: "link", to: from, up: false, reason } });
  }

  #handle(now: number, from: Sid, message: ServerMessage): void {
    const { quiet, sessions, writes, zab } = this.#parts;
    switch (message.type) {
      case "REJECT":
        if (this.#isOfLeader(from, message)) writes.rejected(message);
        break;
      case "QUIET":
      case "SLEEP":
        if (this.#isOfLeader(from, message)) quiet.handleFromLeader(now, message);
        break;
      case "QUIETED":
      case "SLEPT":
        if (this.#isOfLearner(from, message)) quiet.handleFromLearner(now, from, message);
        break;
      case "TOUCH":
        if (this.#isOfLearner(from, message)) sessions.touchAll(now, message.sessions, from);
        break;
      case "REQUEST":
        if (!this.#isOfLearner(from, message)) break;
        zab.proposing?.expectCommit(from);
        writes.takeForwarded(from, message.packed);
        break;
      default:
        assertNever(message);
    }
  }

  /** FOLLOWING: whether the message is of the leader and the current stay. */
  #isOfLeader(from: Sid, { join }: { readonly join: number }): boolean {
    const { zab } = this.#parts;
    return zab.leader === from && zab.join === join;
  }

  /** LEADING: whether the message is of a learner and its current stay. */
  #isOfLearner(from: Sid, { join }: { readonly join: number }): boolean {
    return this.#parts.zab.proposing?.joinOf(from) === join;
  }
}

/** The peer that sent the call or the return. */
const peerOf = (input: PeerInput): Sid => (input.type === "call" ? input.origin.from : input.peer);
