/**
 * The one alarm of an object, kept at the earliest of its deadlines. Setting an alarm costs two fsyncs, so an alarm that
 * rings early enough is left alone: when it rings, its handler finds that the deadline has moved. Alarms come late, twice,
 * or never; a handler looks at the clock, not at the fact that it was called.
 *
 * A runtime can lose an alarm: its scheduler keeps a list of its own, and `getAlarm()` still returns the time that the
 * object has stored. An alarm that is overdue by more than a tick is therefore set again, at the next entry of the object.
 */

/** The part of `DurableObjectStorage` that holds the alarm; times in ms since 1970. */
export interface AlarmStorage {
  getAlarm(): Promise<number | null>;
  setAlarm(atMs: number): Promise<void>;
  deleteAlarm(): Promise<void>;
}

/**
 * The alarm of one object.
 * Invariant: while the object has a deadline, an alarm rings at it or before it, unless the runtime loses that alarm; then
 * the next entry of the object sets it again.
 * @source `setAlarm` of the platform: at least once, possibly late
 */
export class DeadlineAlarm {
  readonly #storage: AlarmStorage;
  readonly #tickMs: number;
  readonly #now: () => number;
  /** requested time of the alarm, ms since 1970; infinite: none, or the handler has not decided yet */
  #deadline = Number.POSITIVE_INFINITY;
  /** time of the alarm that is set, ms since 1970; undefined: none, as far as this object knows */
  #armedAt: number | undefined;
  /** this incarnation has set, deleted or received the alarm: earlier incarnations no longer matter */
  #isKnown = false;

  /** @param tickMs delay after which an alarm counts as lost; > 0 */
  constructor(storage: AlarmStorage, tickMs: number, now: () => number = Date.now) {
    this.#storage = storage;
    this.#tickMs = tickMs;
    this.#now = now;
  }

  /**
   * For an object that only waits for its alarm after its start: makes sure that the alarm of its previous
   * incarnation, or the one that this incarnation has set already, rings at `deadline` at the latest. Never throws.
   */
  async restore(deadline: number): Promise<void> {
    if (!Number.isFinite(deadline)) return;
    if (!this.#isKnown) {
      const at = await this.#storage.getAlarm().catch(() => null);
      // what has been decided meanwhile is newer than this deadline
      if (this.#isKnown) return;
      this.#armedAt = at ?? undefined;
    }
    this.ensure(deadline);
  }

  /** The alarm rang: none is set now, and its handler decides when the next one is due. */
  rang(): void {
    this.#isKnown = true;
    this.#armedAt = undefined;
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  /** Rings at `deadline` and not before it; never, when that is infinite. Never throws. */
  only(deadline: number): void {
    this.#isKnown = true;
    this.#armedAt = undefined;
    this.#deadline = Number.POSITIVE_INFINITY;
    if (Number.isFinite(deadline)) this.ensure(deadline);
    else this.#storage.deleteAlarm().catch(() => undefined);
  }

  /** Makes sure that the alarm rings at `deadline` at the latest. Never throws. */
  ensure(deadline: number): void {
    if (!Number.isFinite(deadline)) return;
    this.#isKnown = true;
    this.#deadline = deadline;
    const now = this.#now();
    const at = Math.max(Math.ceil(deadline), now + 1);
    if (this.#armedAt !== undefined && this.#armedAt <= at && !this.#isLost(now)) return;
    this.#set(at);
  }

  /** For every entry of the object: sets an alarm again that was lost, or could not be set. Never throws. */
  check(): void {
    const now = this.#now();
    if (Number.isFinite(this.#deadline) && this.#isLost(now)) {
      this.#set(Math.max(Math.ceil(this.#deadline), now + 1));
    }
  }

  #isLost(now: number): boolean {
    return this.#armedAt === undefined || now - this.#armedAt > this.#tickMs;
  }

  #set(at: number): void {
    this.#armedAt = at;
    this.#storage.setAlarm(at).catch(() => {
      if (this.#armedAt === at) this.#armedAt = undefined;
    });
  }
}
