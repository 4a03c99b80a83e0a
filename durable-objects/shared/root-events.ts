/**
 * Decides in which events an object may open stubs of other objects.
 *
 * The platform counts the calls that lead to an event, and refuses one that is 16 deep ("Subrequest depth limit exceeded").
 * A stub takes its depth at its first call, from the newest event that is under way in the object; a timer or a returning
 * call has none of its own. So two objects that reconnect in each other's calls get one deeper each time. Stubs are
 * therefore opened in root events: alarms, messages of sockets, and requests of clients. A caller that needs a stub in
 * another event waits for a root event, and sets the alarm to fire soon.
 */
import { CALL_DEPTH_MAX, RING_AGAIN_MS } from "./config.ts";

/** Tells callers when they may open stubs, and with which depth. */
export interface StubOpener {
  /** depth of the current root event; undefined if there is none */
  readonly depth: number | undefined;
  /**
   * Resolves with the depth of a root event: at once if one is under way, else in the next one, however late. The stub must
   * be called before I/O gets a turn.
   */
  next(): Promise<number>;
}

/**
 * The current root event of an object, and the callers that wait for one.
 * Invariant: `depth` is that of the newest event of the object, and that event is a root event. While a caller waits, the
 * object's alarm is set to fire soon.
 * @source KJ's `IoContext::getCurrentIncomingRequest`: an object's context takes the newest request under way; decision 0017
 */
export class RootEvents implements StubOpener {
  readonly #ringSoon: () => void;
  /** number of the newest event */
  #newest = 0;
  #depth: number | undefined;
  #depthMax = 0;
  #waiting: ((depth: number) => void)[] = [];
  #ringing: ReturnType<typeof setInterval> | undefined;

  /** @param ringSoon sets the object's alarm to fire as soon as possible, unless it is already set so */
  constructor(ringSoon: () => void) {
    this.#ringSoon = ringSoon;
  }

  get depth(): number | undefined {
    return this.#depth;
  }

  /** Greatest depth of an event so far, of those whose caller sent it. */
  get depthMax(): number {
    return this.#depthMax;
  }

  /** Runs a root event. Waiting callers open their stubs after the synchronous part of `body`. */
  async run<T>(depth: number, body: () => T | Promise<T>): Promise<T> {
    const event = this.#begin(depth);
    this.#depth = depth;
    const waiting = this.#waiting;
    this.#waiting = [];
    if (this.#ringing !== undefined) clearInterval(this.#ringing);
    this.#ringing = undefined;
    for (const open of waiting) open(depth);
    try {
      return await body();
    } finally {
      if (event === this.#newest) this.#depth = undefined;
    }
  }

  /** Records the begin of another event. @param depth depth of the calling event; undefined if it was not sent */
  called(depth: number | undefined): void {
    this.#begin(depth === undefined ? 0 : depth + 1);
    this.#depth = undefined;
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
    if (this.#depth !== undefined) return Promise.resolve(this.#depth);
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
