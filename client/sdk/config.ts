/** Limits and times of the SDK, each with its unit and reason. */
import { KiB, SECOND_MS } from "../../core/units.ts";

/** Session timeout asked for when the caller names none; ms. */
export const SESSION_TIMEOUT_MS = 10 * SECOND_MS;
/** One attempt to connect: a node without a quorum may not answer, while others have one; ms. */
export const ATTEMPT_MS = 3 * SECOND_MS;
/** An attempt to connect that was given up may still take the session over this much later; ms. */
export const LATE_ATTEMPT_MS = 10 * SECOND_MS;
/** The least time for which the SDK tries to replace a lost connection, when the caller names none; ms. */
export const RECONNECT_MS_MIN = 30 * SECOND_MS;

/** Requests that may wait for their answers; a caller with more does not look at the answers. */
export const OUTSTANDING_MAX = 262_144;
/** A message leaves before the tick ends when it is this long; bytes. */
export const MESSAGE_BYTES_MAX = 256 * KiB;
/** The highest number of a request: it travels as an i32. */
export const XID_MAX = 2 ** 31 - 1;

/** Checks of the clock per session timeout: a silent client pings, a silent server is given up. */
export const CHECKS_PER_TIMEOUT = 3;
/** The clock is checked, and the server pinged, at least this often: the default tick of a server; ms. */
export const CHECK_MS_MAX = 1 * SECOND_MS;
/** Part of the session timeout after which a silent server is given up. */
export const SILENCE_OF_TIMEOUT = 2 / 3;
/**
 * Silence after which a server is given up that has answered a ping on this connection and owes nothing but a ping. A long
 * answer may take longer; ms.
 */
export const SILENCE_MS_MAX = 2 * SECOND_MS;

/** Paths in one setWatches, far below what a packet may have; bytes. @source ZooKeeper `ClientCnxn` */
export const WATCHES_BYTES_MAX = 128 * KiB;
