/** Limits of a member beyond Zab's own, with units and reasons. Those that a deployment may set are validated once. */
import { assert } from "../assert.ts";
import { KiB, MiB, SECOND_MS } from "../units.ts";
import { makeZabConfig, type ZabConfig } from "../zab/config.ts";

/** Limits and timeouts that a deployment may set; defaults by {@link makeServerConfig}. */
export interface ServerConfig extends ZabConfig {
  /** a client's wish for a session timeout is brought into this range */
  readonly sessionTimeoutMsMin: number;
  readonly sessionTimeoutMsMax: number;
  /** how long a write may wait for its commit, elections included */
  readonly requestTimeoutMs: number;
  /** how long a commit may take to be known at a follower where a client watches or reads */
  readonly watchPatienceMs: number;
  /** the same where no client is */
  readonly idlePatienceMs: number;
  /** writes that may wait at one member; more are refused as THROTTLED */
  readonly queueLengthMax: number;
  /** bytes of the writes that may wait at one member: all may go to a new leader in one call, which the platform ends at 32 MiB */
  readonly queueBytesMax: number;
  /** changed znodes and sessions that make a checkpoint due: about 4 ms of rows */
  readonly checkpointChangesMax: number;
  /** log bytes that make a checkpoint due, so that recovery stays short */
  readonly checkpointLogBytesMax: number;
  /** without a client for so long, the ensemble falls asleep; 0: never. Longer than a silent peer is borne */
  readonly quietAfterMs: number;
  /** an ensemble with more sessions stays awake: their deadlines are one row of a member, which holds 2 MB */
  readonly quietSessionsMax: number;
  /** events that a member keeps for listeners while somebody listens: about 2 MB, a minute of 50 writes/s */
  readonly eventsMax: number;
  /** rare events (votes, roles, links, faults …) that it keeps always: an election of nine members makes about 100 */
  readonly rareEventsMax: number;
  /** how long all events are recorded after the last listener left, so that it can come back */
  readonly eventsLingerMs: number;
  /** txns that stay in the log below the checkpoint, for learners that come back */
  readonly logRetainTxns: number;
}

/** Timeouts of a request, ms. Each is longer than what it waits for. */
export interface RequestTimeouts {
  /** how long a node keeps a write, elections included, until it says that the outcome is unknown */
  readonly keptMs: number;
  /** the wait for a node's answer to a write: the node knows better whether it can have happened */
  readonly writeMs: number;
  /** the wait for a node's answer to a read, which is then repeated at another */
  readonly readMs: number;
  /** how long a request that was not carried out is repeated: an election takes less */
  readonly retryMs: number;
}

/** However short a tick is, a busy machine takes this long; ms. */
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

/** Bytes of a txn beyond the request's body, at most: what a batch must have room for. */
export const TXN_OVERHEAD_BYTES = 128;

/** Writes that leave at once, and the size of recent batches that counts as thin traffic; see `Gather`. */
export const GATHER_THIN_MAX = 2;

/** Results of recent writes in one half of `RecentResults`: more than a client has under way. */
export const RECENT_RESULTS_MAX = 8_192;
/** Bytes of such a half, not counting the result that fills it. */
export const RECENT_RESULTS_BYTES_MAX = 1 * MiB;

/** Ticks before the next session expiry at which a sleeping ensemble wakes: time for an election and a sign of life. */
export const WAKE_EARLY_TICKS = 2;

/** Failures to apply one txn, in a row, after which a member stops. */
export const APPLY_FAILURES_MAX = 2;
/** Pause after which a stopped member retries, ms: a later build of the same version may work. */
export const APPLY_RETRY_MS = 60 * SECOND_MS;

/** Bytes of rows read at once while a tree is loaded. */
export const LOAD_PAGE_BYTES = 1 * MiB;

/** Characters of an unknown message type that a refusal repeats. */
export const MESSAGE_TYPE_LENGTH_MAX = 40;

/** Bytes of an answer from one object to another: the platform ends a message at 32 MiB, and the rest is headroom. */
export const ANSWER_BYTES_MAX = 30 * MiB;

/** A client with so many unread bytes is not served: its requests wait. One answer may exceed it. */
export const UNREAD_BYTES_MAX = 1 * MiB;
/** Unread bytes at which the connection is closed at once: only watch events, and clients without marks, get there. */
export const UNREAD_BYTES_END = 8 * MiB;
/** A client that does not read for so long is closed while it has more than {@link UNREAD_BYTES_MAX} unread; ms. */
export const STALL_MS_MAX = 20 * SECOND_MS;
/** Bytes of answers between two marks. */
export const MARK_BYTES = 256 * KiB;
/** An answer up to this length is small; bytes. */
export const SMALL_BYTES_MAX = 4 * KiB;
/** How fast a client without marks, that keeps asking, is taken to read small answers; bytes/ms. */
export const SMALL_BYTES_PER_MS = (4 * MiB) / SECOND_MS;

/** What one connection may cost before the next one is served; bytes. Some 2,500 small writes, about 2 ms. */
export const SHARE_COST = 512 * KiB;
/** What all connections together may cost between two turns of I/O; bytes. About 4 ms. */
export const TURN_COST = 1 * MiB;
/** A request's cost beyond its bytes and those of its answer. */
export const REQUEST_COST = 64;
/** A budget that was not spent in this time begins again; ms. */
export const TURN_MS = 5;

/** Requests of one connection that wait unserved; more than any client has that waits for answers. Bytes. */
export const INBOX_BYTES_MAX = 16 * MiB;
/** Watch events of one connection that wait for its client to read. */
export const WAITING_EVENTS_MAX = 65_536;
/** A longer message leaves in a buffer of its own, so that a connection keeps no more than this; bytes. */
export const KEPT_BUFFER_BYTES_MAX = 64 * KiB;
/** Room behind a long answer: for a mark, and short answers; bytes. */
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
    checkpointChangesMax: 1_000,
    checkpointLogBytesMax: 4 * MiB,
    logRetainTxns: 10_000,
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
  assert(config.checkpointLogBytesMax <= config.diffBytesMax, "what follows a checkpoint fits into a DIFF");
  const { quietAfterMs } = config;
  assert(Number.isSafeInteger(quietAfterMs) && quietAfterMs >= 0, "quietAfterMs is a whole number");
  // What a member forwarded before it fell silent has arrived by then, or its link has broken.
  const least = (config.syncLimit + 1) * config.tickTimeMs;
  assert(quietAfterMs === 0 || quietAfterMs >= least, `quietAfterMs is 0 or at least ${least}`);
  return config;
}
