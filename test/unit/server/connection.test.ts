/** A client's connection, without a socket: packets in, packets out. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ZOO_ERRORS } from "../../../core/errors.ts";
import { UNREAD_BYTES_MAX } from "../../../core/server/config.ts";
import { KiB } from "../../../core/units.ts";
import { readNames } from "../../../core/wire/jute/encoded-names.ts";
import { beginFrame, endFrame } from "../../../core/wire/jute/frame.ts";
import { writeRequestHeader } from "../../../core/wire/jute/header.ts";
import { readMark, writeMarkEcho } from "../../../core/wire/jute/marks.ts";
import { OpCode, ReservedXid } from "../../../core/wire/jute/opcodes.ts";
import { writeBareRequest, writeRequest, writeSetWatchesRequest } from "../../../core/wire/jute/requests.ts";
import { ByteReader } from "../../../core/wire/reader.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { ZXID_ZERO } from "../../../core/zab/zxid.ts";
import { CreateMode, type ReadRequest, type WriteRequest } from "../../../core/znode/types.ts";
import { ensemble } from "../../sim/world.ts";
import { inParts, PacketClient } from "./packet-client.ts";

type Ask = WriteRequest | ReadRequest | "ping" | "setWatches" | { readonly syncPath: string };

const path = fc.constantFrom("/a", "/b", "/a/c", "/none", "not a path", "/zookeeper/config");
const data = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null });
const version = fc.constantFrom(-1, 0, 1);
const change = fc.oneof(
  fc.record({
    type: fc.constant("create" as const),
    path,
    data,
    mode: fc.constantFrom(...Object.values(CreateMode)),
    withStat: fc.boolean(),
  }),
  fc.record({ type: fc.constant("setData" as const), path, data, version }),
  fc.record({ type: fc.constant("delete" as const), path, version }),
);
const ask: fc.Arbitrary<Ask> = fc.oneof(
  { weight: 4, arbitrary: change },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("multi" as const), ops: fc.array(change, { maxLength: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("getData" as const), path, watch: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("exists" as const), path, watch: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("getChildren" as const),
      path,
      watch: fc.boolean(),
      withStat: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("getEphemerals" as const), prefixPath: path }) },
  { weight: 1, arbitrary: fc.record({ syncPath: path }) },
  { weight: 1, arbitrary: fc.constantFrom("ping" as const, "setWatches" as const) },
);

/** One packet. */
function packet(request: Ask, xid: number): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  if (request === "ping") writeBareRequest(writer, ReservedXid.PING, OpCode.PING);
  else if (request === "setWatches") {
    const watches = { relativeZxid: ZXID_ZERO, data: ["/a"], exist: ["/none"], child: ["/"] };
    writeSetWatchesRequest(writer, ReservedXid.SET_WATCHES, watches);
  } else if ("syncPath" in request) {
    const at = beginFrame(writer);
    writeRequestHeader(writer, xid, OpCode.SYNC);
    writer.string(request.syncPath);
    endFrame(writer, at);
  } else writeRequest(writer, xid, request);
  return writer.finish();
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  for (const part of parts) writer.bytes(part);
  return writer.finish();
}

