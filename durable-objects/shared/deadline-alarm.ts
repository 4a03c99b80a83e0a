/**
 * The one alarm of an object, kept at the earliest of its deadlines. Setting an alarm costs two fsyncs, so an alarm that is
 * early enough is kept: when it fires, its handler finds that the deadline has moved. Alarms may come late, twice, or
 * never, so a handler checks the clock.
 *
 * A runtime can lose an alarm: its scheduler has a separate list, and `getAlarm()` still returns the time that the object
 * has stored. An alarm that is overdue by more than a tick is therefore set again, at the next entry of the object.
 */

/** The alarm methods of `DurableObjectStorage`; times in ms since 1970. */
export interface AlarmStorage {
  getAlarm(): Promise<number | null>;
  setAlarm(atMs: number): Promise<void>;
  deleteAlarm(): Promise<void>;
}

/**
 * The alarm of one object.
 * Invariant: while the object has a deadline, an alarm fires at or before it, unless the runtime loses that alarm; then the
 * next entry of the object sets it again.
 * @source `setAlarm` of the platform: at least once, possibly late
 */
export class DeadlineAlarm {
  readonly #storage: AlarmStorage;
  readonly #tickMs: number;
  readonly #now: () => number;
  /** requested time of the alarm, ms since 1970; infinite if there is none, or if the handler has not decided yet */
  #deadline = Number.POSITIVE_INFINITY;
  /** time of the alarm that is set, ms since 1970; undefined if there is none, as far as this object knows */
  #armedAt: number | undefined;
  /** whether this incarnation has set, deleted or received the alarm, so that earlier ones no longer matter */
  #isKnown = false;

  /** @param tickMs delay after which an alarm counts as lost; > 0 */
  constructor(storage: AlarmStorage, tickMs: number, now: () => number = Date.now) {
    this.#storage = storage;
    this.#tickMs = tickMs;
    this.#now = now;
  }

  /**
   * For an object that only waits for its alarm after its start: ensures that the alarm of its previous incarnation, or one
   * that this incarnation has already set, fires at `deadline` at the latest. Never throws.
   */
  async restore(deadline: number): Promise<void> {
    if (!Number.isFinite(deadline)) return;
    if (!this.#isKnown) {
      const at = await this.#storage.getAlarm().catch(() => null);
      // a decision made meanwhile is newer than this deadline
      if (this.#isKnown) return;
      this.#armedAt = at ?? undefined;
    }
    this.ensure(deadline);
  }

  /** Records that the alarm has fired: none is set now, and its handler decides when the next one is due. */
  rang(): void {
    this.#isKnown = true;
    this.#armedAt = undefined;
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  /** Sets the alarm to exactly `deadline`; deletes it if that is infinite. Never throws. */
  only(deadline: number): void {
    this.#isKnown = true;
    this.#armedAt = undefined;
    this.#deadline = Number.POSITIVE_INFINITY;
    if (Number.isFinite(deadline)) this.ensure(deadline);
    else this.#storage.deleteAlarm().catch(() => undefined);
  }

  /** Ensures that the alarm fires at `deadline` at the latest. Never throws. */
  ensure(deadline: number): void {
    if (!Number.isFinite(deadline)) return;
    this.#isKnown = true;
    this.#deadline = deadline;
    const now = this.#now();
    const at = Math.max(Math.ceil(deadline), now + 1);
    if (this.#armedAt !== undefined && this.#armedAt <= at && !this.#isLost(now)) return;
    this.#set(at);
  }

  /** Called by every entry of the object: sets an alarm again that was lost, or could not be set. Never throws. */
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
