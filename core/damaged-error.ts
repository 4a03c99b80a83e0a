/** The errors of a storage. */

/**
 * The storage has not done what was asked of it. It says nothing about the request: it may succeed at another time, or at another
 * member.
 */
export class StorageError extends Error {
  override readonly name: string = "StorageError";
}

/** A stored row differs from what was written, is missing, or cannot be read. */
export class DamagedError extends StorageError {
  override readonly name: string = "DamagedError";
}

/** The znodes and sessions of the checkpoint are not what was written: the member cannot serve any of them. */
export class TreeDamagedError extends DamagedError {
  override readonly name: string = "TreeDamagedError";
}
