/**
 * Assertions about programmer errors. They are always on: a member that finds one of its invariants violated must stop and
 * rebuild its memory from storage.
 */

/** A broken invariant. The shell answers it by aborting the object. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/**
 * Stops the member when an invariant does not hold.
 * @param condition what must be true
 * @param message what must hold, in words
 * @throws AssertionError
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Closes a `switch` over a tagged union: a member that is not handled does not compile. */
export function assertNever(value: never): never {
  throw new AssertionError(`unhandled case: ${JSON.stringify(value)}`);
}

/** Narrows an optional value that the caller knows to be present. */
export function must<T>(value: T | undefined | null, message: string): T {
  if (value === undefined || value === null) throw new AssertionError(message);
  return value;
}
