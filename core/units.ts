/** Units, so that a limit in a config reads as what it is. */
export const KiB = 1024;
export const MiB = 1024 * KiB;
export const SECOND_MS = 1000;
export const MINUTE_MS = 60 * SECOND_MS;
