/** Makes a failing run smaller: fewer members, fewer kinds of faults, less time and fewer requests, while it still fails. */
import { runSeed } from "./run.ts";
import { drawOptions, type Overrides, type SwarmOptions } from "./swarm.ts";

/** Limit of tried runs. */
const RUNS_MAX = 60;

/**
 * @param isOver called before every run: whether the time is used up
 * @returns the options, beside the seed, with which a smaller run fails
 */
export function shrink(
  seed: number,
  overrides: Overrides,
  isFailure = (options: SwarmOptions): boolean => runSeed(options).failure !== null,
  isOver = (): boolean => false,
): Overrides {
  let runs = 0;
  let best = overrides;
  const fails = (candidate: Overrides): boolean => {
    if (runs >= RUNS_MAX || isOver()) return false;
    runs += 1;
    return isFailure(drawOptions(seed, candidate));
  };
  const attempt = (change: Overrides): boolean => {
    const candidate = { ...best, ...change };
    if (!fails(candidate)) return false;
    best = candidate;
    return true;
  };
  const now = (): SwarmOptions => drawOptions(seed, best);
  for (const size of [1, 3, 5]) if (size < now().size && attempt({ size })) break;
  // Removes halves first, then single kinds.
  for (let half = now().kinds.length >> 1; half >= 1; half >>= 1) {
    for (let from = 0; from < now().kinds.length; ) {
      const { kinds } = now();
      if (!attempt({ kinds: [...kinds.slice(0, from), ...kinds.slice(from + half)] })) from += half;
    }
  }
  while (now().chaosMs > 2_000 && attempt({ chaosMs: now().chaosMs >> 1 }));
  while (now().clients > 1 && attempt({ clients: now().clients >> 1 }));
  while (now().ops > 20 && attempt({ ops: now().ops >> 1 }));
  return best;
}
