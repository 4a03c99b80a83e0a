import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readAcl, writeOpenAcl } from "../../../core/wire/jute/acl.ts";
import {
  expiredResponse,
  FOREIGN_SESSION,
  readConnectResponse,
  writeConnectResponse,
} from "../../../core/wire/jute/connect.ts";
import { beginFrame, endFrame, FRAME_BYTES_MAX, FrameCursor } from "../../../core/wire/jute/frame.ts";
import { readRequestHeader, readZxid, writeZxid } from "../../../core/wire/jute/header.ts";
import { OpCode, ReservedXid } from "../../../core/wire/jute/opcodes.ts";
import { readReply, writeBareReply, writeReply } from "../../../core/wire/jute/replies.ts";
import {
  decodeWrite,
  encodeWrite,
  isWriteOpCode,
  opcodeOf,
  readRequest,
  writeRequest,
  writeSetWatchesRequest,
} from "../../../core/wire/jute/requests.ts";
import { readWatcherEvent } from "../../../core/wire/jute/watcher-event.ts";
import { ByteReader, WireError } from "../../../core/wire/reader.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { ZXID_ZERO, zxid } from "../../../core/zab/zxid.ts";
import {
  CreateMode,
  NO_SESSION,
  type ReadRequest,
  type SessionId,
  type Stat,
  type WriteRequest,
} from "../../../core/znode/types.ts";
import { readReplyHeader } from "../../reply-header.ts";

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(8);
  write(writer);
  return writer.finish();
}

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const path = fc.constantFrom("/", "/a", "/a/b-0000000001", "/日本/ü", "", "not a path");
const data = fc.option(fc.uint8Array({ maxLength: 50 }), { nil: null });
const mode = fc.constantFrom(...Object.values(CreateMode));
const safe = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const id = fc
  .record({ epoch: fc.nat(2 ** 31 - 1), counter: fc.nat({ max: 2 ** 32 - 1 }) })
  .map(({ epoch, counter }) => zxid(epoch, counter));

const change = fc.oneof(
  fc.record({
    type: fc.constant("create" as const),
    path: path.filter((each) => each.includes("/")),
    data,
    mode,
    withStat: fc.boolean(),
  }),
  fc.record({ type: fc.constant("delete" as const), path, version: int32 }),
  fc.record({ type: fc.constant("setData" as const), path, data, version: int32 }),
);
const write: fc.Arbitrary<WriteRequest> = fc.oneof(
  change,
  fc.record({
    type: fc.constant("multi" as const),
    ops: fc.array(
      fc.oneof(change, fc.record({ type: fc.constant("check" as const), path, version: int32 })),
      { maxLength: 6 },
    ),
  }),
  fc.constant({ type: "closeSession" } as const),
);
const read: fc.Arbitrary<ReadRequest> = fc.oneof(
  fc.record({ type: fc.constantFrom("exists" as const, "getData" as const), path, watch: fc.boolean() }),
  fc.record({ type: fc.constant("getChildren" as const), path, watch: fc.boolean(), withStat: fc.boolean() }),
  fc.record({ type: fc.constant("getEphemerals" as const), prefixPath: path }),
);
const stat: fc.Arbitrary<Stat> = fc.record({
  czxid: id,
  mzxid: id,
  pzxid: id,
  ctime: safe,
  mtime: safe,
  version: int32,
  cversion: int32,
  aversion: int32,
  ephemeralOwner: safe.map((each) => each as SessionId),
  dataLength: int32,
  numChildren: int32,
});

