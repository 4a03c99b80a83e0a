/**
 * Calls between members, as the platform makes them: in order on a channel, with a return that may be lost, and a break
 * that the caller sees. Outputs of a member first wait at its output gate.
 */
import { assert, must } from "../core/assert.ts";
import type { PeerMessage } from "../core/server/messages.ts";
import { TxnCursor } from "../core/wire/txn-codec.ts";
import type { CallOrigin } from "../core/zab/effects.ts";
import { asSid, type Sid } from "../core/zab/membership.ts";
import { CallOrder } from "../durable-objects/shared/call-order.ts";
import type { Invariants } from "./checkers/invariants.ts";
import type { Engine } from "./engine.ts";
import type { Faults } from "./faults.ts";
import type { Life, Outgoing } from "./member/life.ts";
import type { Channel } from "./member/links.ts";
import type { Member } from "./member/member.ts";
import type { Network } from "./network.ts";

/** Maximum wait of a call for its predecessor, as in `ZooWeeperNode`; ms. */
const CALL_WAIT_MS = 1_000;

/** Probability that a message in flight is lost when its channel breaks, or its sender ends. */
const LOST_BEHIND_BREAK = 0.5;

/** Maximum delay of a reordered call; ms. */
const REORDER_MS = 200;

/** Maximum delay of the second delivery of a duplicated call; ms. */
const DUPLICATE_MS = 2_000;

/** Observers of messages. */
export interface CallHooks {
  /** Called for every message that arrives. */
  onMessage: ((from: Sid, to: Sid, message: PeerMessage, isReturn: boolean) => void) | null;
  /** Called before a call or its return is delivered; may act on either member, or lose the message by returning true. */
  onDelivery: ((from: Sid, to: Sid, messages: readonly PeerMessage[], isReturn: boolean) => boolean) | null;
}

/** The parts of the ensemble that calls use. */
export interface CallsOptions {
  readonly engine: Engine;
  readonly network: Network;
  readonly faults: Faults;
  readonly invariants: Invariants;
  readonly members: readonly Member[];
  readonly hooks: CallHooks;
  /** whether calls that overtook each other are put in order, as in the shell; otherwise the core receives them as they arrive */
  readonly ordered: boolean;
}

/** A call on its way. */
interface Call {
  readonly caller: Life;
  readonly to: Sid;
  readonly channel: Channel;
  readonly origin: CallOrigin;
  readonly messages: readonly PeerMessage[];
  /** the life of the peer that the caller knew when it called */
  readonly knownBoot: number;
}

/** Invariant: a call is delivered at most once to a caller that waits for it. */
export class Calls {
  readonly #engine: Engine;
  readonly #network: Network;
  readonly #faults: Faults;
  readonly #invariants: Invariants;
  readonly #members: readonly Member[];
  readonly #hooks: CallHooks;
  readonly #ordered: boolean;
  /** number of returns that arrived before an earlier call in the other direction, and after a later one */
  readonly crossed = { ahead: 0, behind: 0 };

  constructor({ engine, network, faults, invariants, members, hooks, ordered }: CallsOptions) {
    this.#engine = engine;
    this.#network = network;
    this.#faults = faults;
    this.#invariants = invariants;
    this.#members = members;
    this.#hooks = hooks;
    this.#ordered = ordered;
  }

  #lifeOf(sid: Sid): Life | null {
    return must(this.#members[sid - 1], `there is no member ${sid}`).life;
  }

  // ── a call ───────────────────────────────────────────────────────────────

  /** Makes calls once everything that the caller wrote before them is durable. */
  post(caller: Life, outgoing: readonly Outgoing[]): void {
    for (const { to, generation, messages } of outgoing) {
      const channel = caller.links.open(to, generation);
      const { boot, version } = caller.server.zab;
      const origin = { from: caller.sid, boot, generation, seq: channel.seq, version };
      channel.seq += 1;
      const knownBoot = caller.server.zab.incarnationOf(to);
      caller.gate.let(() => {
        for (const message of messages) this.#invariants.leaving(caller, to, message);
        this.#send({ caller, to, channel, origin, messages, knownBoot });
      });
    }
  }

