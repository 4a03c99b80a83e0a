/** Limits and timeouts of the ensemble, with units and reasons; validated once, when a configuration is made. */
import { assert } from "../assert.ts";
import { KiB, MiB } from "../units.ts";
import { COUNTER_MAX } from "./zxid.ts";

/**
 * Limits and timeouts, as configured.
 * Invariant: what {@link makeZabConfig} asserts.
 *
 * @source ZooKeeper zoo.cfg (tickTime, initLimit, syncLimit)
 */
export interface ZabConfig {
  /** basic unit: one ping per peer per tick */
  readonly tickTimeMs: number;
  /** ticks allowed for discovery and synchronization together */
  readonly initLimit: number;
  /** ticks of silence after which a peer counts as gone */
  readonly syncLimit: number;
  /** how long a peer waits for a better vote once a quorum agrees and some voter has neither answered nor refused its call */
  readonly finalizeWaitMs: number;
  /** first pause before votes are sent again; doubles up to {@link electionRetryMsMax} */
  readonly electionRetryMs: number;
  readonly electionRetryMsMax: number;
  /**
   * pause before a peer leads again after a leadership that ended without having served; doubles with each such leadership
   * in a row, up to {@link electionPauseMsMax}. Each of them costs an epoch, and its cause may persist
   */
  readonly electionPauseMs: number;
  /** the longest such pause; at most half of initLimit, see {@link ZabTimeouts} */
  readonly electionPauseMsMax: number;
  /** bytes of one PROPOSAL, and so of one log row; a single larger txn forms a batch of its own */
  readonly batchBytesMax: number;
  /** proposed batches that are not committed yet; further writes wait in the gather queue */
  readonly batchesInFlightMax: number;
  /** batches sent to one learner and not yet acknowledged by it */
  readonly learnerInFlightMax: number;
  /** a learner that is further behind than this receives SNAP instead of DIFF, so that DIFF fits in memory */
  readonly diffBytesMax: number;
  /** bytes of one SNAP chunk */
  readonly snapChunkBytesMax: number;
  /** rate of a SNAP while clients are served: about a quarter of what a leader could read */
  readonly snapBytesPerSecond: number;
  /** the counter after which a leader steps down for a new epoch */
  readonly counterMax: number;
}

/** The defaults. */
export const DEFAULT_ZAB_CONFIG: ZabConfig = {
  tickTimeMs: 1000,
  initLimit: 10,
  syncLimit: 2,
  finalizeWaitMs: 60,
  electionRetryMs: 100,
  electionRetryMsMax: 1000,
  electionPauseMs: 200,
  electionPauseMsMax: 5000,
  batchBytesMax: 256 * KiB,
  batchesInFlightMax: 2,
  learnerInFlightMax: 4,
  diffBytesMax: 16 * MiB,
  snapChunkBytesMax: 64 * KiB,
  snapBytesPerSecond: 4 * MiB,
  counterMax: 0xffff_0000,
};

/** Timeouts of Zab that are configured in ticks, in ms. They affect liveness only. */
export interface ZabTimeouts {
  /** interval between two pings to one peer */
  readonly tickMs: number;
  /** for discovery and synchronization together, without progress */
  readonly initMs: number;
  /** silence after which a peer counts as gone */
  readonly syncMs: number;
  /** how long a leader lets a learner wait; shorter than the learner's own timeout */
  readonly answersMs: number;
  /** the longest pause before a peer leads again; shorter than the time for which its voters wait for it */
  readonly electionPauseMsMax: number;
  /** an incarnation that ends sooner counts as short */
  readonly shortIncarnationMs: number;
}

/** The only place where ticks become ms. */
export function zabTimeouts({
  tickTimeMs,
  initLimit,
  syncLimit,
  electionPauseMsMax,
}: ZabConfig): ZabTimeouts {
  return {
    tickMs: tickTimeMs,
    initMs: initLimit * tickTimeMs,
    syncMs: syncLimit * tickTimeMs,
    answersMs: (initLimit - syncLimit) * tickTimeMs,
    electionPauseMsMax: Math.min(electionPauseMsMax, (initLimit * tickTimeMs) / 2),
    shortIncarnationMs: 2 * initLimit * tickTimeMs,
  };
}

/** bytes of the proposals held back for one learner at which they are sent: its turn to log and apply them stays short */
export const HELD_BYTES_MAX = 64 * KiB;
/** a learner that has owed an ack for longer than this and {@link LATE_ROUND_TRIPS} is late, and no quorum relies on it; ms */
export const LATE_MS = 20;
/** round trips added to {@link LATE_MS}: a ping does not include the learner's write */
export const LATE_ROUND_TRIPS = 4;
/** a learner replaces another one in the prompt quorum only if it is nearer by more than this; ms */
export const PROMPT_MARGIN_MS = 5;

/** bytes of a txn that changes nothing: length and header */
const TXN_BYTES_MIN = 36;

/** Fills in the defaults. @throws AssertionError for a value out of range */
export function makeZabConfig(overrides: Partial<ZabConfig> = {}): ZabConfig {
  const config = { ...DEFAULT_ZAB_CONFIG, ...overrides };
  for (const [name, value] of Object.entries(config)) {
    assert(Number.isSafeInteger(value) && value >= 0, `${name} is a whole number, not ${value}`);
  }
  assert(config.tickTimeMs >= 10, "tickTimeMs is at least 10");
  assert(config.syncLimit >= 1 && config.initLimit >= config.syncLimit, "1 ≤ syncLimit ≤ initLimit");
  assert(config.batchesInFlightMax >= 1 && config.learnerInFlightMax >= 1, "something may be in flight");
  const batchTxnsMax = Math.ceil(config.batchBytesMax / TXN_BYTES_MIN);
  assert(config.counterMax + batchTxnsMax <= COUNTER_MAX, "counterMax leaves room for the txns of one batch");
  return config;
}
