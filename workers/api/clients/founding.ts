/**
 * The founding of ensembles. It is idempotent and always begins with node 1, so that two isolates with different sizes
 * cannot found half an ensemble each: node 1 decides.
 */

import { withTimeout } from "../../../durable-objects/shared/timeout.ts";
import { BOOTSTRAP_MS } from "../config.ts";
import { type ApiEnv, DEFAULT_ENSEMBLE } from "../env.ts";
import { ApiError } from "../http/errors.ts";
import { forget, memoOf } from "./ensemble-memo.ts";
import { nodeStub } from "./node-stub.ts";

/** Sizes of an ensemble: odd, because an even size tolerates no more failures than the odd size below it. */
export const ENSEMBLE_SIZES: readonly number[] = [1, 3, 5, 7, 9];

/** Result of a founding. */
export interface Founding {
  /** the actual size, which may differ from the requested one */
  readonly size: number;
  readonly created: boolean;
}

/**
 * Founds the ensemble with `size` members unless it exists. A member that is down is skipped: it exists, or the next
 * founding creates it. Returns undefined if all are down.
 */
export async function found(env: ApiEnv, name: string, size: number): Promise<Founding | undefined> {
  for (let sid = 1; sid <= size; sid++) {
    const known = await sizeAccordingTo(env, name, sid, size);
    if (known === undefined) continue;
    if (known.size === size) {
      const rest = Array.from({ length: size - sid }, (_, i) => sid + 1 + i);
      await Promise.all(rest.map((other) => sizeAccordingTo(env, name, other, size)));
    }
    memoOf(name).size = known.size;
    return known;
  }
  forget(name);
  return undefined;
}

/**
 * Size of the default ensemble, which is founded with `ENSEMBLE_SIZE` members on first use. While all nodes are
 * down, that size is assumed, so that they can be listed and revived.
 */
export async function sizeOfDefault(env: ApiEnv): Promise<number> {
  const size = configuredSize(env);
  return (await found(env, DEFAULT_ENSEMBLE, size))?.size ?? size;
}

/** Size that the default ensemble is founded with. */
export function configuredSize(env: ApiEnv): number {
  const size = Number(env.ENSEMBLE_SIZE);
  if (ENSEMBLE_SIZES.includes(size)) return size;
  throw new ApiError("NOT_CONFIGURED", "the variable ENSEMBLE_SIZE must be 1, 3, 5, 7 or 9");
}

/** Makes one node a member; undefined if it is down. */
async function sizeAccordingTo(
  env: ApiEnv,
  ensemble: string,
  sid: number,
  size: number,
): Promise<Founding | undefined> {
  try {
    const node = nodeStub(env, ensemble, sid);
    const answer = await withTimeout(node.bootstrap({ ensemble, sid, size }), BOOTSTRAP_MS);
    if (answer.ok) return { size, created: answer.value.created };
    if (answer.code !== "ENSEMBLE_EXISTS") return undefined;
    const status = await withTimeout(nodeStub(env, ensemble, sid).status(), BOOTSTRAP_MS);
    return { size: status.size, created: false };
  } catch {
    return undefined;
  }
}
