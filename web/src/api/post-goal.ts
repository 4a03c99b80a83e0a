/** Posting one goal until it is stored: every try carries the same key, so it is stored once. */
import { backoffMs } from "./backoff.ts";
import { addScore } from "./calls.ts";
import { ApiProblem, send, toProblem } from "./http.ts";
import type { Goal } from "./types.ts";

export interface GoalTry {
  readonly attempt: number;
  /** Why the try before this one did not count; null for the first. */
  readonly reason: string | null;
}

export interface PostGoalOptions {
  readonly base: string;
  readonly goal: Goal;
  readonly key: string;
  /** Read before every try: which brokers and nodes live changes while we wait. */
  readonly target: () => {
    readonly broker: number;
    readonly sid: number;
    readonly brokers: readonly number[];
  };
  readonly onTry: (state: GoalTry) => void;
  readonly signal: AbortSignal;
}

/** Answers that may be followed by the same request; 504 says that the outcome is unknown. */
const RETRIED = new Set([0, 408, 425, 429, 502, 503, 504]);
const ATTEMPTS_MAX = 60;

/** Resolves with the number of tries once the goal is stored. */
export async function postGoal(options: PostGoalOptions): Promise<number> {
  let reason: string | null = null;
  for (let attempt = 1; ; attempt++) {
    options.onTry({ attempt, reason });
    const problem = await tryOnce(options);
    if (!problem) return attempt;
    if (!RETRIED.has(problem.status) || attempt >= ATTEMPTS_MAX) throw problem;
    reason = problem.message;
    await new Promise((resolve) => setTimeout(resolve, backoffMs(attempt, Math.random(), 2_000)));
    if (options.signal.aborted) throw new ApiProblem(0, "ENDED", "the page was left");
  }
}

async function tryOnce(options: PostGoalOptions): Promise<ApiProblem | undefined> {
  try {
    const call = addScore({ ...options.target(), goal: options.goal, key: options.key });
    const response = await send(options.base, call, options.signal);
    if (!response.ok) return await toProblem(response);
    await response.text();
    return undefined;
  } catch (error) {
    if (error instanceof ApiProblem) return error;
    throw error;
  }
}
