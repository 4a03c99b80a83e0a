/**
 * Polls a resource on a fixed schedule. The tabs of one browser share the answers: a tab sends a request only if no other
 * tab has sent one within the interval.
 */
import { ApiProblem } from "./http.ts";

/** The channel between tabs; a `BroadcastChannel` is one. */
export interface TabChannel {
  postMessage(message: unknown): void;
  onmessage: ((message: { readonly data: unknown }) => void) | null;
  close(): void;
}

/** What to poll, how often, and who gets the answers. */
export interface PollOptions<T> {
  readonly everyMs: number;
  readonly ask: (signal: AbortSignal) => Promise<T>;
  /** @param askedMs time of the request, ms since 1970: the answer is at least as new */
  readonly onAnswer: (answer: T, askedMs: number) => void;
  readonly onProblem: (problem: Error, askedMs: number) => void;
  /** undefined: this tab polls for itself */
  readonly channel?: TabChannel | undefined;
}

/** Time limit of an answer, ms. */
const ANSWER_MS_MAX = 5_000;
/** Part of the interval after which another tab's request no longer replaces this tab's next one. */
const SHARE = 0.9;

/** A message of one tab to the others. */
type Word<T> =
  | { readonly type: "asked"; readonly askedMs: number }
  | { readonly type: "answered"; readonly askedMs: number; readonly answer: T }
  | { readonly type: "failed" };

/** Polls one resource. Invariant: at most one request of this tab is outstanding. */
export class Poll<T> {
  readonly #options: PollOptions<T>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #underWay: AbortController | undefined;
  #again = false;
  #running = false;
  /** time of the last request of another tab */
  #othersMs = Number.NEGATIVE_INFINITY;

  constructor(options: PollOptions<T>) {
    this.#options = options;
    if (options.channel) options.channel.onmessage = ({ data }) => this.#hear(data as Word<T>);
  }

  /** Polls at once, and then on schedule. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#ask();
  }

  /** Ends the schedule, and cancels an outstanding request. */
  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#underWay?.abort();
    this.#underWay = undefined;
  }

  close(): void {
    this.stop();
    this.#options.channel?.close();
  }

  /** Polls out of schedule, because something has changed: again after the answer to an outstanding request. */
  now(): void {
    if (!this.#running) return;
    if (this.#underWay === undefined) void this.#ask();
    else this.#again = true;
  }

  async #ask(): Promise<void> {
    clearTimeout(this.#timer);
    const { ask, onAnswer, onProblem, channel, everyMs } = this.#options;
    const askedMs = Date.now();
    const question = new AbortController();
    this.#underWay = question;
    channel?.postMessage({ type: "asked", askedMs } satisfies Word<T>);
    const limit = setTimeout(() => question.abort(), ANSWER_MS_MAX);
    const outcome = await ask(question.signal).then(
      (answer) => ({ ok: true, answer }) as const,
      (error: unknown) => ({ ok: false, error }) as const,
    );
    clearTimeout(limit);
    if (this.#underWay !== question) return;
    this.#underWay = undefined;
    this.#schedule(this.#again ? 0 : askedMs + everyMs - Date.now());
    this.#again = false;
    if (outcome.ok) {
      channel?.postMessage({ type: "answered", askedMs, answer: outcome.answer } satisfies Word<T>);
      onAnswer(outcome.answer, askedMs);
      return;
    }
    channel?.postMessage({ type: "failed" } satisfies Word<T>);
    const late = `the API has not answered for ${ANSWER_MS_MAX / 1_000} s`;
    if (question.signal.aborted) onProblem(new ApiProblem(0, "UNREACHABLE", late), askedMs);
    else
      onProblem(outcome.error instanceof Error ? outcome.error : new Error(String(outcome.error)), askedMs);
  }

  #schedule(ms: number): void {
    this.#timer = setTimeout(
      () => {
        const next = this.#othersMs + this.#options.everyMs * SHARE - Date.now();
        if (next > 0) this.#schedule(next + this.#options.everyMs * (1 - SHARE) * (1 + Math.random()));
        else void this.#ask();
      },
      Math.max(0, ms),
    );
  }

  #hear(word: Word<T>): void {
    if (!this.#running) return;
    if (word.type === "asked") this.#othersMs = Math.max(this.#othersMs, Math.min(word.askedMs, Date.now()));
    else if (word.type === "answered") this.#options.onAnswer(word.answer, word.askedMs);
    else {
      // this tab sends its own request, because another tab's failed
      this.#othersMs = Number.NEGATIVE_INFINITY;
    }
  }
}
