/** What an object does with an error that leaves its core or its storage: a rule that must hold is broken. */

/**
 * Runs a turn of a life. An error ends the life before the caller hears of it, so that nothing more comes of what is wrong
 * in memory; the next life begins with what is stored.
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
