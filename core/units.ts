/** Units, so that a limit in a config reads as what it is. */
export const KiB = 1024;
/** Bytes. */
export const MiB = 1024 * KiB;
/** ms */
export const SECOND_MS = 1000;
/** ms */
export const MINUTE_MS = 60 * SECOND_MS;
