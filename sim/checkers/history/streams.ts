/**
 * Checks the events of watch streams. The committed order determines every state that a znode had, also within a multi;
 * each stream is compared with these states:
 *
 * - the state that a reader begins with, and each that it gets, existed: the one at the event's zxid;
 * - ids never go back, at any member;
 * - events follow from one another: only a znode that the reader knows is changed or deleted, and one is created that the
 *   reader does not know or that was deleted since; no event comes twice;
 * - once a member has sent all events up to a zxid, the reader knows the state at that zxid. Earlier states may be skipped.
 *
 * The simulator records the zxid for the last rule; at the end of a run it is the end of the history.
 */
import type { WatchEventType } from "../../../core/znode/types.ts";
import { type History, zxidText } from "../../history/history.ts";
import type { KnownState, StreamEntry, StreamRecord } from "../../history/stream-record.ts";
import { type Placed, replay } from "./replay.ts";

/** What the checker has checked. */
export interface StreamCounts {
  readonly streams: number;
  /** events of streams */
  readonly streamEvents: number;
  /** comparisons of what a reader knows with the state at a zxid */
  readonly streamStates: number;
}

/** A state that a znode had, from `since` on. */
interface State {
  readonly since: number;
  /** zxid of the last change that the stream shows; 0 if there is no znode */
  readonly changed: number;
  readonly gone: boolean;
}

const DELETED = 2;
const CREATED = 1;
const CHILDREN_CHANGED = 4;
const NAMES = ["", "NodeCreated", "NodeDeleted", "NodeDataChanged", "NodeChildrenChanged"];

/** Checks watch streams. Adds what it finds to `faults`. @returns the counts */
export function checkStreams(history: History, placed: Placed, faults: string[]): StreamCounts {
  const { streams } = history;
  if (placed.commits === null || streams.length === 0) {
    return { streams: streams.length, streamEvents: 0, streamStates: 0 };
  }
  const states = statesOf(placed, new Set(streams.map(({ path }) => path)));
  let streamEvents = 0;
  let streamStates = 0;
  for (const stream of streams) {
    const reader = new Reader(stream, states.get(stream.path) as PathStates, faults);
    for (const { event, zxid } of stream.entries) {
      if (event === null) reader.knowsAll(zxid);
      else reader.told(event, zxid);
    }
    const current = stream.entries.filter(({ event }) => event === null).length;
    streamStates += current;
    streamEvents += stream.entries.length - current;
  }
  return { streams: streams.length, streamEvents, streamStates };
}

/** The states of one znode, in order: as streams of its data see it, and as those of its children do. */
interface PathStates {
  readonly data: State[];
  readonly children: State[];
}

function statesOf(placed: Placed, paths: ReadonlySet<string>): Map<string, PathStates> {
  const none: State = { since: 0, changed: 0, gone: true };
  const states = new Map<string, PathStates>();
  for (const path of paths) states.set(path, { data: [none], children: [none] });
  replay(placed.commits ?? [], ({ since, decision }) => {
    for (const { type, path } of decision?.events ?? []) {
      const of = states.get(path);
      if (of === undefined) continue;
      const gone = type === DELETED;
      const state = { since, changed: gone ? 0 : since, gone };
      if (type !== CHILDREN_CHANGED) of.data.push(state);
      if (type === CHILDREN_CHANGED || type === CREATED || gone) of.children.push(state);
    }
  });
  return states;
}

/** One reader of one stream, and what it knows. */
class Reader {
  readonly #stream: StreamRecord;
  readonly #states: readonly State[];
  readonly #faults: string[];
  #known: KnownState;
  #last: StreamEntry | null = null;

  constructor(stream: StreamRecord, states: PathStates, faults: string[]) {
    this.#stream = stream;
    this.#states = stream.kind === "children" ? states.children : states.data;
    this.#faults = faults;
    this.#known = stream.first;
    if (!this.#existed(stream.first)) this.#fault(`begins with ${stateText(stream.first)}, which never was`);
  }

  told(event: WatchEventType, zxid: number): void {
    const { zxid: before, gone: wasGone } = this.#known;
    const what = `${NAMES[event]} at ${zxidText(zxid)}`;
    const gone = event === DELETED;
    const knew = stateText(this.#known);
    if (zxid < before) this.#fault(`is told ${what} after ${knew}`);
    if (!this.#existed({ zxid, gone })) this.#fault(`is told ${what}, and the znode had no such state`);
    if (this.#last?.event === event && this.#last.zxid === zxid) this.#fault(`is told ${what} twice`);
    if (event === CREATED) {
      if (!wasGone && !this.#wasGoneWithin(before, zxid)) {
        this.#fault(`is told ${what} after ${knew}, and it was not deleted since`);
      }
    } else if (wasGone) this.#fault(`is told ${what} after ${knew}`);
    this.#known = { zxid, gone };
    this.#last = { event, zxid };
  }

  /** The reader has all events up to this zxid. */
  knowsAll(zxid: number): void {
    const { changed, gone } = this.#at(zxid);
    const { zxid: known, gone: knownGone } = this.#known;
    if (gone === knownGone && (gone || changed === known)) return;
    const is = stateText({ zxid: gone ? zxid : changed, gone });
    this.#fault(`knows ${stateText(this.#known)}, and was told everything up to ${zxidText(zxid)}: ${is}`);
  }

  #fault(what: string): void {
    const { reader, kind, path } = this.#stream;
    this.#faults.push(`the stream of ${kind} of ${path} to reader ${reader} ${what}`);
  }

  /** Position of the last state that began at or before this zxid. */
  #indexAt(zxid: number): number {
    let low = 0;
    let high = this.#states.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#states[middle] as State).since <= zxid) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #at(zxid: number): State {
    return this.#states[this.#indexAt(zxid)] as State;
  }

  #existed({ zxid, gone }: KnownState): boolean {
    const at = this.#indexAt(zxid);
    if (gone && this.#at(zxid).gone) return true;
    for (let i = at; i >= 0; i--) {
      const state = this.#states[i] as State;
      if (state.since < zxid) return false;
      if (state.gone === gone) return true;
    }
    return false;
  }

  #wasGoneWithin(from: number, to: number): boolean {
    for (let i = this.#indexAt(to); i >= 0; i--) {
      const state = this.#states[i] as State;
      if (state.gone) return state.since >= from;
      if (state.since < from) return false;
    }
    return false;
  }
}

const stateText = ({ zxid, gone }: KnownState): string =>
  `the state ${gone ? "without the znode " : ""}of ${zxidText(zxid)}`;
