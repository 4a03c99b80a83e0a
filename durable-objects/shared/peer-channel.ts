/**
 * The transport of calls between peers. The first call on a link opens a channel, an object of the callee, and all others
 * use it: the runtime creates a session for every call on a stub, which doubles the cost of a call. Messages are JSON with
 * the bytes beside it, because a structured clone of the objects costs twice as much.
 */
import { must } from "../../core/assert.ts";
import { ALARM_DEPTH, CHANNEL_CALLS_MAX } from "./config.ts";
import type { Envelope, LinkReturn, PeerStub, Refused } from "./peer-link.ts";
import type { StubOpener } from "./root-events.ts";

/** A value as JSON; each array of bytes in it is `{"$": n}`, the n-th of the arrays that follow. */
export type Packed = string | readonly [text: string, ...bytes: Uint8Array[]];

interface Reference {
  readonly $: number;
}

/** @param value plain data: JSON values and `Uint8Array`; everything else is lost */
export function pack(value: unknown): Packed {
  const parts: Uint8Array[] = [];
  const text = JSON.stringify(value, (_, each: unknown) => {
    if (!(each instanceof Uint8Array)) return each;
    // A view would be sent with its whole buffer.
    parts.push(each.length === each.buffer.byteLength ? each : each.slice());
    return { $: parts.length - 1 } satisfies Reference;
  });
  return parts.length === 0 ? text : [text, ...parts];
}

/** Reads {@link pack}. */
export function unpack<T>(packed: Packed): T {
  if (typeof packed === "string") return JSON.parse(packed) as T;
  const [text, ...parts] = packed;
  return withBytes(JSON.parse(text), parts) as T;
}

/** Puts the bytes into a value that was just parsed, and is changed. (A reviver of `JSON.parse` takes four times as long.) */
function withBytes(value: unknown, parts: readonly Uint8Array[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("$" in value) return parts[(value as Reference).$];
  const object = value as Record<string, unknown>;
  for (const key of Object.keys(object)) {
    const each = object[key];
    if (typeof each === "object") object[key] = withBytes(each, parts);
  }
  return object;
}

/** The callee's end of a channel. */
export interface Channel {
  deliver(envelope: Packed): Promise<Packed>;
}

/** The methods of a peer by which a link is opened. */
export interface ChannelHost {
  /** @param depth depth of the calling event; see `RootEvents` */
  channel(depth: number): Promise<Channel>;
}

/** A channel of the runtime; its promise takes calls too. */
type OpenChannel = Channel & Partial<Disposable>;
type Opening = OpenChannel & PromiseLike<OpenChannel>;

/**
 * A peer behind channels.
 * Invariant: the first call on the stub is made where stubs may be opened, and all later ones have the depth of that event,
 * until an alarm replaces the stub by one of depth 0; calls are sent in the order in which they were made.
 * @source sessions of Cap'n Proto RPC; decision 0017
 */
export class ChannelStub<Message> implements PeerStub<Message> {
  readonly #connect: () => ChannelHost;
  readonly #opener: StubOpener;
  #host: ChannelHost | undefined;
  /** depth of the event in which the stub was first called */
  #depth = 0;
  /** set while it waits for a root event */
  #connecting: Promise<number> | undefined;
  #channel: OpenChannel | undefined;
  #calls = 0;
  #isClosed = false;

  /** @param connect opens a stub, which is called at once */
  constructor(connect: () => ChannelHost, opener: StubOpener) {
    this.#connect = connect;
    this.#opener = opener;
  }

  async deliver(envelope: Envelope<Message>): Promise<LinkReturn<Message> | Refused> {
    if (!this.#maybeConnect()) await this.#connectLater();
    if (this.#channel === undefined || this.#calls >= CHANNEL_CALLS_MAX) this.#open();
    this.#calls += 1;
    const channel = must(this.#channel, "a channel is open");
    try {
      return unpack(await channel.deliver(pack(envelope)));
    } finally {
      // A fault may delay a call until its link has ended: the channel that it opened would never be released.
      if (this.#isClosed) this.#letGo();
    }
  }

  /** Opens the stub now if that is possible. @returns whether it is open */
  #maybeConnect(): boolean {
    if (this.#host !== undefined) {
      if (this.#depth > ALARM_DEPTH && this.#opener.depth === ALARM_DEPTH) this.#replace();
      return true;
    }
    const { depth } = this.#opener;
    if (depth === undefined || this.#connecting !== undefined) return false;
    this.#depth = depth;
    this.#host = this.#connect();
    return true;
  }

  /** Replaces the stub, for this call and all later ones, by one of the alarm that is under way. */
  #replace(): void {
    this.#depth = ALARM_DEPTH;
    this.#host = this.#connect();
    this.#calls = CHANNEL_CALLS_MAX;
  }

  /** Waits for a root event and opens the stub in it; later calls wait behind this one. */
  async #connectLater(): Promise<void> {
    this.#connecting ??= this.#opener.next();
    this.#depth = await this.#connecting;
    this.#host ??= this.#connect();
  }

  /** Opens a channel, then releases the previous one: a peer that holds no channel looks as if it had crashed. */
  #open(): void {
    const host = must(this.#host, "a channel is opened on an open stub");
    const before = this.#channel;
    const opening = host.channel(this.#depth) as unknown as Opening;
    opening
      .then(
        (channel) => {
          if (this.#channel === opening) this.#channel = channel;
          else channel[Symbol.dispose]?.();
        },
        // The calls on the channel report the failure.
        () => undefined,
      )
      .then(() => before?.[Symbol.dispose]?.());
    this.#channel = opening;
    this.#calls = 0;
  }

  /** Releases the channel; a later call opens a new one. */
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
