import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeText, encodeText } from "../../../core/broker/json-text.ts";
import {
  baseZnodes,
  decodeClusterId,
  decodeController,
  decodeControllerEpoch,
  decodeRegistration,
  decodeState,
  decodeTopic,
  electionOps,
  encodeController,
  encodeControllerEpoch,
  encodeRegistration,
  encodeState,
  encodeTopic,
  encodeTopicConfig,
  statePath,
  topicConfigPath,
} from "../../../core/broker/znodes.ts";

const text = (bytes: Uint8Array): string => decodeText(bytes) ?? "";
const parsed = (bytes: Uint8Array): unknown => JSON.parse(text(bytes));

describe("znodes of the brokers", () => {
  test("[BROKER-11] payloads are Kafka's, field by field", () => {
    expect(parsed(encodeRegistration({ host: "h", port: 9090, timestampMs: 17 }))).toEqual({
      version: 5,
      host: "h",
      port: 9090,
      endpoints: ["PLAINTEXT://h:9090"],
      jmx_port: -1,
      timestamp: "17",
      listener_security_protocol_map: { PLAINTEXT: "PLAINTEXT" },
      features: {},
    });
    expect(parsed(encodeController(1, 1_700_000_000_000))).toEqual({
      version: 2,
      brokerid: 1,
      timestamp: "1700000000000",
      kraftControllerEpoch: -1,
    });
    expect(text(encodeControllerEpoch(7))).toBe("7");
    const topic = encodeTopic({
      topicId: "q1Sh-9_ISia_zwGINzRvyQ",
      partitions: new Map([
        [0, [1, 2]],
        [1, [2, 1]],
      ]),
    });
    expect(parsed(topic)).toEqual({
      version: 3,
      partitions: { "0": [1, 2], "1": [2, 1] },
      adding_replicas: {},
      removing_replicas: {},
      topic_id: "q1Sh-9_ISia_zwGINzRvyQ",
    });
    expect(parsed(encodeState({ leader: 1, leaderEpoch: 4, controllerEpoch: 7, isr: [1, 2] }))).toEqual({
      version: 1,
      leader: 1,
      leader_epoch: 4,
      controller_epoch: 7,
      isr: [1, 2],
    });
    expect(parsed(encodeTopicConfig({ "retention.ms": "1000" }))).toEqual({
      version: 1,
      config: { "retention.ms": "1000" },
    });
  });

  test("[BROKER-11] paths are Kafka's, and the base holds every parent before its child", () => {
    expect(statePath("t", 3)).toBe("/brokers/topics/t/partitions/3/state");
    expect(topicConfigPath("t")).toBe("/config/topics/t");
    const base = baseZnodes("id");
    const made = new Set([""]);
    for (const { path } of base) {
      expect(made.has(path.slice(0, path.lastIndexOf("/"))), path).toBe(true);
      expect(made.has(path), path).toBe(false);
      made.add(path);
    }
    for (const path of [
      "/brokers/ids",
      "/brokers/topics",
      "/brokers/seqid",
      "/admin/delete_topics",
      "/config/topics",
    ])
      expect(made.has(path), path).toBe(true);
    const id = base.find(({ path }) => path === "/cluster/id");
    expect(decodeClusterId(id?.data ?? null)).toBe("id");
    expect(parsed(id?.data ?? new Uint8Array())).toEqual({ version: "1", id: "id" });
  });

  test("[BROKER-11] an encoded payload is decoded unchanged", () => {
    const ids = fc.array(fc.nat(99), { maxLength: 5 });
    const assignment = fc.uniqueArray(fc.tuple(fc.nat(999), ids), { selector: ([p]) => p, maxLength: 6 });
    fc.assert(
      fc.property(
        assignment,
        fc.nat(),
        fc.nat(),
        fc.nat(),
        ids,
        (partitions, leader, leaderEpoch, controllerEpoch, isr) => {
          const sorted = new Map([...partitions].sort(([a], [b]) => a - b));
          const topic = { topicId: "abc", partitions: sorted };
          expect(decodeTopic(encodeTopic(topic))).toEqual(topic);
          const state = { leader, leaderEpoch, controllerEpoch, isr };
          expect(decodeState(encodeState(state))).toEqual(state);
          expect(decodeControllerEpoch(encodeControllerEpoch(controllerEpoch))).toBe(controllerEpoch);
          expect(decodeController(encodeController(leader, 1))).toBe(leader);
        },
      ),
    );
    const registration = { host: "localhost", port: 9091, timestampMs: 5 };
    expect(decodeRegistration(encodeRegistration(registration))).toEqual(registration);
  });

  test("[CONTROLLER-9] payloads that no broker wrote are decoded as absent and never throw", () => {
    const decoders = [
      decodeTopic,
      decodeState,
      decodeController,
      decodeControllerEpoch,
      decodeRegistration,
      decodeClusterId,
    ];
    const bad = [
      null,
      encodeText(""),
      encodeText("null"),
      encodeText("[]"),
      encodeText('"x"'),
      encodeText("{"),
      Uint8Array.of(0xff),
    ];
    for (const decode of decoders) for (const bytes of bad) expect(decode(bytes)).toBeUndefined();
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const decode of decoders) decode(encodeText(JSON.stringify(value)));
      }),
    );
    const topics = [
      { topic_id: "x" },
      { topic_id: "", partitions: {} },
      { topic_id: "../x", partitions: {} },
      { topic_id: "x", partitions: { a: [1] } },
      { topic_id: "x", partitions: { "0": [-1] } },
      { topic_id: "x", partitions: { "0": ["1"] } },
      { topic_id: "x", partitions: { "0": 1 } },
    ];
    for (const topic of topics)
      expect(decodeTopic(encodeText(JSON.stringify(topic))), JSON.stringify(topic)).toBeUndefined();
    const state = { leader: 1, leader_epoch: 1, controller_epoch: 1, isr: [1] };
    for (const change of [
      { leader: "1" },
      { leader_epoch: 1.5 },
      { controller_epoch: null },
      { isr: [null] },
    ])
      expect(decodeState(encodeText(JSON.stringify({ ...state, ...change })))).toBeUndefined();
    for (const epoch of ["-1", "1.5", "1e3", " 1", "9".repeat(20)])
      expect(decodeControllerEpoch(encodeText(epoch))).toBeUndefined();
  });

  test("[CONTROLLER-1] the election is one multi: the ephemeral and the next epoch under the version that was read", () => {
    const ops = electionOps(2, { controllerEpoch: 6, version: 9 }, 1);
    expect(ops).toMatchObject([
      { type: "create", path: "/controller", mode: 1 },
      { type: "setData", path: "/controller_epoch", version: 9 },
    ]);
    const [, epoch] = ops;
    expect(epoch?.type === "setData" && decodeControllerEpoch(epoch.data)).toBe(7);
  });
});
