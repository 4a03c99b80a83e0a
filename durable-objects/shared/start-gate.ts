/**
 * Every entry of an object passes here first: RPC methods, alarms and sockets come without a `fetch`, and an object may
 * have lost its memory since the last of them.
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

  /** True once everything is loaded: an entry may then continue without giving up its turn. */
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
