import { describe, expect, test } from "vitest";
import {
  BROKER_CONFIG,
  PARTITION_CONFIG,
  validateBrokerConfig,
  validatePartitionConfig,
} from "../../../core/broker/config.ts";
import { encodeText } from "../../../core/broker/json-text.ts";
import {
  murmur2,
  partitionCountProblem,
  partitionFromText,
  partitionOfKey,
  topicNameProblem,
} from "../../../core/broker/topic.ts";

describe("topics", () => {
  test("[TOPIC-1] a name is a file name of letters, digits, dots, dashes and underscores, at most 249 long", () => {
    for (const good of ["goals", "a", "A.b_c-9", "...", "x".repeat(249)])
      expect(topicNameProblem(good), good).toBeUndefined();
    for (const bad of ["", ".", "..", "a/b", "a b", "ü", "a\0", "x".repeat(250), "a%2fb"])
      expect(topicNameProblem(bad), bad).toBeTypeOf("string");
  });

  test("[TOPIC-2] a partition is a plain decimal number", () => {
    expect(partitionFromText("0")).toBe(0);
    expect(partitionFromText("17")).toBe(17);
    for (const bad of ["-1", "", "1.5", "01", "1e3", "0x1", "9999999", " 1"])
      expect(partitionFromText(bad), bad).toBeUndefined();
  });

  test("[TOPIC-3] partitions are limited per topic and in total", () => {
    expect(partitionCountProblem(1, 0, BROKER_CONFIG)).toBeUndefined();
    expect(partitionCountProblem(64, 936, BROKER_CONFIG)).toBeUndefined();
    for (const bad of [0, -1, 1.5, 65, Number.NaN])
      expect(partitionCountProblem(bad, 0, BROKER_CONFIG)).toBeTypeOf("string");
    expect(partitionCountProblem(64, 937, BROKER_CONFIG)).toBeTypeOf("string");
  });

  test("[TOPIC-4] keys hash as Kafka's clients hash them", () => {
    // the values of Kafka's own UtilsTest
    const known: [string, number][] = [
      ["21", -973932308],
      ["foobar", -790332482],
      ["a-little-bit-long-string", -985981536],
      ["a-little-bit-longer-string", -1486304829],
      ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
      ["abc", 479470107],
    ];
    for (const [text, hash] of known) expect(murmur2(encodeText(text)), text).toBe(hash);
    expect(partitionOfKey(encodeText("foobar"), 7)).toBe((-790332482 & 0x7fffffff) % 7);
  });

  test("[CONFIG-1] the limits of the broker are consistent", () => {
    expect(validateBrokerConfig(BROKER_CONFIG)).toBe(BROKER_CONFIG);
    expect(validatePartitionConfig(PARTITION_CONFIG)).toBe(PARTITION_CONFIG);
    expect(() =>
      validateBrokerConfig({ ...BROKER_CONFIG, heartbeatMs: BROKER_CONFIG.sessionTimeoutMs / 2 }),
    ).toThrow("session outlives");
    expect(() => validatePartitionConfig({ ...PARTITION_CONFIG, chunkBytesMax: 2_000_000 })).toThrow(
      "fits into a row",
    );
    expect(() => validatePartitionConfig({ ...PARTITION_CONFIG, waitMsMax: 0 })).toThrow("positive");
  });
});
