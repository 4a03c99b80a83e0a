/** Names and partition counts of topics, and the partition of a record key. */
import type { BrokerConfig } from "./config.ts";

/** Bytes of the longest name, as Kafka has it: a file name without `-12345678.log`. */
export const TOPIC_NAME_LENGTH_MAX = 249;

/**
 * Why a text is no valid name of a topic; undefined if it is one.
 * @source Kafka `org.apache.kafka.common.internals.Topic`
 */
export function topicNameProblem(name: string): string | undefined {
  if (name === "") return "a topic's name is not empty";
  if (name === "." || name === "..") return "a topic's name is not . or ..";
  if (name.length > TOPIC_NAME_LENGTH_MAX)
    return `a topic's name has at most ${TOPIC_NAME_LENGTH_MAX} characters`;
  return /^[A-Za-z0-9._-]+$/.test(name)
    ? undefined
    : "a topic's name has only letters, digits, dots, dashes and underscores";
}

/** Parses a partition number in a URL; undefined if it is none. */
export function partitionFromText(text: string): number | undefined {
  return /^(0|[1-9]\d{0,5})$/.test(text) ? Number(text) : undefined;
}

/** Why a number of partitions is invalid; undefined if it is valid. @param existing partitions of all topics */
export function partitionCountProblem(
  count: number,
  existing: number,
  config: BrokerConfig,
): string | undefined {
  if (!Number.isSafeInteger(count) || count < 1) return "a topic has at least one partition";
  if (count > config.partitionsPerTopicMax)
    return `a topic has at most ${config.partitionsPerTopicMax} partitions`;
  return existing + count > config.partitionsMax
    ? `all topics have at most ${config.partitionsMax} partitions`
    : undefined;
}

/**
 * The partition of the records of a key: the one that Kafka's own clients choose.
 * @source Kafka `Utils.murmur2`, `BuiltInPartitioner`
 */
export const partitionOfKey = (key: Uint8Array, partitions: number): number =>
  (murmur2(key) & 0x7fff_ffff) % partitions;

const M = 0x5bd1e995;

/** 32-bit MurmurHash2 with Kafka's seed. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  let hash = 0x9747b28c ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let word =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24);
    word = Math.imul(word, M);
    word ^= word >>> 24;
    hash = Math.imul(hash, M) ^ Math.imul(word, M);
  }
  const left = length - at;
  if (left === 3) hash ^= (bytes[at + 2] ?? 0) << 16;
  if (left >= 2) hash ^= (bytes[at + 1] ?? 0) << 8;
  if (left >= 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), M);
  hash = Math.imul(hash ^ (hash >>> 13), M);
  return hash ^ (hash >>> 15);
}
