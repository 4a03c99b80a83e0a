/** SQLite's errors as the errors of a storage. */
import { DamagedError, StorageError } from "../../../core/damaged-error.ts";

/** Whether it is SQLite's error for a page that holds something else: SQLITE_CORRUPT. */
export const isUnreadable = (error: unknown): error is Error =>
  error instanceof Error && error.message.includes("database disk image is malformed");

/** An error of a read as one of `StorageBackend`; an error of this program is returned unchanged. */
export function storageError(error: unknown): unknown {
  // SQLite and the platform throw plain errors; every class of errors of the language or of this program has another name.
  if (!(error instanceof Error) || error.name !== "Error") return error;
  const Kind = isUnreadable(error) ? DamagedError : StorageError;
  return new Kind(error.message, { cause: error });
}
