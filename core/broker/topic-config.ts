/**
 * Configurations of topics: which of Kafka's settings are built, which values they may have, and what holds by default.
 * A setting that is not built is refused rather than kept without effect; one that can have a single value here takes
 * that value only.
 *
 * @source Kafka documentation, "Topic-level configs"
 */
import { PARTITION_CONFIG } from "./config.ts";

/** *map name → value*, both as Kafka writes them. */
export type TopicConfig = Readonly<Record<string, string>>;

/** A setting that is built. */
interface Setting {
  readonly fallback: string;
  /** Why `value` cannot be; undefined when it can. */
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
  // batches are kept as they come, and compressed ones are refused
  "compression.type": oneOf("producer", "uncompressed"),
  [MAX_MESSAGE_BYTES]: {
    fallback: `${PARTITION_CONFIG.batchBytesMax}`,
    problem: (value) =>
      bytesOf(value) === undefined ? `an integer from 0 to ${PARTITION_CONFIG.batchBytesMax}` : undefined,
  },
  "message.timestamp.type": oneOf("CreateTime"),
  // a partition has one log, whichever broker leads it
  "min.insync.replicas": oneOf("1"),
  "retention.bytes": oneOf("-1"),
  "retention.ms": oneOf("-1"),
  "unclean.leader.election.enable": oneOf("false"),
};

/** Kafka's other settings. */
const NOT_BUILT: ReadonlySet<string> = new Set([
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

/** Why a topic cannot have this configuration; undefined when it can. Code: INVALID_CONFIG. */
export function topicConfigProblem(config: TopicConfig): string | undefined {
  for (const [name, value] of Object.entries(config)) {
    const setting = settingOf(name);
    if (setting === undefined) {
      if (NOT_BUILT.has(name)) return `"${name}" is not built; ${built()}`;
      return `there is no configuration "${name.slice(0, 100)}"; ${built()}`;
    }
    const problem = setting.problem(value);
    if (problem !== undefined) return `"${name}" cannot be "${value.slice(0, 100)}": ${problem}`;
  }
  return undefined;
}

const built = (): string => `the configurations are ${Object.keys(SETTINGS).join(", ")}`;

/** What holds for a topic: what is stored, as it is, over what holds by default. */
export function effectiveConfig(stored: TopicConfig): TopicConfig {
  const defaults = Object.entries(SETTINGS).map(([name, { fallback }]) => [name, fallback] as const);
  return Object.fromEntries([...defaults, ...Object.entries(stored)]);
}

/** Is this what holds when nothing is stored? */
export const isDefault = (name: string, value: string): boolean => settingOf(name)?.fallback === value;

/** Most bytes of one batch of the topic. A value of an earlier version that is none holds nothing. */
export const batchBytesMaxOf = (stored: TopicConfig): number =>
  bytesOf(stored[MAX_MESSAGE_BYTES] ?? "") ?? PARTITION_CONFIG.batchBytesMax;

function bytesOf(value: string): number | undefined {
  const bytes = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  return bytes <= PARTITION_CONFIG.batchBytesMax ? bytes : undefined;
}
