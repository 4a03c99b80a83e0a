/** The errors of stored data that are not what was written. */

/** A stored row differs from what was written, or is missing. */
export class DamagedError extends Error {
  override readonly name: string = "DamagedError";
}

/** The znodes and sessions of the checkpoint are not what was written: the member cannot serve any of them. */
export class TreeDamagedError extends DamagedError {
  override readonly name: string = "TreeDamagedError";
}
