/** The error of stored data that are not what was written. */

/** A stored row differs from what was written, or is missing. */
export class DamagedError extends Error {
  override readonly name = "DamagedError";
}
