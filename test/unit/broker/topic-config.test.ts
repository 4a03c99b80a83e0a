import { describe, expect, test } from "vitest";
import { encodeText } from "../../../core/broker/json-text.ts";
import {
  batchBytesMaxOf,
  effectiveConfig,
  isDefault,
  topicConfigProblem,
} from "../../../core/broker/topic-config.ts";
import { decodeTopicConfig, encodeTopicConfig } from "../../../core/broker/znodes.ts";

describe("a topic's configuration", () => {
  test("[CONFIG-2] accepts implemented settings with valid values", () => {
    const defaults = effectiveConfig({});
    expect(topicConfigProblem(defaults)).toBeUndefined();
    expect(Object.entries(defaults).every(([name, value]) => isDefault(name, value))).toBe(true);
    for (const bytes of ["0", "10", "1048588"])
      expect(topicConfigProblem({ "max.message.bytes": bytes })).toBeUndefined();
    expect(topicConfigProblem({ "compression.type": "uncompressed" })).toBeUndefined();
  });

  test("[CONFIG-2] refuses unknown names, settings that are not implemented, and other values", () => {
    const refused: readonly (readonly [string, string, RegExp])[] = [
      ["no.such.setting", "1", /^there is no configuration "no\.such\.setting"/],
      ["__proto__", "1", /^there is no configuration/],
      ["constructor", "1", /^there is no configuration/],
      ["", "1", /^there is no configuration/],
      ["segment.bytes", "1", /^"segment\.bytes" is not supported/],
      ["cleanup.policy", "compact", /only "delete" is built/],
      ["cleanup.policy", "delete,compact", /only "delete" is built/],
      ["retention.ms", "60000", /only "-1" is built/],
      ["min.insync.replicas", "banana", /only "1" is built/],
      ["unclean.leader.election.enable", "true", /only "false" is built/],
      ...["-1", "1048589", "1.5", "1e3", "", " 10", "9".repeat(30)].map(
        (value) => ["max.message.bytes", value, /an integer from 0 to 1048588/] as const,
      ),
    ];
    for (const [name, value, words] of refused)
      expect(topicConfigProblem(Object.fromEntries([[name, value]])), `${name}=${value}`).toMatch(words);
  });

  test("[CONFIG-3] of an earlier version is shown as it is stored, and applies where it is valid", () => {
    const stored = { "no.such.setting": "1", "max.message.bytes": "10", "min.insync.replicas": "banana" };
    expect(decodeTopicConfig(encodeTopicConfig(stored))).toEqual(stored);
    expect(effectiveConfig(stored)).toMatchObject({ ...stored, "cleanup.policy": "delete" });
    expect(batchBytesMaxOf(stored)).toBe(10);
    expect(batchBytesMaxOf({ "max.message.bytes": "many" })).toBe(1_048_588);
    for (const text of ["", "[]", '{"config":null}', '{"config":[1]}', '{"config":{"a":1}}'])
      expect(decodeTopicConfig(encodeText(text))).toEqual({});
  });
});