describe("requests", () => {
  test("[WIRE-2] are read as they were written", () => {
    fc.assert(
      fc.property(fc.oneof(write, read), int32, (request, xid) => {
        const frames = new FrameCursor(written((writer) => writeRequest(writer, xid, request)));
        expect(frames.next()).toBe(true);
        const header = readRequestHeader(frames.reader);
        expect(header).toEqual({ xid, opcode: opcodeOf(request) });
        const kind = isWriteOpCode(header.opcode) ? "write" : "read";
        expect(readRequest(frames.reader, header.opcode)).toEqual({ kind, request });
        expect(frames.reader.left).toBe(0);
        expect(frames.next()).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test("[WIRE-2] writes travel as opcode and record, those of the members among them", () => {
    const own: WriteRequest[] = [{ type: "createSession", timeoutMs: 4000 }, { type: "sync" }];
    fc.assert(
      fc.property(fc.oneof(write, fc.constantFrom(...own)), (request) => {
        const { opcode, body } = encodeWrite(request);
        expect(decodeWrite(opcode, body)).toEqual(request);
      }),
      { numRuns: 300 },
    );
    expect(() => decodeWrite(OpCode.GET_DATA, new Uint8Array(9))).toThrow(WireError);
    expect(() => writeRequest(new ByteWriter(), 1, { type: "createSession", timeoutMs: 1 })).toThrow(
      /handshake/,
    );
  });

  test("[WIRE-3] a record cut short anywhere is refused", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          write.filter((each) => each.type !== "closeSession"),
          read,
        ),
        (request) => {
          const frame = written((writer) => writeRequest(writer, 1, request));
          for (let end = 12; end < frame.length; end++) {
            expect(() => readRequest(new ByteReader(frame, 12, end), opcodeOf(request))).toThrow(WireError);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("[WIRE-3] random bytes under any opcode are refused or decoded, nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: -12, max: 108 }), (noise, opcode) => {
        try {
          readRequest(new ByteReader(noise), opcode);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("[WIRE-3] a null path is refused; bytes after the record are ignored", () => {
    const nothing = written((writer) => {
      writer.i32(-1);
      writer.bool(false);
    });
    expect(() => readRequest(new ByteReader(nothing), OpCode.EXISTS)).toThrow(WireError);
    const longer = written((writer) => {
      writer.string("/a");
      writer.bool(true);
      writer.i64(7);
    });
    expect(readRequest(new ByteReader(longer), OpCode.EXISTS)).toEqual({
      kind: "read",
      request: { type: "exists", path: "/a", watch: true },
    });
  });

  test("[WIRE-11] an operation that is not implemented is UNIMPLEMENTED; one that does not exist is unknown", () => {
    const read = (opcode: number) => readRequest(new ByteReader(new Uint8Array(60)), opcode);
    for (const opcode of [OpCode.SET_ACL, OpCode.GET_ACL, OpCode.CREATE_CONTAINER, OpCode.CREATE_TTL]) {
      expect(read(opcode)).toEqual({ kind: "refused", code: "UNIMPLEMENTED" });
    }
    for (const opcode of [0, 10, 13, 16, 23, 99, 108, -1, -10, OpCode.MULTI_READ, OpCode.ADD_WATCH])
      expect(read(opcode)).toEqual({ kind: "unknown" });
  });

  test("[WIRE-6] setWatches has three lists, none of them null", () => {
    const watches = { relativeZxid: zxid(3, 4), data: ["/a", "/b"], exist: [], child: ["/"] };
    const frame = written((writer) => writeSetWatchesRequest(writer, ReservedXid.SET_WATCHES, watches));
    expect(readRequest(new ByteReader(frame, 12), OpCode.SET_WATCHES)).toEqual({
      kind: "setWatches",
      watches,
    });
    const nulls = written((writer) => {
      writeZxid(writer, ZXID_ZERO);
      for (let i = 0; i < 3; i++) writer.i32(-1);
    });
    expect(() => readRequest(new ByteReader(nulls), OpCode.SET_WATCHES)).toThrow(WireError);
  });
});

describe("creates", () => {
  const createRecord = (
    path: string,
    flags: number,
    acl: (writer: ByteWriter) => void = writeOpenAcl,
  ): Uint8Array =>
    written((writer) => {
      writer.string(path);
      writer.buffer(null);
      acl(writer);
      writer.i32(flags);
    });
  const entry =
    (perms: number, scheme: string, name: string, count = 1) =>
    (writer: ByteWriter): void => {
      writer.i32(count);
      for (let i = 0; i < count; i++) {
        writer.i32(perms);
        writer.string(scheme);
        writer.string(name);
      }
    };

  test("[WIRE-7] only the open ACL is accepted; an empty one is invalid, others are not implemented", () => {
    const code = (acl: (writer: ByteWriter) => void) => readAcl(new ByteReader(written(acl)));
    expect(code(writeOpenAcl)).toBeUndefined();
    expect(code(entry(31, "world", "anyone"))).toBeUndefined();
    expect(code((writer) => writer.i32(0))).toBe("INVALID_ACL");
    expect(code((writer) => writer.i32(-1))).toBe("INVALID_ACL");
    for (const other of [
      entry(1, "world", "anyone"),
      entry(31, "digest", "a:b"),
      entry(31, "world", "me"),
      entry(31, "world", "anyone", 2),
    ]) {
      expect(code(other)).toBe("UNIMPLEMENTED");
    }
    expect(() => code((writer) => writer.i32(1_000_000))).toThrow(WireError);
  });

  test("[WIRE-7] the refusal of a create: flags, then the path's shape, then the ACL", () => {
    const none = (writer: ByteWriter): void => writer.i32(0);
    const decode = (path: string, flags: number, acl?: (writer: ByteWriter) => void) =>
      decodeWrite(OpCode.CREATE, createRecord(path, flags, acl));
    expect(decode("bad", 7, none)).toEqual({ code: "BAD_ARGUMENTS" });
    expect(decode("/a", 5, none)).toEqual({ code: "UNIMPLEMENTED" });
    expect(decode("bad", 0, none)).toEqual({ code: "BAD_ARGUMENTS" });
    expect(decode("/a", 0, none)).toEqual({ code: "INVALID_ACL" });
    expect(decode("/a", 3)).toMatchObject({ mode: CreateMode.EPHEMERAL_SEQUENTIAL });
    expect(decode("/a", 4)).toMatchObject({ type: "create", mode: CreateMode.PERSISTENT });
  });

  test("[WIRE-6] in a multi the refusal is at its own place, and a TTL flag without a TTL cannot be decoded", () => {
    const multiOf = (type: number, record: Uint8Array): Uint8Array =>
      written((writer) => {
        writer.i32(type);
        writer.bool(false);
        writer.i32(-1);
        writer.bytes(record);
        writer.i32(-1);
        writer.bool(true);
        writer.i32(-1);
      });
    const decode = (type: number, record: Uint8Array) => decodeWrite(OpCode.MULTI, multiOf(type, record));
    expect(decode(1, createRecord("/a", 9))).toEqual({
      type: "multi",
      ops: [{ type: "refused", code: "BAD_ARGUMENTS" }],
    });
    expect(decode(1, createRecord("/a", 4))).toEqual({
      type: "multi",
      ops: [{ type: "refused", code: "UNIMPLEMENTED" }],
    });
    expect(decode(19, createRecord("/a", 4))).toEqual({
      type: "multi",
      ops: [{ type: "refused", code: "UNIMPLEMENTED" }],
    });
    expect(decode(21, Uint8Array.from([...createRecord("/a", 5), ...new Uint8Array(8)]))).toMatchObject({
      ops: [{ type: "refused" }],
    });
    for (const flags of [5, 6]) expect(() => decode(1, createRecord("/a", flags))).toThrow(/TTL/);
    for (const type of [3, 4, 7, 9, 14, 99])
      expect(() => decode(type, createRecord("/a", 0))).toThrow(/cannot be part/);
    expect(() => decodeWrite(OpCode.MULTI, multiOf(1, createRecord("/a", 0)).slice(0, -9))).toThrow(
      WireError,
    );
  });
});

describe("replies", () => {
  const decode = (bytes: Uint8Array, opcode: number) => {
    const frames = new FrameCursor(bytes);
    expect(frames.next()).toBe(true);
    const header = readReplyHeader(frames.reader);
    const reply = readReply(frames.reader, opcode, header.err);
    expect(frames.reader.left).toBe(0);
    return { header, reply };
  };

  test("[WIRE-2] are read as they were written, with the answering member's zxid", () => {
    const result = fc.oneof(
      stat.map((each) => ({ opcode: OpCode.SET_DATA, result: { type: "setData" as const, stat: each } })),
      stat.map((each) => ({ opcode: OpCode.EXISTS, result: { type: "exists" as const, stat: each } })),
      fc.tuple(path, fc.option(stat, { nil: null })).map(([path, stat]) => ({
        opcode: stat === null ? OpCode.CREATE : OpCode.CREATE2,
        result: { type: "create" as const, path, stat },
      })),
      fc.tuple(data, stat).map(([data, stat]) => ({
        opcode: OpCode.GET_DATA,
        result: { type: "getData" as const, data, stat },
      })),
      fc.tuple(fc.array(path), stat).map(([children, stat]) => ({
        opcode: OpCode.GET_CHILDREN2,
        result: { type: "getChildren" as const, children, stat },
      })),
      fc.array(path).map((ephemerals) => ({
        opcode: OpCode.GET_EPHEMERALS,
        result: { type: "getEphemerals" as const, ephemerals },
      })),
      fc.constant({ opcode: OpCode.DELETE, result: { type: "delete" as const } }),
      fc.constant({ opcode: OpCode.CLOSE_SESSION, result: { type: "closeSession" as const } }),
      path.map((each) => ({ opcode: OpCode.SYNC, result: { type: "sync" as const, path: each } })),
      fc
        .constantFrom("NO_NODE" as const, "BAD_VERSION" as const, "NO_QUORUM" as const)
        .map((code) => ({ opcode: OpCode.SET_DATA, result: { type: "error" as const, code } })),
      stat.map((each) => ({
        opcode: OpCode.MULTI,
        result: {
          type: "multi" as const,
          results: [
            { type: "setData" as const, stat: each },
            { type: "create" as const, path: "/a", stat: null },
            { type: "delete" as const },
            { type: "check" as const },
          ],
        },
      })),
    );
    fc.assert(
      fc.property(result, int32, id, ({ opcode, result }, xid, zxid) => {
        const { header, reply } = decode(
          written((writer) => writeReply(writer, xid, zxid, opcode, result)),
          opcode,
        );
        expect(header).toMatchObject({ xid, zxid });
        expect(reply).toEqual(result.type === "sync" ? { type: "sync" } : result);
      }),
      { numRuns: 400 },
    );
  });

  test("[WIRE-6] a multi that failed has no error in its header, and a code for each operation", () => {
    const results = (["OK", "BAD_VERSION", "RUNTIME_INCONSISTENCY"] as const).map((code) => ({
      type: "error" as const,
      code,
    }));
    const { header, reply } = decode(
      written((writer) => writeReply(writer, 1, ZXID_ZERO, OpCode.MULTI, { type: "multi", results })),
      OpCode.MULTI,
    );
    expect(header.err).toBe(0);
    expect(reply).toEqual({ type: "multi", results });
  });

  test("[WIRE-14] getEphemerals is opcode 103: the request has a prefix, the reply a vector of paths", () => {
    const asked = written((writer) => writeRequest(writer, 7, { type: "getEphemerals", prefixPath: "/a" }));
    expect([...asked]).toEqual([0, 0, 0, 14, 0, 0, 0, 7, 0, 0, 0, 103, 0, 0, 0, 2, 0x2f, 0x61]);
    const answered = written((writer) =>
      writeReply(writer, 7, ZXID_ZERO, OpCode.GET_EPHEMERALS, {
        type: "getEphemerals",
        ephemerals: ["/a", "/ab"],
      }),
    );
    expect([...answered.subarray(20)]).toEqual(
      [
        [0, 0, 0, 2],
        [0, 0, 0, 2, 0x2f, 0x61],
        [0, 0, 0, 3, 0x2f, 0x61, 0x62],
      ].flat(),
    );
  });

  test("[WIRE-6] a create2 within a multi returns only its path", () => {
    const stat = {
      czxid: ZXID_ZERO,
      mzxid: ZXID_ZERO,
      pzxid: ZXID_ZERO,
      ctime: 0,
      mtime: 0,
      version: 0,
      cversion: 0,
      aversion: 0,
      ephemeralOwner: NO_SESSION,
      dataLength: 0,
      numChildren: 0,
    };
    const bytes = written((writer) =>
      writeReply(writer, 1, ZXID_ZERO, OpCode.MULTI, {
        type: "multi",
        results: [{ type: "create", path: "/a", stat }],
      }),
    );
    expect(decode(bytes, OpCode.MULTI).reply).toEqual({
      type: "multi",
      results: [{ type: "create", path: "/a", stat: null }],
    });
  });

  test("[WIRE-6] an error is its header alone; ping and setWatches are too; a sync's reply has a path", () => {
    expect(
      written((writer) =>
        writeReply(writer, 1, ZXID_ZERO, OpCode.GET_DATA, { type: "error", code: "NO_NODE" }),
      ).length,
    ).toBe(20);
    const ping = written((writer) => writeBareReply(writer, ReservedXid.PING, zxid(1, 1), "OK"));
    expect(decode(ping, OpCode.PING)).toEqual({
      header: { xid: -2, zxid: zxid(1, 1), err: 0 },
      reply: { type: "empty" },
    });
    const sync = written((writer) =>
      writeReply(writer, 5, ZXID_ZERO, OpCode.SYNC, { type: "sync", path: "/foo" }),
    );
    expect(new ByteReader(sync, 20).string()).toBe("/foo");
    expect(decode(sync, OpCode.SYNC).reply).toEqual({ type: "sync" });
  });

  test("[WIRE-3] random bytes as a reply, an event or a handshake are refused or decoded, nothing else", () => {
    const opcodes = Object.values(OpCode);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 150 }), fc.constantFrom(...opcodes), (noise, opcode) => {
        for (const act of [
          () => readReply(new ByteReader(noise), opcode, 0),
          () => readWatcherEvent(new ByteReader(noise)),
          () => readConnectResponse(new ByteReader(noise)),
        ]) {
          try {
            act();
          } catch (error) {
            expect(error).toBeInstanceOf(WireError);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("[WIRE-4] an expired session is answered with zeros", () => {
    const bytes = written((writer) => writeConnectResponse(writer, expiredResponse(true)));
    expect(bytes.length).toBe(41);
    expect(bytes.slice(4)).toEqual(
      Uint8Array.from([...new Uint8Array(16), 0, 0, 0, 16, ...new Uint8Array(17)]),
    );
    expect(expiredResponse(undefined).readOnly).toBeUndefined();
    expect(FOREIGN_SESSION).toBeLessThan(0);
  });

  test("[WIRE-2] a zxid is 64 bits, −1 among them", () => {
    const minusOne = readZxid(new ByteReader(new Uint8Array(8).fill(0xff)));
    expect([minusOne.epoch, minusOne.counter]).toEqual([0xffff_ffff, 0xffff_ffff]);
    expect(written((writer) => writeZxid(writer, minusOne))).toEqual(new Uint8Array(8).fill(0xff));
  });
});

describe("frames", () => {
  const frame = (size: number): Uint8Array =>
    written((writer) => {
      const at = beginFrame(writer);
      writer.bytes(new Uint8Array(size));
      endFrame(writer, at);
    });

  test("[WIRE-8] a message holds any number of whole ones", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40), { maxLength: 8 }), (sizes) => {
        const frames = new FrameCursor(Uint8Array.from(sizes.flatMap((size) => [...frame(size)])));
        for (const size of sizes) {
          expect(frames.next()).toBe(true);
          expect(frames.reader.left).toBe(size);
        }
        expect(frames.next()).toBe(false);
      }),
    );
  });

  test("[WIRE-8] unread bytes of a payload do not affect the next one", () => {
    const frames = new FrameCursor(Uint8Array.from([...frame(9), ...frame(3)]));
    frames.next();
    frames.reader.i32();
    expect(() => frames.reader.i64()).toThrow(WireError);
    expect(frames.next()).toBe(true);
    expect(frames.reader.left).toBe(3);
  });

  test("[WIRE-8] one that is cut, negative or too long is refused", () => {
    for (const size of [1, 3]) expect(() => new FrameCursor(new Uint8Array(size)).next()).toThrow(WireError);
    expect(() => new FrameCursor(frame(5).slice(0, 8)).next()).toThrow(/split/);
    expect(() => new FrameCursor(new Uint8Array(8).fill(0xff)).next()).toThrow(/frame of -1/);
    expect(new FrameCursor(frame(FRAME_BYTES_MAX)).next()).toBe(true);
    expect(() => new FrameCursor(frame(FRAME_BYTES_MAX + 1)).next()).toThrow(/frame of 1048576/);
    expect(new FrameCursor(frame(FRAME_BYTES_MAX + 1), FRAME_BYTES_MAX + 1).next()).toBe(true);
  });
});
