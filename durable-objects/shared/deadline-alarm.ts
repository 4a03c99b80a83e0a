/**
 * The one alarm of an object, kept at the earliest of its deadlines. An alarm costs two fsyncs to set, so it is left alone
 * while it rings early enough: a deadline that moved later is found out when the alarm rings. Alarms come late, and
 * sometimes twice; whoever handles one looks at the clock, not at the fact that it rang.
 */
export class DeadlineAlarm {
  readonly #storage: DurableObjectStorage;
  readonly #now: () => number;
  /** ms since 1970 at which the alarm rings; undefined while none is set, as far as we know */
  #armedAt: number | undefined;

  constructor(storage: DurableObjectStorage, now: () => number = Date.now) {
    this.#storage = storage;
    this.#now = now;
  }

  /** Reads what the last life of the object left. */
  async load(): Promise<void> {
    this.#armedAt = (await this.#storage.getAlarm()) ?? undefined;
  }

  /** The alarm rang: none is set now. */
  rang(): void {
    this.#armedAt = undefined;
  }

  /** Rings at `deadline` and not before it; never, when that is infinite. Never throws. */
  only(deadline: number): void {
    if (Number.isFinite(deadline)) {
      this.#armedAt = undefined;
      this.ensure(deadline);
      return;
    }
    this.#armedAt = undefined;
    this.#storage.deleteAlarm().catch(() => undefined);
  }

  /** Makes sure that the alarm rings at `deadline` at the latest. Never throws; a lost alarm is set at the next call. */
  ensure(deadline: number): void {
    if (!Number.isFinite(deadline)) return;
    const at = Math.max(Math.ceil(deadline), this.#now() + 1);
    if (this.#armedAt !== undefined && this.#armedAt <= at) return;
    this.#armedAt = at;
    this.#storage.setAlarm(at).catch(() => {
      this.#armedAt = undefined;
    });
  }
}
