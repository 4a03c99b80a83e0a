/** The calls of one life of a member: the shell's side of its links. */
import type { Sid } from "../../core/zab/membership.ts";
import type { CallOrder } from "../../durable-objects/shared/call-order.ts";

/** One generation of an outgoing link: calls on it arrive in order until it breaks. */
export interface Channel {
  seq: number;
  /** whether a call on it has failed */
  dead: boolean;
  /** the life that its first call has reached; undefined if none has arrived */
  callee: ChannelHost | undefined;
  /** when the last call sent on it, and the last return, arrives; ms */
  lastArrival: number;
  lastReturn: number;
  /** *map number of a call in flight → time of its arrival* */
  readonly underWay: Map<number, number>;
}

/** A life whose channel another life holds. */
export interface ChannelHost {
  readonly sid: Sid;
  readonly alive: boolean;
  /** Called when the peer no longer holds a channel of this life. */
  channelReleased(peer: Sid): void;
}

/** Invariant: a generation of a link to a peer has one channel. */
export class Links {
  readonly #channels = new Map<number, Channel>();
  /** *map peer → the order of its calls*: the shell's own */
  readonly orders = new Map<Sid, CallOrder>();
  /** functions that break the callers' links if the life ends before it has answered their calls */
  readonly answering = new Set<() => void>();
  /** lives that a call of this life has reached: it holds a channel of each until it releases it or ends */
  readonly held = new Set<ChannelHost>();

  /** The channel to a peer in this generation; undefined if nothing was sent on it. */
  find(to: Sid, generation: number): Channel | undefined {
    return this.#channels.get(generation * 16 + to);
  }

  /** The channel to a peer in this generation. */
  open(to: Sid, generation: number): Channel {
    let channel = this.find(to, generation);
    if (channel === undefined) {
      channel = {
        seq: 0,
        dead: false,
        callee: undefined,
        lastArrival: 0,
        lastReturn: 0,
        underWay: new Map(),
      };
      this.#channels.set(generation * 16 + to, channel);
    }
    return channel;
  }
}
