/** Limits that all objects share. */
import { KiB, MiB } from "../../core/units.ts";

/** Maximum interval between two beats of the Worker on the socket of a stream, ms. */
export const BEAT_MS = 10_000;

/**
 * Maximum silence of a stream's socket before the object closes it, ms: the runtime keeps a socket open if its reader
 * disconnected before the Worker received it. Such a socket only costs memory, so this limit is longer than that of the
 * Worker.
 */
export const SILENT_MS_MAX = 2 * BEAT_MS;

/**
 * Unread characters of a stream above which its socket is closed, after which the Worker resumes by the last id. It is
 * several times the size of the events that a node keeps.
 */
export const STREAM_UNREAD_MAX = 8 * MiB;

/** The Worker reports how much it has read of a node's stream, `read:N`, each time it has read this many characters more. */
export const READ_REPORT_CHARS = 256 * KiB;

/** Number of sockets that are written before I/O gets a turn: about 2 ms. */
export const SOCKETS_PER_SLICE = 64;

/** Number of calls after which a channel is replaced: for the platform it is one request, whose CPU time is limited. */
export const CHANNEL_CALLS_MAX = 4_096;

/** Maximum of rows of a statement in memory at once; one row has at most about 2 MB. */
export const ROWS_AT_ONCE = 32;

/** Interval in which a lost alarm is set again while a stub waits for it, ms. */
export const RING_AGAIN_MS = 1_000;

/** Depth of an alarm, and of a message of a socket: no object has called this one. */
export const ALARM_DEPTH = 0;
/** Depth of a client's request at an object that opens stubs in requests of the Worker only. */
export const CLIENT_DEPTH = 1;
/** Depth of a request at an object that brokers call too, in root events of their own. */
export const REQUEST_DEPTH = CLIENT_DEPTH + 1;
/**
 * Greatest depth of a call in which a node opens stubs too. A crash makes the calls of the others two deeper: those that
 * reconnect to the node that has crashed, and those of its next incarnation. An alarm brings them back to 1.
 */
export const OPENING_CALL_DEPTH_MAX = 5;
/**
 * Greatest depth of an event of a node or broker: a call that is made in the deepest event in which stubs are opened. A deeper
 * one is a bug, and is logged. It is far enough below the platform's 16 that one wrong depth, which counts as a root event
 * and is the deepest, does not lead there: the calls that follow from it are at most 12 deep.
 */
export const CALL_DEPTH_MAX = OPENING_CALL_DEPTH_MAX + 1;
