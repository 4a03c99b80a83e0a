/** What one life of a member knows of its calls: the shell's side of a link. */
import type { Sid } from "../../core/zab/membership.ts";
import type { CallOrder } from "../../durable-objects/shared/call-order.ts";

/** One of a member's outgoing links in one life: calls on it arrive in order until it breaks. */
export interface Channel {
  seq: number;
  /** a call on it has failed */
  dead: boolean;
  /** when the last call, and the last return, that left on it arrives; ms */
  lastArrival: number;
  lastReturn: number;
  /** *map number of a call that is on its way → when it arrives* */
  readonly underWay: Map<number, number>;
}

/** Invariant: a generation of a link to a peer has one channel. */
export class Links {
  readonly #channels = new Map<number, Channel>();
  /** *map peer → the order of its calls*: the shell's own */
  readonly orders = new Map<Sid, CallOrder>();
  /** calls that are being answered: each is called when the life ends before, and breaks the caller's link */
  readonly answering = new Set<() => void>();

  /** The channel to a peer in this generation; undefined: nothing has left on it. */
  find(to: Sid, generation: number): Channel | undefined {
    return this.#channels.get(generation * 16 + to);
  }

  /** The channel to a peer in this generation. */
  open(to: Sid, generation: number): Channel {
    let channel = this.find(to, generation);
    if (channel === undefined) {
      channel = { seq: 0, dead: false, lastArrival: 0, lastReturn: 0, underWay: new Map() };
      this.#channels.set(generation * 16 + to, channel);
    }
    return channel;
  }
}
