/** Handling of errors that the core or the storage throws, which mean that an invariant is violated. */

/**
 * Runs a turn of an incarnation. An error ends the incarnation before the caller receives it, so that wrong state in memory
 * has no further effect; the next incarnation starts from storage.
 * @throws what `turn` threw
 */
export function guarded<T>(turn: () => T, endLife: (error: unknown) => void): T {
  try {
    return turn();
  } catch (error) {
    endLife(error);
    throw error;
  }
}
