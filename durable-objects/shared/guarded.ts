/** Handling of errors that leave the core or the storage: a rule that must hold is broken. */

/**
 * Runs a turn of an incarnation. An error ends the incarnation before the caller gets the error, so that wrong state in memory
 * has no further effect; the next incarnation begins with the stored state.
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
