/** Limits that all objects share. */
import { KiB, MiB } from "../../core/units.ts";

/** Longest pause between two signs of life of the Worker on the socket of a stream, ms. */
export const BEAT_MS = 10_000;

/**
 * Longest silence of a stream's socket before the object closes it, ms: the runtime keeps one open whose reader was gone
 * before the Worker had it. Such a socket only costs memory, so this is slower than the other end.
 */
export const SILENT_MS_MAX = 2 * BEAT_MS;

/**
 * Characters that the reader of a stream may leave unread; then its socket is closed, and the Worker resumes by the last
 * id. The events that a node holds fit into it several times.
 */
export const STREAM_UNREAD_MAX = 8 * MiB;

/** The Worker reports how much it has read of a node's stream, `read:N`, each time it has read so many characters more. */
export const READ_REPORT_CHARS = 256 * KiB;

/** Sockets that are written before I/O has a turn: about 2 ms. */
export const SOCKETS_PER_SLICE = 64;

/** Calls on one channel, which is then replaced: for the platform it is one request, whose CPU time is limited. */
export const CHANNEL_CALLS_MAX = 4_096;

/** Rows of a statement that are in memory at once; one row is at most about 2 MB. */
export const ROWS_AT_ONCE = 32;

/** An alarm for which a stub waits is set again in this interval, ms, if it was lost. */
export const RING_AGAIN_MS = 1_000;

/** Depth of an alarm, and of a message of a socket: nothing has called the object. */
export const ALARM_DEPTH = 0;
/** Depth of a client's request at an object that opens stubs in requests of the Worker only. */
export const CLIENT_DEPTH = 1;
/** Depth of a request at an object that brokers call too, in root events of their own. */
export const REQUEST_DEPTH = CLIENT_DEPTH + 1;
/** Greatest depth of an event: a call that is made in a request. A deeper one is a bug, and is logged. */
export const CALL_DEPTH_MAX = REQUEST_DEPTH + 1;
