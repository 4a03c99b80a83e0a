/** Limits of a member beyond Zab's own, with units and reasons. Those that a deployment may set are validated once. */
import { assert } from "../assert.ts";
import { KiB, MiB, SECOND_MS } from "../units.ts";
import { makeZabConfig, type ZabConfig } from "../zab/config.ts";

/** Limits and timeouts that a deployment may set; defaults by {@link makeServerConfig}. */
export interface ServerConfig extends ZabConfig {
  /** a client's requested session timeout is clamped to this range */
  readonly sessionTimeoutMsMin: number;
  readonly sessionTimeoutMsMax: number;
  /** how long a write may wait for its commit, elections included */
  readonly requestTimeoutMs: number;
  /** how long a COMMIT may be held back for a follower whose clients watch or read */
  readonly watchPatienceMs: number;
  /** the same for a follower without such clients, also while brokers wait for changes there */
  readonly idlePatienceMs: number;
  /** writes that may wait at one member; more are refused as THROTTLED */
  readonly queueLengthMax: number;
  /**
   * bytes of the writes that may wait at one member: one call may forward all to a new leader, and the platform limits a
   * call to 32 MiB
   */
  readonly queueBytesMax: number;
  /** changed znodes and sessions that make a checkpoint due: about 5 ms of rows in a large tree, where each has a page of its own */
  readonly checkpointChangesMax: number;
  /** log bytes that make a checkpoint due, which bounds the time of recovery */
  readonly checkpointLogBytesMax: number;
  /**
   * the ensemble falls asleep after this time without a client; 0: never. Longer than the silence after which a peer counts
   * as gone
   */
  readonly quietAfterMs: number;
  /** an ensemble with more sessions stays awake: a member stores their deadlines in one row of at most 2 MB */
  readonly quietSessionsMax: number;
  /** events kept for listeners while there is one: about 2 MB, a minute of 50 writes/s */
  readonly eventsMax: number;
  /** rare events (votes, roles, links, faults …) always kept: an election of nine members makes about 100 */
  readonly rareEventsMax: number;
  /** how long all events are recorded after the last listener left, so that it can resume */
  readonly eventsLingerMs: number;
  /** txns retained in the log below the checkpoint, for learners that reconnect */
  readonly logRetainTxns: number;
  /**
   * bytes of the znodes in memory, about: clean ones beyond that leave. Beside it an object holds the log's index and newest
   * batches, the sessions, and the buffers of its connections; 64 MiB in all, of the 128 MB that the platform gives it
   */
  readonly znodeCacheBytes: number;
}

/** Default of {@link ServerConfig.znodeCacheBytes}. */
export const ZNODE_CACHE_BYTES = 40 * MiB;

/** Timeouts of a request, ms. Each is longer than the timeout inside the wait. */
export interface RequestTimeouts {
  /** how long a node keeps a write, elections included, before it answers that the outcome is unknown */
  readonly keptMs: number;
  /**
   * the wait for a node's answer to a write; longer than `keptMs`, because the node knows better whether the write can have
   * happened
   */
  readonly writeMs: number;
  /** the wait for a node's answer to a read, before it is repeated at another node */
  readonly readMs: number;
  /** how long a request that was not carried out is repeated; longer than an election */
  readonly retryMs: number;
}

/** Lower bounds of the timeouts, for a busy machine, however short a tick is; ms. */
const BUSY_MS = { write: 2_000, read: 2_500, retry: 5_000 } as const;

/** The timeouts of a deployment. @param tickTimeMs > 0 */
export const requestTimeouts = (tickTimeMs: number): RequestTimeouts => {
  const keptMs = 5 * tickTimeMs;
  return {
    keptMs,
    writeMs: keptMs + Math.max(2 * tickTimeMs, BUSY_MS.write),
    readMs: Math.max(2.5 * tickTimeMs, BUSY_MS.read),
    retryMs: Math.max(keptMs, BUSY_MS.retry),
  };
};

/** Maximum of a txn's bytes beyond the request's body, which a batch must have room for. */
export const TXN_OVERHEAD_BYTES = 128;

/** Number of writes that are sent at once, and size of recent batches that counts as thin traffic; see `Gather`. */
export const GATHER_THIN_MAX = 2;

/** Results of recent writes in one half of `RecentResults`: more than a client has outstanding. */
export const RECENT_RESULTS_MAX = 8_192;
/** Bytes of such a half, not counting the result that fills it. */
export const RECENT_RESULTS_BYTES_MAX = 1 * MiB;

/** Ticks before the next session expiry at which a sleeping ensemble wakes: time for an election and a heartbeat. */
export const WAKE_EARLY_TICKS = 2;

/** Failures to apply one txn, in a row, after which a member stops. */
export const APPLY_FAILURES_MAX = 2;
/** Pause after which a stopped member retries, ms: a later build of the same version may work. */
export const APPLY_RETRY_MS = 60 * SECOND_MS;

