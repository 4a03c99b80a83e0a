/**
 * The first step of every entry of an object: RPC methods, alarms and socket messages do not pass through `fetch`, and the
 * object may have lost its memory since the last entry.
 */

/**
 * Runs `load` once; later entries wait for it or find it done.
 * Invariant: no entry passes before loading has succeeded, and loading never runs twice at once.
 * @source cloudflare/partyserver, whose entries had to repeat this
 */
export class StartGate {
  #loading: Promise<void> | undefined;
  #open = false;
  readonly #load: () => Promise<void>;

  constructor(load: () => Promise<void>) {
    this.#load = load;
  }

  /** Whether everything is loaded, so that an entry may continue synchronously. */
  get open(): boolean {
    return this.#open;
  }

  /** Whether loading has begun. */
  get entered(): boolean {
    return this.#loading !== undefined;
  }

  /** Resolves when the object is ready to be entered. @throws what loading threw; the next entry tries again */
  async pass(): Promise<void> {
    if (this.#open) return;
    this.#loading ??= this.#load().then(
      () => {
        this.#open = true;
      },
      (error: unknown) => {
        this.#loading = undefined;
        throw error;
      },
    );
    await this.#loading;
  }
}