  #send(call: Call): void {
    const { caller, to, channel, origin } = call;
    const engine = this.#engine;
    const network = this.#network;
    const { reorder, duplicate } = this.#faults;
    let at = network.arrival(caller.sid, to, channel.lastArrival, network.delay());
    if (network.isCrossing && (this.#backChannel(to, caller)?.lastReturn ?? 0) > at) this.crossed.behind += 1;
    if (engine.happens(reorder)) at += engine.between([1, REORDER_MS]);
    else channel.lastArrival = at;
    channel.underWay.set(origin.seq, at);
    engine.at(at, () => this.#arrive(call, true));
    if (engine.happens(duplicate)) {
      const again = at + engine.between([0, DUPLICATE_MS]);
      engine.at(again, () => this.#arrive(call, false));
    }
  }

  /** @param counts whether the caller waits for this delivery; false for a duplicate */
  #arrive(call: Call, counts: boolean): void {
    const { caller, to, channel, origin, messages } = call;
    const engine = this.#engine;
    if (counts) channel.underWay.delete(origin.seq);
    if (this.#network.isCut(caller.sid, to)) return; // silence: neither delivered nor refused
    const disturbed = counts && this.#hooks.onDelivery?.(caller.sid, to, messages, false) === true;
    const callee = this.#lifeOf(to);
    if (channel.dead && engine.chance() < LOST_BEHIND_BREAK) return;
    const fail = (): void => {
      channel.dead = true;
      engine.after(this.#network.delay(), () => caller.linkBroken(to, origin.generation));
    };
    const failed = disturbed || (counts && engine.happens(this.#faults.failCall));
    if (callee === null || failed) {
      if (counts) fail();
      return;
    }
    channel.callee ??= callee;
    if (counts) {
      callee.links.answering.add(fail);
      if (caller.alive) caller.links.held.add(callee);
    }
    const arrivedAt = engine.now;
    this.#inOrder(caller, callee, origin, () => this.#handle(call, callee, counts ? fail : null, arrivedAt));
  }

  /** Handles a call in its turn. @param fail reports a break to the caller; null if it does not wait */
  #handle(call: Call, callee: Life, fail: (() => void) | null, arrivedAt: number): void {
    const { caller, to, origin, messages, knownBoot } = call;
    this.#engine.mix(((this.#engine.now & 0xffff) << 8) ^ (caller.sid << 4) ^ to);
    const { zab } = callee.server;
    const { inGeneration, inSeq } = must(zab.links.get(caller.sid), "a peer has a link");
    const age = origin.boot - zab.incarnationOf(caller.sid) || origin.generation - inGeneration;
    const taken = age > 0 || (age === 0 && origin.seq >= inSeq);
    if (this.#ordered && age === 0) this.#checkOrder(call, callee, inSeq, arrivedAt);
    // An incarnation that started after the call was sent may have an earlier version: it refuses what it cannot read.
    if (knownBoot === zab.boot) for (const message of messages) assertReadable(message, zab.version);
    for (const message of messages) this.#seen(caller, callee, message, false, taken);
    const replies = callee.step({ type: "call", origin, messages });
    if (!callee.alive) return;
    if (callee.refused) {
      callee.refused = false;
      if (fail === null) return;
      callee.links.answering.delete(fail);
      fail();
      return;
    }
    this.#handled(caller, callee, messages);
    if (fail === null) return;
    callee.gate.let(() => {
      callee.links.answering.delete(fail);
      for (const reply of replies) this.#invariants.leaving(callee, caller.sid, reply);
      this.#return(call, callee, replies);
    });
  }

  /** The channel on which one member calls another now fails, if both are up. */
  break(from: number, to: number): void {
    const caller = this.#lifeOf(asSid(from));
    const link = caller?.server.zab.links.get(asSid(to));
    if (caller === null || link === undefined) return;
    const channel = caller.links.find(asSid(to), link.generation);
    if (channel === undefined || channel.dead) return;
    channel.dead = true;
    const { generation } = link;
    this.#engine.after(this.#network.delay(), () => caller.linkBroken(asSid(to), generation));
  }

  // ── its order ────────────────────────────────────────────────────────────

  /** Runs `handle` when it is the turn of the call. */
  #inOrder(caller: Life, callee: Life, { boot, generation, seq }: CallOrigin, handle: () => void): void {
    callee.whenRunning(() => {
      if (!this.#ordered) {
        handle();
        return;
      }
      const order = this.#orderOf(caller, callee);
      const take = (): void => {
        handle();
        order.done(boot, generation, seq);
      };
      if (order.isTurn(boot, generation, seq)) take();
      else order.wait(seq, () => this.#engine.after(0, () => callee.whenRunning(take)));
    });
  }

  #orderOf(caller: Life, callee: Life): CallOrder {
    const { orders } = callee.links;
    let order = orders.get(caller.sid);
    if (order === undefined) {
      order = new CallOrder(CALL_WAIT_MS, (ms, run) => this.#cancellable(callee, ms, run));
      orders.set(caller.sid, order);
    }
    return order;
  }

  /** Runs a function of a life later. @returns a function that cancels it */
  #cancellable(life: Life, ms: number, run: () => void): () => void {
    let isCancelled = false;
    this.#engine.after(ms, () => {
      if (!isCancelled) life.whenRunning(run);
    });
    return () => {
      isCancelled = true;
    };
  }

  /** Checks that no call is handled before an earlier one of its link that was to arrive within the maximum wait. */
  #checkOrder({ caller, channel, origin }: Call, callee: Life, next: number, arrivedAt: number): void {
    // Waiting calls are released when a call of a later link has arrived.
    if (this.#backChannel(caller.sid, callee) !== channel) return;
    let isEarly = false;
    for (let missing = next; missing < origin.seq; missing++) {
      const at = channel.underWay.get(missing);
      if (at !== undefined && at - arrivedAt < CALL_WAIT_MS) isEarly = true;
    }
    this.#invariants.must(
      "CallOrder",
      !isEarly,
      () => `call ${origin.seq} of ${caller.sid} is handled by ${callee.sid} before call ${next}`,
    );
  }

  /** The channel on which `caller` calls this life now; undefined: it has not called yet, or is down. */
  #backChannel(caller: Sid, { sid }: Life): Channel | undefined {
    const life = this.#lifeOf(caller);
    const link = life?.server.zab.links.get(sid);
    return link === undefined ? undefined : life?.links.find(sid, link.generation);
  }

  // ── its return ───────────────────────────────────────────────────────────

  #return({ caller, channel, origin }: Call, callee: Life, messages: readonly PeerMessage[]): void {
    const engine = this.#engine;
    const network = this.#network;
    const { boot, version } = callee.server.zab;
    const { generation } = origin;
    const lost = engine.happens(this.#faults.loseReturn);
    const at = network.arrival(callee.sid, caller.sid, channel.lastReturn, network.returnDelay());
    channel.lastReturn = at;
    if (network.isCrossing && (this.#backChannel(callee.sid, caller)?.lastArrival ?? 0) > at)
      this.crossed.ahead += 1;
    engine.at(at, () => {
      if (network.isCut(callee.sid, caller.sid)) return;
      const disturbed = this.#hooks.onDelivery?.(callee.sid, caller.sid, messages, true) === true;
      // Messages in flight when the peer ended may or may not arrive.
      if (lost || disturbed || (!callee.alive && engine.chance() < LOST_BEHIND_BREAK)) {
        channel.dead = true;
        caller.linkBroken(callee.sid, generation);
        return;
      }
      caller.whenRunning(() => {
        const { zab } = caller.server;
        const link = must(zab.links.get(callee.sid), "a peer has a link");
        const taken = link.generation === generation && boot >= zab.incarnationOf(callee.sid);
        for (const message of messages) {
          assertReadable(message, zab.version);
          this.#seen(callee, caller, message, true, taken);
        }
        caller.step({ type: "returned", peer: callee.sid, generation, boot, version, messages });
        if (caller.alive) this.#handled(callee, caller, messages);
      });
    });
  }

  // ── who sees it ──────────────────────────────────────────────────────────

  /** Reports a message to the observers. @param taken whether the rules of the link pass it to the core */
  #seen(from: Life, to: Life, message: PeerMessage, isReturn: boolean, taken: boolean): void {
    const { type } = message;
    this.#engine.mix(type.charCodeAt(0) * 31 + type.charCodeAt(type.length - 1));
    if (taken) this.#invariants.arriving(from, to, message, isReturn);
    this.#hooks.onMessage?.(from.sid, to.sid, message, isReturn);
  }

  #handled(from: Life, to: Life, messages: readonly PeerMessage[]): void {
    if (!to.server.zab.accepted) return;
    for (const message of messages) this.#invariants.handled(from, to, message);
  }
}

/** The first version that reads each format, by format. */
const SNAPCHUNK_VERSIONS = [0, 1, 2];
const RECORD_VERSIONS = [1, 2];

/** Checks that a message has a format that the receiver's version reads. */
function assertReadable(message: PeerMessage, version: number): void {
  if (message.type === "SNAPCHUNK") {
    const format = message.bytes[0] ?? 0;
    assert(
      version >= (SNAPCHUNK_VERSIONS[format] ?? Infinity),
      `version ${version} gets a chunk of ${format}`,
    );
  }
  if (message.type !== "PROPOSAL") return;
  for (const cursor = new TxnCursor(message.batch); cursor.next(); ) {
    const format = message.batch[cursor.start] ?? 0;
    assert(version >= (RECORD_VERSIONS[format] ?? Infinity), `version ${version} gets a record of ${format}`);
  }
}
