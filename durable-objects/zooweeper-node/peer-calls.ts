/** Calls of peers to this node. */
import { RpcTarget } from "cloudflare:workers";
import type { PeerMessage } from "../../core/server/messages.ts";
import { PROTOCOL_VERSION } from "../../core/version.ts";
import { asSid } from "../../core/zab/membership.ts";
import { CallOrder } from "../shared/call-order.ts";
import type { DeadlineAlarm } from "../shared/deadline-alarm.ts";
import type { FaultGate } from "../shared/fault-gate.ts";
import { type Channel, type Packed, pack, unpack } from "../shared/peer-channel.ts";
import { type Envelope, type LinkReturn, REFUSED, type Refused } from "../shared/peer-link.ts";
import type { RootEvents } from "../shared/root-events.ts";
import { CALL_WAIT_MS } from "./config.ts";
import type { Lifecycle } from "./lifecycle.ts";

/** Return of a parked call that the callee ends because it falls asleep. */
const RELEASED = "RELEASED";
/** Type of {@link RELEASED}. */
export type Released = typeof RELEASED;

/** This node's end of a peer's channel. Invariant: it serves one peer, until that peer releases it. */
export class PeerChannel extends RpcTarget implements Channel, Disposable {
  readonly #deliver: (envelope: Packed) => Promise<Packed>;
  readonly #released: () => void;

  /**
   * @param deliver handles one call
   * @param released the peer has released the channel, or has crashed
   */
  constructor(deliver: (envelope: Packed) => Promise<Packed>, released: () => void) {
    super();
    this.#deliver = deliver;
    this.#released = released;
  }

  /** Handles one call: messages of the peer, and the messages that answer them. */
  deliver(envelope: Packed): Promise<Packed> {
    return this.#deliver(envelope);
  }

  [Symbol.dispose](): void {
    this.#released();
  }
}

/**
 * Calls of peers that are open at this node: the channels that peers hold, and calls that wait for their predecessor.
 * Invariant: the calls of one link reach the core in order, or the core detects the gap; a peer that held a channel and holds
 * none is probed, unless this node is frozen.
 * @source decisions 0004 and 0021
 */
export class PeerCalls {
  readonly #lifecycle: Lifecycle;
  readonly #alarm: DeadlineAlarm;
  readonly #faults: FaultGate;
  readonly #roots: RootEvents;
  /** *map sid → order of the calls of that peer's link* */
  readonly #orders = new Map<number, CallOrder>();
  /** *map sid → channels that the peer has used and still holds* */
  readonly #held = new Map<number, number>();
  /** *map sid → ends the peer's parked call* */
  readonly #parked = new Map<number, (word: Released | undefined) => void>();
  /** whether the core has refused the call being handled */
  #isRefused = false;

  constructor(lifecycle: Lifecycle, alarm: DeadlineAlarm, faults: FaultGate, roots: RootEvents) {
    this.#lifecycle = lifecycle;
    this.#alarm = alarm;
    this.#faults = faults;
    this.#roots = roots;
  }

  /** Opens a channel for the calls of a peer. @param depth depth of the calling event */
  channel(depth: number | undefined): PeerChannel {
    const end = this.#roots.called(depth);
    let caller: number | undefined;
    const deliver = async (packed: Packed): Promise<Packed> => {
      const envelope = unpack<Envelope<PeerMessage>>(packed);
      if (caller === undefined) {
        caller = envelope.from;
        this.#held.set(caller, (this.#held.get(caller) ?? 0) + 1);
      }
      if (!this.#faults.active) return pack(await this.#deliver(envelope));
      return pack(
        await this.#faults.handle(envelope.from, () => this.#deliver(envelope)).catch(() => REFUSED),
      );
    };
    return new PeerChannel(deliver, () => {
      end();
      if (caller !== undefined) this.#released(caller);
    });
  }

  /** A peer has released a channel. If it holds no other, it may have crashed; a call shows whether it has. */
  #released(peer: number): void {
    const held = (this.#held.get(peer) ?? 0) - 1;
    this.#held.set(peer, held);
    if (held === 0) this.#probe(peer);
  }

  #probe(peer: number): void {
    if (this.#faults.holds(() => this.#probe(peer))) return;
    const { current } = this.#lifecycle;
    if (current !== undefined && !current.server.zab.frozen) current.links.get(asSid(peer))?.probe();
  }

  /** Handles a call. The output gate delays the answer until the writes that it depends on are durable. */
  async #deliver(envelope: Envelope<PeerMessage>): Promise<LinkReturn<PeerMessage> | Refused> {
    this.#alarm.check();
    if (this.#lifecycle.refusesPeers) return REFUSED;
    const incarnation = await this.#lifecycle.enter();
    if (incarnation === undefined) return REFUSED;
    const { v: version, from, boot, generation, seq, messages } = envelope;
    const order = this.#orderOf(from);
    if (!order.isTurn(boot, generation, seq)) await new Promise<void>((go) => order.wait(seq, go));
    if (this.#faults.paused) await this.#faults.running();
    const origin = { from: asSid(from), boot, generation, seq, version };
    const replies = this.#lifecycle.feed({ type: "call", origin, messages });
    order.done(boot, generation, seq);
    if (this.#isRefused) {
      this.#isRefused = false;
      return REFUSED;
    }
    return { v: PROTOCOL_VERSION, boot: incarnation.server.zab.boot, messages: replies };
  }

  #orderOf(peer: number): CallOrder {
    let order = this.#orders.get(peer);
    if (order === undefined) {
      order = new CallOrder(CALL_WAIT_MS);
      this.#orders.set(peer, order);
    }
    return order;
  }

  /** Refuses the call being handled, which the core does not understand: the caller's link ends. */
  refuse(): void {
    this.#isRefused = true;
  }

  /**
   * Stays open while this incarnation lives and is awake. Its failure shows peers of earlier versions a crash at once
   * (decision 0003); peers of this version do not call it.
   */
  park(from: number, depth: number | undefined): Promise<Released | undefined> {
    return this.#roots.answer(depth, () => {
      this.#alarm.check();
      return this.#lifecycle.refusesPeers ? undefined : this.#faults.handle(from, () => this.#keepOpen(from));
    });
  }

  async #keepOpen(from: number): Promise<Released | undefined> {
    const incarnation = await this.#lifecycle.enter();
    if (incarnation === undefined) return undefined;
    if (incarnation.server.asleepSince !== null) return RELEASED;
    // The call that this peer parked on an older link is no longer needed.
    this.#parked.get(from)?.(undefined);
    // The resolver is kept: the runtime ends a promise whose resolver is garbage ("Promise will never complete").
    return new Promise<Released | undefined>((resolve) => this.#parked.set(from, resolve));
  }

  /** Ends the parked calls, which would keep this object in memory during sleep. */
  release(): void {
    for (const resolve of this.#parked.values()) resolve(RELEASED);
    this.#parked.clear();
  }
}
