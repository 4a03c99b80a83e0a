/**
 * How a call of a peer travels. The first on a link opens a channel, an object of the callee, and all others go through
 * that: the runtime makes a session of its own of every call on a stub, which costs it as much again as the call. For the
 * same reason what is said is JSON with the bytes beside it: a structured clone of the objects costs twice as much.
 */
import type { Envelope, LinkReturn, PeerStub, Refused, Released } from "./peer-link.ts";

/** A value as JSON; each array of bytes in it is `{"$": n}`, the n-th of those that follow, if any do. */
export type Packed = string | readonly [text: string, ...bytes: Uint8Array[]];

interface Reference {
  readonly $: number;
}

/** @param value plain: what is not JSON, but for `Uint8Array`, does not arrive */
export function pack(value: unknown): Packed {
  const parts: Uint8Array[] = [];
  const text = JSON.stringify(value, (_, each: unknown) => {
    if (!(each instanceof Uint8Array)) return each;
    // Of a view the whole buffer would travel.
    parts.push(each.length === each.buffer.byteLength ? each : each.slice());
    return { $: parts.length - 1 } satisfies Reference;
  });
  return parts.length === 0 ? text : [text, ...parts];
}

/** Reads {@link pack}. */
export function unpack<T>(packed: Packed): T {
  if (typeof packed === "string") return JSON.parse(packed) as T;
  const [text, ...parts] = packed;
  return JSON.parse(text, (_, each: unknown) => {
    if (typeof each !== "object" || each === null || !("$" in each)) return each;
    return parts[(each as Reference).$];
  }) as T;
}

/** The callee's end of a channel. */
export interface Channel {
  deliver(envelope: Packed): Promise<Packed>;
}

/** What a peer offers. */
export interface ChannelHost {
  channel(): Promise<Channel>;
  park(from: number): Promise<Released | undefined>;
}

/** A channel of the runtime; its promise takes calls too. */
type OpenChannel = Channel & Partial<Disposable>;
type Opening = OpenChannel & PromiseLike<OpenChannel>;

/** For the platform a channel is one request, and the CPU time of a request is limited: so channels are replaced at times. */
const CALLS_MAX = 4_096;

/** A peer behind channels. */
export class ChannelStub<Message> implements PeerStub<Message> {
  readonly #host: ChannelHost;
  #channel: OpenChannel | undefined;
  #calls = 0;
  #isClosed = false;

  constructor(host: ChannelHost) {
    this.#host = host;
  }

  async deliver(envelope: Envelope<Message>): Promise<LinkReturn<Message> | Refused> {
    if (this.#calls >= CALLS_MAX) this.#letGo();
    this.#calls += 1;
    this.#channel ??= this.#open();
    try {
      return unpack(await this.#channel.deliver(pack(envelope)));
    } finally {
      // A fault may delay a call until its link has ended: the channel that it opened would never be released.
      if (this.#isClosed) this.#letGo();
    }
  }

  #open(): OpenChannel {
    const opening = this.#host.channel() as unknown as Opening;
    opening.then(
      (channel) => {
        if (this.#channel === opening) this.#channel = channel;
        else channel[Symbol.dispose]?.();
      },
      // The calls that went through it say so.
      () => undefined,
    );
    return opening;
  }

  park(from: number): Promise<Released | undefined> {
    return this.#host.park(from);
  }

  /** Lets the callee go; a call that comes after this opens a channel for itself. */
  close(): void {
    this.#isClosed = true;
    this.#letGo();
  }

  #letGo(): void {
    this.#channel?.[Symbol.dispose]?.();
    this.#channel = undefined;
    this.#calls = 0;
  }
}
