/**
 * The streams of all tabs over one connection. Each stream of a tab begins as a channel of its own, at the position of the
 * tab. Once it has read everything that another channel of the same kind has read, the two are merged. So the hub stores no
 * positions, and tabs that show the same data read them once. When the connection is lost, every stream has a channel of
 * its own again.
 *
 * The hub lives in a shared worker (`live-worker.ts`); `shared-streams.ts` is the tab's end of a port.
 */
import { parseEventId } from "../features/log/event-ring.ts";
import type { LiveStreams, StreamEnd, StreamEvent, StreamState } from "./live-socket.ts";

/** A message of a tab to the hub. The tab numbers its streams. */
export type TabMessage =
  | { readonly type: "open" | "close"; readonly id: number }
  | {
      readonly type: "subscription";
      readonly id: number;
      readonly subscription: Readonly<Record<string, unknown>>;
    }
  | { readonly type: "refused"; readonly id: number; readonly reason: string }
  /** The tab exists, and has read so many messages since its last beat. */
  | { readonly type: "beat"; readonly read: number }
  | { readonly type: "bye" };

/** A message of the hub to a tab. */
export type HubMessage =
  /** Requests the current subscription of a stream. */
  | { readonly type: "ask"; readonly id: number }
  | { readonly type: "event"; readonly id: number; readonly event: StreamEvent }
  | { readonly type: "end"; readonly id: number; readonly end: StreamEnd }
  | { readonly type: "state"; readonly id: number; readonly state: StreamState }
  /** The hub had dropped the tab: it has to open its streams again. */
  | { readonly type: "lost" }
  | { readonly type: "beat" };

/** One end of a `MessageChannel`. */
export interface Port<Sent, Received> {
  postMessage(message: Sent): void;
  onmessage: ((message: { readonly data: Received }) => void) | null;
  close(): void;
}

/** Age at which a channel may be merged with another, ms: by then the events of its beginning have arrived. */
const SETTLED_MS = 1_500;
/** Silence after which a tab is dropped, ms; browsers let hidden tabs run once a minute. */
const SILENT_MS_MAX = 200_000;
const CHECK_MS = 10_000;
/** Messages that a tab may leave unread, for example while the browser has frozen it. */
const UNREAD_MAX = 5_000;

interface Tab {
  readonly port: Port<HubMessage, TabMessage>;
  /** *map stream → outstanding request for its subscription* */
  readonly asked: Map<number, PromiseWithResolvers<Readonly<Record<string, unknown>>>>;
  heardMs: number;
  unread: number;
  isLost: boolean;
}

/** A stream of a tab. */
interface Listener {
  readonly tab: Tab;
  readonly id: number;
}

interface Channel {
  listeners: Listener[];
  /** What the channel reads: channels with the same key can be merged. */
  key: string;
  /** Position up to which it has been read. */
  position: string;
  /** When it became live; null while it is not. */
  liveMs: number | null;
  stop: () => void;
}

/**
 * Shares one connection among tabs. Invariant: a channel of the connection has at least one listener, and listeners
 * of one channel have read up to the same position.
 */
export class StreamHub {
  readonly #streams: LiveStreams;
  readonly #tabs = new Set<Tab>();
  readonly #channels = new Set<Channel>();

  /** @param streams the connection */
  constructor(streams: LiveStreams) {
    this.#streams = streams;
    setInterval(() => this.#check(), CHECK_MS);
  }

  /** Adds a tab. */
  connect(port: Port<HubMessage, TabMessage>): void {
    const tab: Tab = { port, asked: new Map(), heardMs: Date.now(), unread: 0, isLost: false };
    this.#tabs.add(tab);
    port.onmessage = ({ data }) => this.#hear(tab, data);
  }

  #hear(tab: Tab, message: TabMessage): void {
    tab.heardMs = Date.now();
    if (message.type === "bye") {
      this.#lose(tab);
      return;
    }
    if (tab.isLost) {
      // it was frozen, or its page was left and is shown again
      tab.isLost = false;
      tab.unread = 0;
      this.#tabs.add(tab);
      this.#post(tab, { type: "lost" });
      return;
    }
    switch (message.type) {
      case "open":
        this.#open({ tab, id: message.id });
        break;
      case "close":
        this.#close((listener) => listener.tab === tab && listener.id === message.id);
        break;
      case "subscription":
        tab.asked.get(message.id)?.resolve(message.subscription);
        break;
      case "refused":
        tab.asked.get(message.id)?.reject(new Error(message.reason));
        break;
      case "beat":
        tab.unread = Math.max(0, tab.unread - message.read);
        this.#post(tab, { type: "beat" });
    }
  }