/** Bytes of rows read at once while sessions are loaded. */
export const LOAD_PAGE_BYTES = 1 * MiB;
/** Bytes of rows that are checked at a start: about 1,300 rows of 100 B, 7 ms. A small tree is checked as a whole. */
export const START_SCRUB_BYTES = 256 * KiB;
/** Bytes of rows that are checked in the background at each tick: about 350 rows of 100 B, 2 ms. */
export const SCRUB_BYTES = 64 * KiB;

/** Maximum of characters of an unknown message type that a refusal quotes. */
export const MESSAGE_TYPE_LENGTH_MAX = 40;

/** Bytes of an answer from one object to another: the platform ends a message at 32 MiB, and the rest is headroom. */
export const ANSWER_BYTES_MAX = 30 * MiB;

/** Unread bytes above which a client's requests wait. One answer may exceed it. */
export const UNREAD_BYTES_MAX = 1 * MiB;
/** Unread bytes at which the connection is closed at once: reached only by watch events, and by clients without marks. */
export const UNREAD_BYTES_END = 8 * MiB;
/** A connection with more than {@link UNREAD_BYTES_MAX} unread is closed if its client reads nothing for this long; ms. */
export const STALL_MS_MAX = 20 * SECOND_MS;
/** Bytes of answers between two marks. */
export const MARK_BYTES = 256 * KiB;
/** An answer up to this length is small; bytes. */
export const SMALL_BYTES_MAX = 4 * KiB;
/** Assumed rate at which a client without marks reads small answers while it sends requests; bytes/ms. */
export const SMALL_BYTES_PER_MS = (4 * MiB) / SECOND_MS;

/** Maximum cost of one connection before the next one is served; bytes. Some 2,500 small writes, about 2 ms. */
export const SHARE_COST = 512 * KiB;
/** Maximum cost of all connections between two turns of I/O; bytes. About 4 ms. */
export const TURN_COST = 1 * MiB;
/** A request's cost beyond its bytes and those of its answer. */
export const REQUEST_COST = 64;
/** Time after which an unspent budget is renewed; ms. */
export const TURN_MS = 5;

/** Maximum of waiting requests of one connection, bytes; more than any client sends without waiting for answers. */
export const INBOX_BYTES_MAX = 16 * MiB;
/** Maximum of watch events of one connection that wait for its client to read. */
export const WAITING_EVENTS_MAX = 65_536;
/** Capacity of the buffer that a connection keeps; a longer message gets its own buffer. Bytes. */
export const KEPT_BUFFER_BYTES_MAX = 64 * KiB;
/** Spare capacity after a long answer, for a mark and short answers; bytes. */
export const ANSWER_SLACK_BYTES = 4 * KiB;

/** Fills in the defaults. @throws AssertionError for a value out of range */
export function makeServerConfig(overrides: Partial<ServerConfig> = {}): ServerConfig {
  const zab = makeZabConfig(
    Object.fromEntries(
      Object.entries(overrides).filter(([name]) => name in makeZabConfig()),
    ) as Partial<ZabConfig>,
  );
  const config: ServerConfig = {
    sessionTimeoutMsMin: 2 * zab.tickTimeMs,
    sessionTimeoutMsMax: 60 * zab.tickTimeMs,
    requestTimeoutMs: requestTimeouts(zab.tickTimeMs).keptMs,
    watchPatienceMs: 2,
    idlePatienceMs: 20,
    queueLengthMax: 65_536,
    queueBytesMax: 16 * MiB,
    checkpointChangesMax: 400,
    checkpointLogBytesMax: 4 * MiB,
    logRetainTxns: 10_000,
    znodeCacheBytes: ZNODE_CACHE_BYTES,
    eventsMax: 10_000,
    rareEventsMax: 1_000,
    eventsLingerMs: 30_000,
    quietAfterMs: 10 * zab.tickTimeMs,
    quietSessionsMax: 10_000,
    ...overrides,
    ...zab,
  };
  assert(config.sessionTimeoutMsMin > 0, "a session timeout is positive");
  assert(config.sessionTimeoutMsMin <= config.sessionTimeoutMsMax, "the session timeouts are a range");
  assert(config.checkpointLogBytesMax <= config.diffBytesMax, "the log after a checkpoint fits into a DIFF");
  const { quietAfterMs } = config;
  assert(Number.isSafeInteger(quietAfterMs) && quietAfterMs >= 0, "quietAfterMs is a whole number");
  // Requests that a member forwarded before it became silent have arrived by then, or its link has broken.
  const least = (config.syncLimit + 1) * config.tickTimeMs;
  assert(quietAfterMs === 0 || quietAfterMs >= least, `quietAfterMs is 0 or at least ${least}`);
  return config;
}
