/**
 * The last protocol events of all nodes, oldest first, at most `capacity`.
 * Invariant: per node the (boot, seq) of its events only grows, so an event that a reconnect repeats
 * is left out.
 */
import type { ProtocolEvent } from "../../api/types.ts";

/** An event with a number of the page, in order of arrival. */
export interface SeenEvent {
  readonly number: number;
  readonly event: ProtocolEvent;
}

interface EventPosition {
  readonly boot: number;
  readonly seq: number;
}

/** A ring buffer of events. @see the invariant above */
export class EventRing {
  readonly capacity: number;
  #items: SeenEvent[] = [];
  #start = 0;
  #number = 0;
  readonly #last = new Map<number, EventPosition>();
  readonly #counts = new Map<string, number>();

  constructor(capacity = 5_000) {
    this.capacity = capacity;
  }

  /** Number of events kept. */
  get size(): number {
    return this.#items.length;
  }

  /** Number of events that were ever added: changes with the content. */
  get version(): number {
    return this.#number;
  }

  /** Adds an event; returns false, and changes nothing, if it was added before. */
  push(event: ProtocolEvent): boolean {
    const position = parseEventId(event.id);
    const last = this.#last.get(event.sid);
    // after a gap a node may continue at a lower number: it lost its storage
    if (event.type !== "gap" && position && last && !isAfter(position, last)) return false;
    if (position) this.#last.set(event.sid, position);
    this.#number += 1;
    const item = { number: this.#number, event };
    if (this.#items.length < this.capacity) this.#items.push(item);
    else {
      this.#items[this.#start] = item;
      this.#start = (this.#start + 1) % this.capacity;
    }
    this.#counts.set(event.type, (this.#counts.get(event.type) ?? 0) + 1);
    return true;
  }

  /** Number of events of one type that were ever added. */
  count(type: string): number {
    return this.#counts.get(type) ?? 0;
  }

  /** Events in the buffer that pass `keep`, oldest first. */
  list(keep: (event: ProtocolEvent) => boolean = () => true): SeenEvent[] {
    const out: SeenEvent[] = [];
    for (let i = 0; i < this.#items.length; i++) {
      const item = this.#items[(this.#start + i) % this.#items.length];
      if (item && keep(item.event)) out.push(item);
    }
    return out;
  }
}

/** Parses `boot-seq`; undefined for other text, such as the id of a note of the page. */
export function parseEventId(id: string): EventPosition | undefined {
  const match = /^(\d+)-(\d+)$/.exec(id);
  return match ? { boot: Number(match[1]), seq: Number(match[2]) } : undefined;
}

function isAfter(a: EventPosition, b: EventPosition): boolean {
  return a.boot > b.boot || (a.boot === b.boot && a.seq > b.seq);
}
