/**
 * Configurations of topics: the supported settings of Kafka, their allowed values and defaults. An unsupported setting is
 * refused rather than stored without effect; a setting with a single possible value here accepts only that value.
 *
 * @source Kafka documentation, "Topic-level configs"
 */
import { PARTITION_CONFIG } from "./config.ts";

/** *map name → value*, both as Kafka writes them. */
export type TopicConfig = Readonly<Record<string, string>>;

/** A supported setting. */
interface Setting {
  readonly fallback: string;
  /** Why `value` is invalid; undefined if it is valid. */
  readonly problem: (value: string) => string | undefined;
}

/** A setting with a fixed set of values; the first is the default. */
function oneOf(...values: readonly [string, ...string[]]): Setting {
  const words = values.map((value) => `"${value}"`).join(" or ");
  return {
    fallback: values[0],
    problem: (value) => (values.includes(value) ? undefined : `only ${words} is built`),
  };
}

/** bytes of one record batch, header included */
const MAX_MESSAGE_BYTES = "max.message.bytes";

const SETTINGS: Readonly<Record<string, Setting>> = {
  "cleanup.policy": oneOf("delete"),
  // batches are stored as received, and compressed ones are refused
  "compression.type": oneOf("producer", "uncompressed"),
  [MAX_MESSAGE_BYTES]: {
    fallback: `${PARTITION_CONFIG.batchBytesMax}`,
    problem: (value) =>
      bytesOf(value) === undefined ? `an integer from 0 to ${PARTITION_CONFIG.batchBytesMax}` : undefined,
  },
  "message.timestamp.type": oneOf("CreateTime"),
  // all brokers share one log of a partition
  "min.insync.replicas": oneOf("1"),
  "retention.bytes": oneOf("-1"),
  "retention.ms": oneOf("-1"),
  "unclean.leader.election.enable": oneOf("false"),
};

/** Kafka's settings that are not supported. */
const UNSUPPORTED: ReadonlySet<string> = new Set([
  ...["compression.gzip.level", "compression.lz4.level", "compression.zstd.level", "delete.retention.ms"],
  ...["file.delete.delay.ms", "flush.messages", "flush.ms", "index.interval.bytes", "local.retention.bytes"],
  ...["follower.replication.throttled.replicas", "leader.replication.throttled.replicas"],
  ...[
    "local.retention.ms",
    "max.compaction.lag.ms",
    "message.downconversion.enable",
    "message.format.version",
  ],
  ...["message.timestamp.after.max.ms", "message.timestamp.before.max.ms"],
  ...["message.timestamp.difference.max.ms", "min.cleanable.dirty.ratio", "min.compaction.lag.ms"],
  ...["preallocate", "remote.log.copy.disable", "remote.log.delete.on.disable", "remote.storage.enable"],
  ...["segment.bytes", "segment.index.bytes", "segment.jitter.ms", "segment.ms"],
]);

const settingOf = (name: string): Setting | undefined =>
  Object.hasOwn(SETTINGS, name) ? SETTINGS[name] : undefined;

/** Why this configuration of a topic is invalid; undefined if it is valid. Code: INVALID_CONFIG. */
export function topicConfigProblem(config: TopicConfig): string | undefined {
  for (const [name, value] of Object.entries(config)) {
    const setting = settingOf(name);
    if (setting === undefined) {
      if (UNSUPPORTED.has(name)) return `"${name}" is not supported; ${supported()}`;
      return `there is no configuration "${name.slice(0, 100)}"; ${supported()}`;
    }
    const problem = setting.problem(value);
    if (problem !== undefined) return `"${name}" cannot be "${value.slice(0, 100)}": ${problem}`;
  }
  return undefined;
}

const supported = (): string => `the supported configurations are ${Object.keys(SETTINGS).join(", ")}`;

/** The effective configuration of a topic: the stored values over the defaults. */
export function effectiveConfig(stored: TopicConfig): TopicConfig {
  const defaults = Object.entries(SETTINGS).map(([name, { fallback }]) => [name, fallback] as const);
  return Object.fromEntries([...defaults, ...Object.entries(stored)]);
}

/** Whether this value is the default. */
export const isDefault = (name: string, value: string): boolean => settingOf(name)?.fallback === value;

/** Maximum of bytes of one batch of the topic. An invalid value that an earlier version stored is ignored. */
export const batchBytesMaxOf = (stored: TopicConfig): number =>
  bytesOf(stored[MAX_MESSAGE_BYTES] ?? "") ?? PARTITION_CONFIG.batchBytesMax;

function bytesOf(value: string): number | undefined {
  const bytes = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  return bytes <= PARTITION_CONFIG.batchBytesMax ? bytes : undefined;
}
