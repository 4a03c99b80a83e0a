/** Limits and timeouts of brokers and partitions, with units: two validated tables. */
import { assert } from "../assert.ts";
import { KiB, MINUTE_MS, MiB, SECOND_MS } from "../units.ts";

/** Times and limits of a broker. */
export interface BrokerConfig {
  /** silence after which a broker counts as gone if its calls do not break; a crash is noticed at once */
  readonly sessionTimeoutMs: number;
  /** interval of the alarm, each of which touches the session once */
  readonly heartbeatMs: number;
  /** duration of one parked call; then the next one begins */
  readonly parkMs: number;
  /** timeout of the probe that follows a broken parked call */
  readonly probeTimeoutMs: number;
  /** timeout of one attempt at one node of the ensemble */
  readonly attemptTimeoutMs: number;
  /** timeout of all attempts of one write; longer than an election of the ensemble */
  readonly writeDeadlineMs: number;
  /** how long a caller waits for a broker that is starting, or for a new topic to get leaders */
  readonly readyDeadlineMs: number;
  /** how long a new topic waits for brokers that are starting, so that its replicas are distributed over all */
  readonly formationMs: number;
  /** pause after a failed round of the main loop */
  readonly retryMs: number;
  /** writes that may wait for the current one */
  readonly writeQueueMax: number;
  /** partitions of one topic, and of all topics */
  readonly partitionsPerTopicMax: number;
  readonly partitionsMax: number;
  /** partitions changed by one multi */
  readonly partitionsPerMultiMax: number;
  readonly replicationFactorDefault: number;
  /** reads of znodes sent together; they are answered from memory */
  readonly readsAtOnce: number;
  /**
   * concurrent calls of partitions; the platform allows six per object. After each group of calls, timers and sockets get a
   * turn
   */
  readonly callsAtOnce: number;
  readonly callsPerTurn: number;
  /** interval at which it is checked whether a partition knows its leader */
  readonly tellPollMs: number;
}

/** The defaults. */
export const BROKER_CONFIG: BrokerConfig = {
  sessionTimeoutMs: 5 * SECOND_MS,
  heartbeatMs: 1 * SECOND_MS,
  parkMs: 20 * SECOND_MS,
  probeTimeoutMs: 1 * SECOND_MS,
  attemptTimeoutMs: 2 * SECOND_MS,
  writeDeadlineMs: 5 * SECOND_MS,
  readyDeadlineMs: 8 * SECOND_MS,
  formationMs: 500,
  retryMs: 50,
  writeQueueMax: 1000,
  partitionsPerTopicMax: 64,
  partitionsMax: 1000,
  partitionsPerMultiMax: 30,
  replicationFactorDefault: 3,
  readsAtOnce: 50,
  callsAtOnce: 4,
  callsPerTurn: 64,
  tellPollMs: 5,
};

/** Times and limits of a partition. */
export interface PartitionConfig {
  /** Kafka's `max.message.bytes`: one batch */
  readonly batchBytesMax: number;
  /** one append call */
  readonly appendBytesMax: number;
  /** one row: SQLite refuses values of 2 MB */
  readonly chunkBytesMax: number;
  /** appends that may wait for a flush, and their bytes */
  readonly queueLengthMax: number;
  readonly queueBytesMax: number;
  /** batches larger than this wait for one turn of the event loop before a flush */
  readonly gatherMin: number;
  /** bytes of one read: the maximum, and the default if the reader names none */
  readonly readBytesMax: number;
  readonly readBytesDefault: number;
  /** longest long poll */
  readonly waitMsMax: number;
  readonly waitersMax: number;
  /** one frame of a tail; a tail has one frame under way */
  readonly tailFrameBytesMax: number;
  readonly tailsMax: number;
  /** tails that are served in one turn: about 2 ms */
  readonly tailsPerTurn: number;
  /** how long an idempotency key is remembered, and how many of the newest ones */
  readonly idempotencyWindowMs: number;
  readonly idempotencyKeysMax: number;
  /** keys that one alarm forgets */
  readonly idempotencySlice: number;
  /** bytes of the newest chunks kept in memory for tails and long polls */
  readonly cacheBytesMax: number;
  /** leader epochs that are read at a start and shown in a status: the newest */
  readonly epochsMax: number;
  /** delay after a commit until the end of the log is stored, and minimum interval between two such writes */
  readonly noteEndDelayMs: number;
  readonly noteEndPauseMs: number;
  /** timeout of one request to a broker for the leader */
  readonly findLeaderMs: number;
  /** lateness after which an alarm counts as lost; no client waits for the expiry of a key */
  readonly alarmSlackMs: number;
}

/** The defaults. */
export const PARTITION_CONFIG: PartitionConfig = {
  batchBytesMax: 1 * MiB + 12,
  appendBytesMax: 1 * MiB + 64 * KiB,
  chunkBytesMax: 1_900_000,
  queueLengthMax: 4096,
  queueBytesMax: 16 * MiB,
  gatherMin: 2,
  readBytesMax: 4 * MiB,
  readBytesDefault: 1 * MiB,
  waitMsMax: 30 * SECOND_MS,
  waitersMax: 10_000,
  tailFrameBytesMax: 512 * KiB,
  tailsMax: 10_000,
  tailsPerTurn: 64,
  idempotencyWindowMs: 24 * 60 * MINUTE_MS,
  idempotencyKeysMax: 1_000_000,
  idempotencySlice: 1000,
  cacheBytesMax: 1 * MiB,
  epochsMax: 100,
  noteEndDelayMs: 1 * SECOND_MS,
  noteEndPauseMs: 5 * SECOND_MS,
  findLeaderMs: 2 * SECOND_MS,
  alarmSlackMs: MINUTE_MS,
};

/** Checks the consistency of the numbers. @throws AssertionError */
export function validateBrokerConfig(config: BrokerConfig): BrokerConfig {
  for (const [name, value] of Object.entries(config))
    assert(Number.isSafeInteger(value) && value > 0, `${name} is a positive integer`);
  assert(config.heartbeatMs * 2 < config.sessionTimeoutMs, "a session outlives two lost heartbeats");
  assert(config.attemptTimeoutMs < config.writeDeadlineMs, "a write has more than one attempt");
  assert(config.partitionsPerTopicMax <= config.partitionsMax, "a topic fits into a cluster");
  return config;
}

/** Checks the consistency of the numbers. @throws AssertionError */
export function validatePartitionConfig(config: PartitionConfig): PartitionConfig {
  for (const [name, value] of Object.entries(config))
    assert(Number.isSafeInteger(value) && value > 0, `${name} is a positive integer`);
  assert(config.batchBytesMax <= config.appendBytesMax, "one batch fits into an append");
  assert(config.appendBytesMax <= config.chunkBytesMax, "one append fits into a chunk");
  assert(config.chunkBytesMax < 2_000_000, "a chunk fits into a row");
  return config;
}
