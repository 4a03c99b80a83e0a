/** Limits and times of the SDK, each with its unit and reason. */
import { KiB, SECOND_MS } from "../../core/units.ts";

/** Default session timeout, ms. */
export const SESSION_TIMEOUT_MS = 10 * SECOND_MS;
/** Default time for which connect() makes attempts, ms: a waking ensemble may have to load its trees and elect a leader. */
export const CONNECT_TIMEOUT_MS = 15 * SECOND_MS;
/** Time limit of one attempt to connect, ms: a node without a quorum may not answer while others have one. */
export const ATTEMPT_MS = 3 * SECOND_MS;
/** Time below which connect() makes no further attempt, ms: a handshake is a write to a quorum. */
export const ATTEMPT_MS_MIN = 250;
/** Time for which an abandoned attempt to connect may still take over the session, ms. */
export const LATE_ATTEMPT_MS = 10 * SECOND_MS;
/** Minimum time for which the SDK tries to replace a lost connection, if the caller names none, ms. */
export const RECONNECT_MS_MIN = 30 * SECOND_MS;

/** Close codes of a server that cannot decode a message, and would not decode it the next time. @source RFC 6455 §7.4.1 */
export const CLOSES_FOR_GOOD: ReadonlySet<number> = new Set([1002, 1003, 1007, 1008, 1009]);

/** Requests that may wait for their answers; a caller with more does not wait for answers. */
export const OUTSTANDING_MAX = 262_144;
/** Length at which a message is sent before the end of the tick, bytes. */
export const MESSAGE_BYTES_MAX = 256 * KiB;
/** The highest number of a request, which is an i32. */
export const XID_MAX = 2 ** 31 - 1;

/** Checks of the clock per session timeout: for pings, and for a silent server. */
export const CHECKS_PER_TIMEOUT = 3;
/** Longest interval of these checks and pings, ms: the default tick of a server. */
export const CHECK_MS_MAX = 1 * SECOND_MS;
/** Part of the session timeout after which the connection to a silent server is closed. */
export const SILENCE_OF_TIMEOUT = 2 / 3;
/**
 * Silence after which the connection is closed if the server has answered a ping on it and only a ping is
 * outstanding, ms. A long answer may take longer.
 */
export const SILENCE_MS_MAX = 2 * SECOND_MS;

/** Bytes of paths in one setWatches, far below the limit of a packet. @source ZooKeeper `ClientCnxn` */
export const WATCHES_BYTES_MAX = 128 * KiB;
