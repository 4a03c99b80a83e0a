/**
 * The protocol events of one node, for people who watch: a ring of the last 10,000, numbered, so that a listener that
 * comes back with the last id it saw misses nothing that is still there. Nothing is recorded without a listener, but for
 * a while after the last one left, so that it may come back.
 */

import type { TraceEvent } from "../../core/zab/effects.ts";
import { zxidToText } from "../../core/zab/zxid.ts";
import { trySend } from "../shared/sockets.ts";

const EVENTS_MAX = 10_000;
/** how long recording goes on without a listener */
const LINGER_MS = 30_000;

/** One event as JSON text. */
interface Recorded {
  readonly seq: number;
  readonly json: string;
}

export class EventFeed {
  readonly #sid: number;
  readonly #boot: number;
  readonly listeners = new Set<WebSocket>();
  #ring: Recorded[] = [];
  #seq = 0;
  #idleSince: number | null = null;
  /** the first number that was recorded without a pause up to now */
  #from = 1;

  constructor(sid: number, boot: number) {
    this.#sid = sid;
    this.#boot = boot;
  }

  /** Id of the last event: what this node says now is newer than that event, and older than the next one. */
  get lastId(): string {
    return `${this.#boot}-${this.#seq}`;
  }

  /** Whether events are wanted now. */
  active(now: number): boolean {
    if (this.listeners.size > 0) return true;
    if (this.#idleSince === null) return false;
    if (now - this.#idleSince < LINGER_MS) return true;
    this.#idleSince = null;
    this.#ring = [];
    this.#seq += 1; // what comes later does not follow what was recorded
    this.#from = this.#seq + 1;
    return false;
  }

  /** @param after the last id that the listener saw, or null for events from now on */
  listen(socket: WebSocket, after: string | null, now: number): void {
    this.active(now);
    this.listeners.add(socket);
    this.#idleSince = null;
    if (after === null) return;
    const [boot, seq] = after.split("-").map(Number);
    const known = boot === this.#boot && seq !== undefined && seq >= this.#from - 1 && seq <= this.#seq;
    const first = this.#ring[0]?.seq ?? this.#seq + 1;
    if (!known || seq === undefined || seq + 1 < first) {
      trySend(
        socket,
        JSON.stringify({ type: "gap", sid: this.#sid, after, id: `${this.#boot}-${this.#seq}` }),
      );
      return;
    }
    for (const event of this.#ring) if (event.seq > seq) trySend(socket, event.json);
  }

  unlisten(socket: WebSocket, now: number): void {
    if (this.listeners.delete(socket) && this.listeners.size === 0) this.#idleSince = now;
  }

  record(at: number, event: TraceEvent): void {
    this.#seq += 1;
    const json = JSON.stringify({ id: `${this.#boot}-${this.#seq}`, at, sid: this.#sid, ...plain(event) });
    this.#ring.push({ seq: this.#seq, json });
    if (this.#ring.length > EVENTS_MAX * 1.1) this.#ring = this.#ring.slice(-EVENTS_MAX);
    for (const listener of this.listeners) trySend(listener, json);
  }
}

/** zxids as text. */
function plain(event: TraceEvent): Record<string, unknown> {
  return "zxid" in event ? { ...event, zxid: zxidToText(event.zxid) } : { ...event };
}