  #post(tab: Tab, message: HubMessage): void {
    if (tab.isLost) return;
    tab.unread += 1;
    if (tab.unread > UNREAD_MAX) this.#lose(tab);
    else tab.port.postMessage(message);
  }

  #lose(tab: Tab): void {
    tab.isLost = true;
    this.#tabs.delete(tab);
    this.#close((listener) => listener.tab === tab);
  }

  #check(): void {
    for (const tab of this.#tabs) if (Date.now() - tab.heardMs > SILENT_MS_MAX) this.#lose(tab);
  }

  #close(which: (listener: Listener) => boolean): void {
    for (const channel of this.#channels) {
      channel.listeners = channel.listeners.filter((listener) => !which(listener));
      if (channel.listeners.length === 0) this.#end(channel);
    }
  }

  #end(channel: Channel): void {
    this.#channels.delete(channel);
    channel.stop();
  }

  #open(listener: Listener): void {
    const channel: Channel = { listeners: [listener], key: "", position: "", liveMs: null, stop: () => {} };
    this.#channels.add(channel);
    const tell = (message: (id: number) => HubMessage): void => {
      for (const { tab, id } of channel.listeners) this.#post(tab, message(id));
    };
    channel.stop = this.#streams.stream({
      subscription: async () => {
        // the connection may be iterating over its streams
        await null;
        const [first, ...others] = channel.listeners;
        if (first === undefined) throw new Error("the channel has no listener");
        channel.listeners = [first];
        for (const other of others) this.#open(other);
        const subscription = await this.#ask(first);
        channel.key = keyOf(subscription);
        channel.position = String(subscription.since ?? subscription.offset ?? "");
        return subscription;
      },
      onEvent: (event) => {
        if (event.id !== "") channel.position = event.id;
        tell((id) => ({ type: "event", id, event }));
        this.#join(channel);
      },
      onEnd: (end) => tell((id) => ({ type: "end", id, end })),
      onState: (state) => {
        channel.liveMs = state.type === "live" ? Date.now() : null;
        tell((id) => ({ type: "state", id, state }));
        // without events nothing else triggers the merge
        if (channel.liveMs !== null) setTimeout(() => this.#join(channel), SETTLED_MS);
      },
    });
  }

  #ask({ tab, id }: Listener): Promise<Readonly<Record<string, unknown>>> {
    const question = Promise.withResolvers<Readonly<Record<string, unknown>>>();
    tab.asked.get(id)?.reject(new Error("another request has replaced it"));
    tab.asked.set(id, question);
    this.#post(tab, { type: "ask", id });
    return question.promise;
  }

  /** Merges a channel into one that is not ahead of it: its listeners recognise the events that they get twice. */
  #join(channel: Channel): void {
    if (!this.#channels.has(channel) || !isSettled(channel)) return;
    for (const other of this.#channels) {
      if (other === channel || other.key !== channel.key || !isSettled(other)) continue;
      if (!covers(channel.position, other.position)) continue;
      other.listeners.push(...channel.listeners);
      channel.listeners = [];
      this.#end(channel);
      return;
    }
  }
}

const isSettled = ({ liveMs }: Channel): boolean => liveMs !== null && Date.now() - liveMs >= SETTLED_MS;

const keyOf = ({ subscribe, topic, partition }: Readonly<Record<string, unknown>>): string =>
  JSON.stringify([subscribe, topic, partition]);

/**
 * Whether position `a` includes everything up to position `b`. Positions are ids of `/v1/events` (one position per node)
 * or of records (the next offset, and the topic).
 */
export function covers(a: string, b: string): boolean {
  if (a === b) return true;
  const [from, to] = [recordsAt(a), recordsAt(b)];
  if (from !== undefined && to !== undefined) {
    const sameTopic = from.topic === to.topic || from.topic === "" || to.topic === "";
    return sameTopic && from.offset >= to.offset;
  }
  const read = eventsAt(a);
  return b !== "" && [...eventsAt(b)].every(([sid, last]) => isBehind(read.get(sid), last));
}

function recordsAt(position: string): { readonly offset: number; readonly topic: string } | undefined {
  const [, offset, topic = ""] = /^(\d+)(?::([\w-]+))?$/.exec(position) ?? [];
  // an id of events of one node looks the same, except for the dash between two numbers
  if (offset === undefined || /^\d+-\d+$/.test(topic)) return undefined;
  return { offset: Number(offset), topic };
}

type Place = ReturnType<typeof parseEventId>;

const eventsAt = (position: string): ReadonlyMap<string, Place> =>
  new Map(
    position.split(",").map((part): [string, Place] => {
      const [sid = "", id = ""] = part.split(":");
      return [sid, parseEventId(id)];
    }),
  );

const isBehind = (read: Place, last: Place): boolean =>
  read !== undefined &&
  last !== undefined &&
  (read.boot > last.boot || (read.boot === last.boot && read.seq >= last.seq));
