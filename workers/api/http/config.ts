/** Bounds of the HTTP API that others than its routes must know too. */
import { MiB } from "../../../core/units.ts";

/** Largest request body. ZooKeeper's limit of a request (`jute.maxbuffer`) is the same. */
export const BODY_BYTES_MAX = 1 * MiB;

/** A request's headers, and its body, are there after so long; ms. A client that has not sent them is closed. */
export const BODY_MS_MAX = 15_000;