describe("a connection", () => {
  it("[SERVER-60] serves a stream, however it is split, as it serves one packet a message", () => {
    fc.assert(
      fc.property(
        fc.array(ask, { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(3_000), { maxLength: 20 }),
        fc.array(fc.nat(60), { maxLength: 5 }),
        (asks, cuts, greetingCuts) => {
          const packets = asks.map((each, i) => packet(each, i + 1));
          const served = [false, true].map((isStream) => {
            // how requests gather to batches depends on the split: without delays all happen at one time
            const cluster = ensemble({ size: 1, seed: 1, fsyncMs: [0, 0], yieldMs: [0, 0] });
            const client = new PacketClient(cluster, 1, isStream);
            client.shakeHands(isStream ? greetingCuts : []);
            for (const part of isStream ? inParts(joined(packets), cuts) : packets) client.send(part);
            client.settle();
            expect(client.end).toBeUndefined();
            return client.received();
          });
          // pings are answered at once, between the others
          const [messages = [], stream = []] = served.map((all) =>
            all.filter(({ xid }) => xid !== ReservedXid.PING),
          );
          expect(stream).toEqual(messages);
          expect(served[1]?.length).toBe(served[0]?.length);
          const answered = messages.filter(({ xid }) => xid > 0).map(({ xid }) => xid);
          const numbered = asks.flatMap((each, i) => (typeof each === "string" ? [] : [i + 1]));
          expect(answered).toEqual(numbered);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("[SERVER-60] [WIRE-6] echoes the path of each sync, whatever it is and however the bytes are split", () => {
    const client = new PacketClient(ensemble({ size: 1, seed: 2 }), 1, true);
    client.shakeHands();
    const paths = ["/foo", "", "no/slash", "/日本", "/foo"];
    for (const byte of joined(paths.map((syncPath, i) => packet({ syncPath }, i + 1))))
      client.send(Uint8Array.of(byte));
    client.settle();
    expect(client.received().map(({ xid, body }) => [xid, new ByteReader(body).string()])).toEqual(
      paths.map((each, i) => [i + 1, each]),
    );
  });

  it("[ZNODE-41] answers getEphemerals for its own session, after its earlier writes", () => {
    const cluster = ensemble({ size: 3, seed: 2 });
    const clients = [1, 2].map((sid) => new PacketClient(cluster, sid, false));
    for (const [i, client] of clients.entries()) {
      client.shakeHands();
      const create = { type: "create", path: `/e${i}`, data: null, mode: CreateMode.EPHEMERAL } as const;
      client.send(
        joined([
          packet({ ...create, withStat: false }, 1),
          packet({ type: "getEphemerals", prefixPath: "/e" }, 2),
        ]),
      );
      client.settle();
      const [, answer] = client.received();
      expect(answer?.xid).toBe(2);
      expect(readNames(new ByteReader(answer?.body ?? new Uint8Array()))).toEqual([`/e${i}`]);
    }
  });

  it("[SERVER-61] a message that is not the protocol ends its own connection, and nothing is thrown", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 6 }),
        fc.boolean(),
        fc.boolean(),
        (noise, isStream, greets) => {
          const cluster = ensemble({ size: 1, seed: 3 });
          const other = new PacketClient(cluster, 1, false);
          other.shakeHands();
          const client = new PacketClient(cluster, 1, isStream);
          if (greets) client.shakeHands();
          for (const each of noise) client.send(each);
          client.settle();
          if (client.end !== undefined) expect(["PROTOCOL_ERROR", "NORMAL"]).toContain(client.end.end);
          other.send(
            packet(
              { type: "create", path: "/after", data: null, mode: CreateMode.PERSISTENT, withStat: false },
              1,
            ),
          );
          other.settle();
          expect(other.received().map(({ xid, err }) => [xid, err])).toEqual([[1, 0]]);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("[SERVER-61] a frame with a random record is answered or ends the connection; the frames before it are served", () => {
    const opcode = fc.oneof(fc.constantFrom(...Object.values(OpCode)), fc.integer({ min: -20, max: 200 }));
    fc.assert(
      fc.property(
        opcode,
        fc.uint8Array({ maxLength: 120 }),
        fc.boolean(),
        fc.array(fc.nat(500)),
        (code, noise, isStream, cuts) => {
          const client = new PacketClient(ensemble({ size: 1, seed: 4 }), 1, isStream);
          client.shakeHands();
          const writer = new ByteWriter();
          writer.bytes(packet({ type: "exists", path: "/", watch: false }, 1));
          const at = beginFrame(writer);
          writeRequestHeader(writer, 2, code);
          writer.bytes(noise);
          endFrame(writer, at);
          writer.bytes(packet({ type: "exists", path: "/none", watch: false }, 3));
          for (const part of isStream ? inParts(writer.finish(), cuts) : [writer.finish()]) client.send(part);
          client.settle();
          const answers = client.received().filter(({ xid }) => xid > 0);
          expect(answers[0]).toMatchObject({ xid: 1, err: 0 });
          const last = answers.at(-1);
          if (client.end === undefined)
            expect(last).toMatchObject({ xid: 3, err: ZOO_ERRORS.NO_NODE.number });
          else if (client.end.end === "PROTOCOL_ERROR") expect(last?.xid).not.toBe(3);
        },
      ),
      { numRuns: 250 },
    );
  });

  it("[NODE-40] serves a client as fast as it reads: its requests wait, its pings do not, and all are answered in order", () => {
    const cluster = ensemble({ size: 1, seed: 6 });
    const client = new PacketClient(cluster, 1, true);
    client.shakeHands([], { echoesMarks: true });
    const bytes = 200 * KiB;
    const create = { type: "create", path: "/long", mode: CreateMode.PERSISTENT, withStat: false } as const;
    client.send(packet({ ...create, data: new Uint8Array(bytes) }, 1));
    client.settle();
    const reads = Array.from({ length: 30 }, (_, i) =>
      packet({ type: "getData", path: "/long", watch: false }, i + 2),
    );
    client.send(joined(reads));
    client.settle();
    const first = client.received().length;
    client.send(packet("ping", 0));
    client.settle();
    const pongs = client.received().filter(({ xid, body }) => xid === ReservedXid.PING && body.length === 0);
    expect([first * bytes < 2 * UNREAD_BYTES_MAX, pongs.length]).toEqual([true, 1]);
    for (let echoed = 0; ; echoed += 1) {
      const marks = client.received().flatMap(({ xid, body }) => {
        const mark = xid === ReservedXid.PING ? readMark(new ByteReader(body)) : undefined;
        return mark === undefined ? [] : [mark];
      });
      const mark = marks[echoed];
      if (mark === undefined) break;
      const writer = new ByteWriter();
      writeMarkEcho(writer, mark);
      client.send(writer.finish());
      client.settle();
    }
    const answered = client
      .received()
      .filter(({ xid }) => xid > 0)
      .map(({ xid }) => xid);
    expect(answered).toEqual(Array.from({ length: 31 }, (_, i) => i + 1));
    expect(client.end).toBeUndefined();
  });

  it("[NODE-40] ends the connection of a client that does not read for 20 s", () => {
    const cluster = ensemble({ size: 1, seed: 7 });
    const client = new PacketClient(cluster, 1, false);
    client.shakeHands([], { echoesMarks: true });
    const create = { type: "create", path: "/long", mode: CreateMode.PERSISTENT, withStat: false } as const;
    client.send(packet({ ...create, data: new Uint8Array(900 * KiB) }, 1));
    for (let xid = 2; xid < 6; xid++)
      client.send(packet({ type: "getData", path: "/long", watch: false }, xid));
    client.settle();
    cluster.runFor(19_000);
    expect(client.connection.closeStalled()).toBe(false);
    cluster.runFor(3_000);
    expect(client.connection.closeStalled()).toBe(true);
    client.connection.flush();
    expect(client.end?.end).toBe("UNREAD");
  });

  it("[SERVER-61] a length out of bounds ends a stream after the packets before it", () => {
    const client = new PacketClient(ensemble({ size: 1, seed: 5 }), 1, true);
    client.shakeHands();
    const writer = new ByteWriter();
    writer.bytes(packet({ type: "exists", path: "/", watch: false }, 1));
    writer.i32(0x72756f6b);
    writer.bytes(packet({ type: "exists", path: "/", watch: false }, 2));
    for (const byte of writer.finish()) client.send(Uint8Array.of(byte));
    client.settle();
    expect(client.received().map(({ xid }) => xid)).toEqual([1]);
    expect(client.end?.end).toBe("PROTOCOL_ERROR");
  });
});
