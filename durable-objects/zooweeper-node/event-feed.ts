/**
 * The protocol events of one node: a ring of the last ones, numbered, so that a listener that reconnects with the last id
 * it saw misses no event that is still recorded. Events of writes and pings are recorded only while there is a listener,
 * and for some time afterwards. Rare events are always recorded, so that a page that is opened later can show the last
 * election.
 */

import type { ServerConfig } from "../../core/server/config.ts";
import { isRare, type TraceEvent, type Tracing } from "../../core/zab/effects.ts";
import { zxidToText } from "../../core/zab/zxid.ts";
import type { FaultEvent, FaultView } from "../shared/faults.ts";

/** One event as JSON text. */
interface Recorded {
  readonly seq: number;
  readonly json: string;
}

/** Limits of the recorded events. */
type Limits = Pick<ServerConfig, "eventsMax" | "rareEventsMax" | "eventsLingerMs">;

/**
 * The events of one incarnation, and their listeners.
 * Invariant: ids rise by one with each event; a listener receives events without a gap, or a message about the gap.
 * @source `Last-Event-ID` of server-sent events (HTML standard)
 */
export class EventFeed {
  readonly #sid: number;
  readonly #boot: number;
  readonly #limits: Limits;
  readonly #faults: () => readonly FaultView[];
  readonly #send: (socket: WebSocket, text: string) => void;
  readonly listeners = new Set<WebSocket>();
  #rare: string[] = [];
  #ring: Recorded[] = [];
  #seq = 0;
  #idleSince: number | null = null;
  /** the first id since which all events were recorded */
  #from = 1;

  /** @param faults returns the active faults */
  constructor(
    sid: number,
    boot: number,
    limits: Limits,
    faults: () => readonly FaultView[],
    send: (socket: WebSocket, text: string) => void,
  ) {
    this.#sid = sid;
    this.#boot = boot;
    this.#limits = limits;
    this.#faults = faults;
    this.#send = send;
  }

  /** Which events must be recorded now. */
  tracing(now: number): Tracing {
    return this.active(now) || "rare";
  }

  /** Id of the last event: the node's current state is after that event, and before the next one. */
  get lastId(): string {
    return `${this.#boot}-${this.#seq}`;
  }

  /** Whether all events must be recorded now. */
  active(now: number): boolean {
    if (this.listeners.size > 0) return true;
    if (this.#idleSince === null) return false;
    if (now - this.#idleSince < this.#limits.eventsLingerMs) return true;
    this.#idleSince = null;
    this.#ring = [];
    this.#seq += 1; // later events do not follow the recorded ones
    this.#from = this.#seq + 1;
    return false;
  }

  /**
   * @param after the last id that the listener saw; null for events from now on
   * @param replay whether a listener that saw none, or missed some, first gets the rare events that are still recorded, as
   * `history`
   */
  listen(socket: WebSocket, after: string | null, now: number, replay = false): void {
    this.active(now);
    this.listeners.add(socket);
    this.#idleSince = null;
    const sendHistory = (): void => {
      if (replay) this.#send(socket, `{"type":"history","events":[${this.#rare.join(",")}]}`);
    };
    if (after === null) {
      sendHistory();
      if (this.#faults().length > 0) this.#sendFaults(socket, now);
      return;
    }
    const [boot, seq] = after.split("-").map(Number);
    const known = boot === this.#boot && seq !== undefined && seq >= this.#from - 1 && seq <= this.#seq;
    const first = this.#ring[0]?.seq ?? this.#seq + 1;
    if (!known || seq === undefined || seq + 1 < first) {
      sendHistory();
      this.#send(socket, JSON.stringify({ type: "gap", sid: this.#sid, after, id: this.lastId }));
      // faults may have begun or ended in the gap
      this.#sendFaults(socket, now);
      return;
    }
    for (const event of this.#ring) if (event.seq > seq) this.#send(socket, event.json);
  }

  /** Sends the faults that are active as of the last event. */
  #sendFaults(socket: WebSocket, now: number): void {
    const event: FaultEvent = { type: "fault", faults: this.#faults() };
    this.#send(socket, JSON.stringify({ id: this.lastId, at: now, sid: this.#sid, ...event }));
  }

  /** Removes a closed socket. */
  unlisten(socket: WebSocket, now: number): void {
    if (this.listeners.delete(socket) && this.listeners.size === 0) this.#idleSince = now;
  }

  /** Adds an event, and sends it to all listeners. @param at ms since 1970 */
  record(at: number, event: TraceEvent | FaultEvent): void {
    const wanted = this.active(at);
    const { eventsMax, rareEventsMax } = this.#limits;
    this.#seq += 1;
    const json = JSON.stringify({ id: this.lastId, at, sid: this.#sid, ...plain(event) });
    if (event.type === "fault" || isRare(event)) {
      this.#rare.push(json);
      if (this.#rare.length > rareEventsMax * 1.1) this.#rare = this.#rare.slice(-rareEventsMax);
    }
    if (!wanted) {
      // Other events were not recorded, so no reader can resume before this point.
      this.#from = this.#seq + 1;
      return;
    }
    this.#ring.push({ seq: this.#seq, json });
    if (this.#ring.length > eventsMax * 1.1) this.#ring = this.#ring.slice(-eventsMax);
    for (const listener of this.listeners) this.#send(listener, json);
  }
}

/** Converts zxids to text. */
function plain(event: TraceEvent | FaultEvent): Record<string, unknown> {
  return "zxid" in event ? { ...event, zxid: zxidToText(event.zxid) } : { ...event };
}
