import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  readConnectRequest,
  readConnectResponse,
  writeConnectRequest,
  writeConnectResponse,
} from "../../../core/wire/jute/connect.ts";
import { readRequestHeader } from "../../../core/wire/jute/header.ts";
import { OpCode, ReservedXid } from "../../../core/wire/jute/opcodes.ts";
import { readReply, writeReply } from "../../../core/wire/jute/replies.ts";
import { readRequest, writeBareRequest, writeRequest } from "../../../core/wire/jute/requests.ts";
import { readWatcherEvent, writeNotification } from "../../../core/wire/jute/watcher-event.ts";
import { ByteReader } from "../../../core/wire/reader.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { ZXID_ZERO, zxid } from "../../../core/zab/zxid.ts";
import { NO_SESSION } from "../../../core/znode/types.ts";
import { readReplyHeader } from "../../reply-header.ts";
import { type Exchange, GoldenMember, masked } from "./golden.ts";

/** Exchanges recorded from ZooKeeper 3.8.0 that need nothing we have not built; names of children sorted, as we answer them. */
const recorded: Exchange[] = readFileSync(new URL("./golden.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));

const scenarios = Map.groupBy(recorded, (exchange) => exchange.name.slice(0, exchange.name.indexOf("/")));

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const reader = (text: string): ByteReader => new ByteReader(Uint8Array.from(Buffer.from(text, "hex")));

function written(write: (writer: ByteWriter) => void): string {
  const writer = new ByteWriter();
  write(writer);
  return hex(writer.finish());
}

describe("exchanges recorded from ZooKeeper", () => {
  for (const [scenario, exchanges] of scenarios) {
    test(`[WIRE-1] ${scenario}: the same answers, byte by byte`, () => {
      const member = new GoldenMember();
      for (const { name, conn, request, responses, mask } of exchanges) {
        const got = member.exchange(conn, request);
        expect(masked(got, mask), name).toEqual(masked(responses, mask));
      }
    });
  }

  test("[WIRE-1] there are enough of them", () => {
    expect(recorded.length).toBeGreaterThan(200);
    expect(scenarios.size).toBeGreaterThanOrEqual(10);
  });

  test("[WIRE-2] a request that was read is written as the same bytes", () => {
    let compared = 0;
    for (const { name, request } of recorded) {
      const from = reader(request);
      const { xid, opcode } = readRequestHeader(from);
      let decoded: ReturnType<typeof readRequest>;
      try {
        decoded = readRequest(from, opcode);
      } catch {
        continue;
      }
      // trailing bytes, flags that the opcode overrides, the err field of multi headers and the path of a sync are not kept
      if (decoded.kind !== "write" && decoded.kind !== "read") continue;
      if (opcode === OpCode.MULTI || opcode === OpCode.SYNC || from.left > 0 || name.includes("flag4"))
        continue;
      const again = decoded.request;
      expect(written((writer) => writeRequest(writer, xid, again)).slice(8), name).toBe(request);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(120);
  });

  test("[WIRE-2] a reply that was read is written as the same bytes", () => {
    let compared = 0;
    for (const { name, request, responses } of recorded) {
      const { opcode } = readRequestHeader(reader(request));
      for (const response of responses) {
        const from = reader(response);
        const { xid, zxid, err } = readReplyHeader(from);
        if (xid === ReservedXid.NOTIFICATION) {
          const event = readWatcherEvent(from);
          expect(written((writer) => writeNotification(writer, zxid, event)).slice(8), name).toBe(response);
          compared += 1;
          continue;
        }
        if (opcode === OpCode.SYNC || opcode === OpCode.GET_CHILDREN) continue;
        const reply = readReply(from, opcode, err);
        expect(from.left, name).toBe(0);
        if (reply.type === "empty" || (reply.type === "getChildren" && reply.stat === null)) continue;
        const result = reply as Parameters<typeof writeReply>[4];
        expect(written((writer) => writeReply(writer, xid, zxid, opcode, result)).slice(8), name).toBe(
          response,
        );
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(150);
  });
});

describe("the handshake", () => {
  const password = new Uint8Array(16);
  const request = { lastZxidSeen: ZXID_ZERO, timeoutMs: 30_000, session: NO_SESSION, password };

  test("[WIRE-4] a ConnectRequest has 45 bytes, or 44 without readOnly", () => {
    expect(written((writer) => writeConnectRequest(writer, { ...request, readOnly: false }))).toBe(
      `0000002d000000000000000000000000000075300000000000000000${"00000010"}${"00".repeat(16)}00`,
    );
    expect(written((writer) => writeConnectRequest(writer, { ...request, readOnly: undefined }))).toBe(
      `0000002c000000000000000000000000000075300000000000000000${"00000010"}${"00".repeat(16)}`,
    );
  });

  test("[WIRE-4] readOnly is answered only to a client that sent it", () => {
    for (const readOnly of [undefined, false, true]) {
      const sent = written((writer) => writeConnectRequest(writer, { ...request, readOnly }));
      expect(readConnectRequest(reader(sent.slice(8)))).toEqual({ ...request, readOnly });
      const response = { timeoutMs: 4000, session: 17 as typeof NO_SESSION, password, readOnly };
      const answered = written((writer) => writeConnectResponse(writer, response));
      expect(answered.length / 2 - 4).toBe(readOnly === undefined ? 36 : 37);
      expect(readConnectResponse(reader(answered.slice(8)))).toEqual(response);
    }
  });

  test("[WIRE-4] any 64 bits are read as a session; impossible ones as an unknown session", () => {
    const foreign = `00000000${"00".repeat(8)}00007530${"ff".repeat(8)}ffffffff`;
    expect(readConnectRequest(reader(foreign))).toMatchObject({
      session: -1,
      password: null,
      readOnly: undefined,
    });
    const largest = `00000000${"00".repeat(8)}00007530001fffffffffffffffffffff`;
    expect(readConnectRequest(reader(largest)).session).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("[WIRE-3] a ConnectRequest cut short is refused, trailing bytes are not", () => {
    const sent = written((writer) => writeConnectRequest(writer, { ...request, readOnly: undefined })).slice(
      8,
    );
    for (let size = 0; size < sent.length; size += 2) {
      expect(() => readConnectRequest(reader(sent.slice(0, size)))).toThrow(/bytes wanted/);
    }
    expect(readConnectRequest(reader(`${sent}00ffff`))).toEqual({ ...request, readOnly: false });
  });

  test("[WIRE-3] our own clients announce after readOnly that they return marks", () => {
    const own = { ...request, readOnly: false, wantsLastXid: true, echoesMarks: true };
    expect(
      readConnectRequest(reader(written((writer) => writeConnectRequest(writer, own)).slice(8))),
    ).toEqual(own);
  });
});

describe("small frames", () => {
  test("[WIRE-1] ping, notification, refusal", () => {
    expect(written((writer) => writeBareRequest(writer, ReservedXid.PING, OpCode.PING))).toBe(
      "00000008fffffffe0000000b",
    );
    expect(written((writer) => writeNotification(writer, zxid(1, 2), { type: 1, path: "/a" }))).toBe(
      "0000001effffffff000000010000000200000000000000010000000300000002" + "2f61",
    );
    expect(
      written((writer) =>
        writeReply(writer, 7, zxid(1, 2), OpCode.EXISTS, { type: "error", code: "NO_NODE" }),
      ),
    ).toBe("00000010000000070000000100000002ffffff9b");
    expect(written((writer) => writeRequest(writer, 5, { type: "exists", path: "/a", watch: true }))).toBe(
      "0000000f0000000500000003000000022f6101",
    );
  });
});
