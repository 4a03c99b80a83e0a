/** Limits of the demo's metadata, with units. */
import { KiB } from "../units.ts";

/** Bytes of all rows: the oldest are dropped, so that the znode stays far below the limit of one. */
export const ROWS_BYTES_MAX = 256 * KiB;

/** Attempts at one write while others change the same znodes. */
export const TRIES_MAX = 10;

/** Attempts at one write under a new session, while sessions expire. */
export const SESSION_TRIES_MAX = 3;
