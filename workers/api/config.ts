/**
 * Limits of the Worker, with units and reasons. Timeouts of requests to the ensemble depend on the tick and are in
 * `core/server/config.ts`; limits of partitions and topics are in `core/broker/config.ts`.
 */
import { KiB, MiB } from "../../core/units.ts";

// ── requests ─────────────────────────────────────────────────────────────────

/** Largest request body. ZooKeeper's limit of a request (`jute.maxbuffer`) is the same. */
export const BODY_BYTES_MAX = 1 * MiB;
/** Timeout of the headers of a request, and of its body, ms; afterwards the connection is closed. */
export const BODY_MS_MAX = 15_000;
/** Characters of an `Idempotency-Key`. */
export const IDEMPOTENCY_KEY_CHARS_MAX = 255;
/** Characters of `detail` in an error: text that a validator quotes from the request may be far longer. */
export const DETAIL_CHARS_MAX = 400;
/**
 * Bytes of a `Location`: HTTP clients accept 16 KB of headers. Checked before a znode is created; a sequential name gets
 * ten more digits.
 */
export const LOCATION_BYTES_MAX = 14 * KiB;

// ── calls of objects ─────────────────────────────────────────────────────────

/** Wait for an object's status, its faults or the end of its log, ms; an object that is slower counts as down. */
export const STATUS_MS = 1_000;
/** Wait for one node during founding, ms. */
export const BOOTSTRAP_MS = 5_000;
/** Pause between two rounds over all nodes, ms: doubles from `first` to `max`, with jitter. */
export const ROUND_PAUSE_MS = { first: 20, max: 200 } as const;
/** Brokers of a cluster. */
export const BROKER_COUNT_MAX = 100;
/** Wait for the start of a broker, ms; pause before the next attempt after a failed start, ms. */
export const BROKER_START_MS = 2_000;
export const BROKER_RESTART_MS = 500;
/** Age of cached metadata, ms: the partition itself refuses an older leader epoch. */
export const METADATA_MS = 2_000;
/** Wait for one answer of a partition, in addition to the wait that a long poll requests, ms. */
export const PARTITION_CALL_MS = 5_000;
/** Pause between two attempts to find the leader of a partition, ms: doubles from `first` to `max`. */
export const LEADER_PAUSE_MS = { first: 10, max: 100 } as const;
/** Calls of partitions that one request makes at the same time: a Worker has six connections. */
export const CALLS_AT_ONCE = 4;
/** Ensembles that an isolate remembers: named ones are few, and a forgotten one costs one read. */
export const MEMOS_MAX = 1_000;
/** Partitions whose end an isolate remembers: the next append notes a forgotten one again. */
export const KNOWN_ENDS_MAX = 10_000;

// ── znodes ───────────────────────────────────────────────────────────────────

/** Names of one page of children: the maximum, and the default if only `after` is given. */
export const PAGE_NAMES = { max: 1_000_000, default: 10_000 } as const;
/** Maximum of operations of one multi, which bounds the duration of a transaction. */
export const MULTI_OPS_MAX = 500;
/** Versions of a long `If-Match` that are tried for a write that may be a repeat: the last ones. */
export const IF_MATCH_TRIES_MAX = 8;

// ── topics, records, demo ────────────────────────────────────────────────────

/** Records of one answer. */
export const RECORDS_MAX = 10_000;
/** Partitions whose log end `/cluster` reads; for further ones it is null. */
export const LOG_ENDS_MAX = 200;
/** Goals in one answer of the demo's `/data`. */
export const GOALS_MAX = 100_000;
/** Bytes of one read of goals for it. */
export const GOALS_READ_BYTES = 1 * MiB;

// ── faults ───────────────────────────────────────────────────────────────────

/** Wait for the target of a fault, ms. A kill or crash ends the call with the object, which is a success. */
export const FAULT_MS = 5_000;
/** Attempts to inject a fault into an object that another fault ends meanwhile. */
export const FAULT_TRIES_MAX = 3;
/** Highest number of a demo client. */
export const DEMO_CLIENT_MAX = 64;
/** Duration of a fault that does not name one, and the longest duration, ms. */
export const FAULT_TTL_MS = { default: 60_000, max: 600_000 } as const;
/** Longest delay of a message or of a storage write, ms. */
export const FAULT_DELAY_MS_MAX = 10_000;
/** Largest shift of a clock, ms, in either direction. */
export const FAULT_SKEW_MS_MAX = 3_600_000;

// ── streams ──────────────────────────────────────────────────────────────────

/** Pause before a broken connection of a stream is opened again, ms. */
export const RECONNECT_MS = 100;
/** Pause before a stream tries a node again that is down, ms. */
export const DOWN_MS = 1_000;
/** Longest delay of the beginning of an event stream by a node that does not answer, ms. */
export const STREAM_CONNECT_MS = 1_000;
/** Wait for the faults of a node or broker, for an event stream, ms. */
export const STREAM_FAULTS_MS = 500;
/** Pause between two reads of a broker's faults, for an event stream, ms. */
export const BROKER_FAULTS_EVERY_MS = 1_000;

/** Interval of comment lines, which keep proxies from closing a quiet stream, and of the check of the reader, ms. */
export const SSE_HEARTBEAT_MS = 15_000;
/** Pause after which a browser reconnects, ms. */
export const SSE_RETRY_MS = 1_000;
/** Bytes that may wait for a slow reader; one event may exceed it. */
export const SSE_WAITING_BYTES_MAX = 1 * MiB;
/** Interval of the `ping` events of a record stream, ms. */
export const RECORD_PING_MS = 10_000;
/** Duration of a record stream, ms: then the reader reconnects. */
export const RECORD_STREAM_MS = 15 * 60_000;

/** Channels of one socket of `/v1/live`. */
export const LIVE_CHANNELS_MAX = 16;
/** Characters of one frame of a client. */
export const LIVE_FRAME_CHARS_MAX = 4 * KiB;
/** Unread characters from which on sources that can wait do so; one frame may exceed it. */
export const LIVE_WAIT_CHARS = 1 * MiB;
/** Unread characters that close the socket: the client resumes at its last ids. */
export const LIVE_UNREAD_CHARS_MAX = 4 * MiB;
/** The same limit for a client that returns no marks, whatever its beats report. */
export const LIVE_UNPROVEN_CHARS_MAX = 8 * MiB;
/** Characters between two marks. */
export const LIVE_MARK_CHARS = 256 * KiB;
/** Time without progress that closes the socket of a client for which sources wait, ms. */
export const LIVE_STALL_MS_MAX = 20_000;
