/**
 * Decides in which events an object may open stubs of other objects.
 *
 * The platform counts the calls that lead to an event, and refuses one that is 16 deep ("Subrequest depth limit
 * exceeded"). A stub takes its depth at its first call, from the newest event that is under way in the object; a timer or a
 * returning call has none of its own. So two objects that reconnect in each other's calls get one deeper each time.
 * Stubs are therefore opened in root events: alarms, messages of sockets, and requests of clients; nodes open them also while
 * no deep call is under way. A caller that needs a stub in another event waits for a root event, and sets the alarm to fire
 * soon.
 */
import { CALL_DEPTH_MAX, REQUEST_DEPTH, RING_AGAIN_MS } from "./config.ts";

/** Tells callers when they may open stubs, and with which depth. */
export interface StubOpener {
  /** depth of a stub that is called first now; undefined if none may be opened */
  readonly depth: number | undefined;
  /**
   * Resolves with the depth once a stub may be opened: at once, or in the next root event, however late. The stub must be
   * called before I/O gets a turn.
   */
  next(): Promise<number>;
}

/**
 * The events that are under way in an object, and the callers that wait for a root event.
 * Invariant: `depth` is at least that of the newest event of the object. While a caller waits, the object's alarm is set to
 * fire soon.
 * @source KJ's `IoContext::getCurrentIncomingRequest`: an object's context takes the newest request under way; decision 0017
 */
export class RootEvents implements StubOpener {
  readonly #ringSoon: () => void;
  readonly #callDepthMax: number;
  /** number of the newest event */
  #newest = 0;
  /** depth of the newest event, if that is a root event */
  #rootDepth: number | undefined;
  /** calls of other objects that are under way; the depth is infinite if it was not sent */
  readonly #calls = new Set<{ readonly depth: number }>();
  #depthMax = 0;
  #waiting: ((depth: number) => void)[] = [];
  #ringing: ReturnType<typeof setInterval> | undefined;

  /**
   * @param ringSoon sets the object's alarm to fire as soon as possible, unless it is already set so
   * @param callDepthMax stubs are opened also while no deeper call than this is under way; 0: in root events only
   */
  constructor(ringSoon: () => void, callDepthMax: number) {
    this.#ringSoon = ringSoon;
    this.#callDepthMax = callDepthMax;
  }

  /** Depth of the current root event, otherwise of the deepest event that may be under way. */
  get depth(): number | undefined {
    if (this.#rootDepth !== undefined) return this.#rootDepth;
    // a request whose answer waits for the storage is still under way
    let deepest = REQUEST_DEPTH;
    for (const { depth } of this.#calls) deepest = Math.max(deepest, depth);
    return deepest <= this.#callDepthMax ? deepest : undefined;
  }

  /** Greatest depth of an event so far, of those whose caller sent it. */
  get depthMax(): number {
    return this.#depthMax;
  }

  /** Runs a root event. Waiting callers open their stubs after the synchronous part of `body`. */
  async run<T>(depth: number, body: () => T | Promise<T>): Promise<T> {
    const event = this.#begin(depth);
    this.#rootDepth = depth;
    const waiting = this.#waiting;
    this.#waiting = [];
    if (this.#ringing !== undefined) clearInterval(this.#ringing);
    this.#ringing = undefined;
    for (const open of waiting) open(depth);
    try {
      return await body();
    } finally {
      if (event === this.#newest) this.#rootDepth = undefined;
    }
  }

  /** Runs a call of another object. @param depth depth of the calling event; undefined if it was not sent */
  async answer<T>(depth: number | undefined, body: () => T | Promise<T>): Promise<T> {
    const end = this.called(depth);
    try {
      return await body();
    } finally {
      end();
    }
  }

  /**
   * Records the begin of a call of another object.
   * @param depth depth of the calling event; undefined if it was not sent
   * @returns records its end
   */
  called(depth: number | undefined): () => void {
    this.#begin(depth === undefined ? 0 : depth + 1);
    this.#rootDepth = undefined;
    const call = { depth: depth === undefined ? Number.POSITIVE_INFINITY : depth + 1 };
    this.#calls.add(call);
    return () => this.#calls.delete(call);
  }

  #begin(depth: number): number {
    this.#newest += 1;
    if (depth > this.#depthMax) {
      this.#depthMax = depth;
      if (depth > CALL_DEPTH_MAX) console.error(JSON.stringify({ event: "deep call", depth }));
    }
    return this.#newest;
  }

  next(): Promise<number> {
    const { depth } = this;
    if (depth !== undefined) return Promise.resolve(depth);
    const opened = new Promise<number>((resolve) => this.#waiting.push(resolve));
    this.ring();
    // the runtime may lose the alarm, or storage may fail to set it
    this.#ringing ??= setInterval(() => this.#ringSoon(), RING_AGAIN_MS);
    return opened;
  }

  /** Sets the alarm if a caller waits. The owner of the alarm calls this after it has deleted or moved it. */
  ring(): void {
    if (this.#waiting.length > 0) this.#ringSoon();
  }
}
