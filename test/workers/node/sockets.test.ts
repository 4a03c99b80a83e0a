/** What a client can and cannot do to a node over `/ws`. */
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { ZOO_ERRORS, zooErrorOf } from "../../../core/errors.ts";
import { UNREAD_BYTES_END, UNREAD_BYTES_MAX } from "../../../core/server/config.ts";
import { readConnectResponse, writeConnectRequest } from "../../../core/wire/jute/connect.ts";
import { beginFrame, endFrame, FrameCursor } from "../../../core/wire/jute/frame.ts";
import { writeRequestHeader } from "../../../core/wire/jute/header.ts";
import { type Mark, readMark, writeMarkEcho } from "../../../core/wire/jute/marks.ts";
import { OpCode, ReservedXid } from "../../../core/wire/jute/opcodes.ts";
import { writeBareRequest, writeRequest } from "../../../core/wire/jute/requests.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { ZXID_ZERO, zxid } from "../../../core/zab/zxid.ts";
import { CreateMode, NO_SESSION, type SessionId, type WriteRequest } from "../../../core/znode/types.ts";
import { STREAM_UNREAD_MAX } from "../../../durable-objects/shared/config.ts";
import { BEAT_FRAME, REPORTS_QUERY } from "../../../durable-objects/shared/sockets.ts";
import type { NodeStatus, ZooWeeperNodeRpc } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { ZooWeeperNode } from "../../../durable-objects/zooweeper-node/zooweeper-node.ts";
import { readReplyHeader } from "../../reply-header.ts";

type Stub = DurableObjectStub<ZooWeeperNode> & ZooWeeperNodeRpc;

const node = (ensemble: string, sid: number): Stub =>
  env.ZOOWEEPER_NODE.get(env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`)) as Stub;

const create = (path: string, mode: CreateMode = CreateMode.PERSISTENT): WriteRequest => ({
  type: "create",
  path,
  data: null,
  mode,
  withStat: false,
});

/** The leader, once all members serve: one that has not synchronised yet answers NO_QUORUM. */
async function founded(ensemble: string): Promise<NodeStatus> {
  const sids = [1, 2, 3];
  for (const sid of sids) await node(ensemble, sid).bootstrap({ ensemble, sid, size: 3 });
  for (;;) {
    const statuses = await Promise.all(sids.map((sid) => node(ensemble, sid).status()));
    const leader = statuses.find(({ role }) => role === "LEADING");
    if (leader !== undefined && statuses.every(({ serving }) => serving)) return leader;
    await scheduler.wait(5);
  }
}

/** A client that speaks packets itself, so that it can speak them badly. */
class RawClient {
  readonly #socket: WebSocket;
  readonly #messages: Uint8Array[] = [];
  #wake: () => void = () => {};
  closed = false;
  /** code and reason of the close */
  end = "";
  /** number of the session's last write, as the handshake told */
  lastXid: number | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.accept();
    socket.addEventListener("message", ({ data }) => {
      this.#messages.push(new Uint8Array(data as ArrayBuffer));
      this.#wake();
    });
    socket.addEventListener("close", ({ code, reason }) => {
      this.closed = true;
      this.end = `${code} ${reason}`;
      this.#wake();
    });
  }

  /** @param session one to continue; none: a new one */
  static async open(
    stub: Stub,
    session: SessionId = NO_SESSION,
    lastZxidSeen = ZXID_ZERO,
    echoesMarks = false,
    wantsLastXid = true,
  ): Promise<RawClient> {
    const response = await stub.fetch("http://node/ws", { headers: { upgrade: "websocket" } });
    if (response.webSocket === null) throw new Error(`${response.status}`);
    const client = new RawClient(response.webSocket);
    const writer = new ByteWriter();
    writeConnectRequest(writer, {
      lastZxidSeen,
      timeoutMs: 30_000,
      session,
      password: new Uint8Array(16),
      readOnly: false,
      wantsLastXid,
      echoesMarks,
    });
    client.send(writer.finish());
    const frames = new FrameCursor(await client.next());
    frames.next();
    const greeting = readConnectResponse(frames.reader);
    client.session = greeting.session;
    client.lastXid = greeting.lastXid;
    return client;
  }

  session: SessionId = NO_SESSION;

  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.#socket.send(bytes);
  }

  async next(): Promise<Uint8Array> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.closed) throw new Error("the socket is closed");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Messages that came and were not taken. */
  pending(): Uint8Array[] {
    return this.#messages.splice(0);
  }

  async untilClosed(): Promise<void> {
    while (!this.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Sends requests in one message and gives the error numbers of their replies. */
  async askAll(requests: readonly (readonly [xid: number, request: WriteRequest])[]): Promise<number[]> {
    const writer = new ByteWriter();
    for (const [xid, request] of requests) writeRequest(writer, xid, request);
    this.send(writer.finish());
    const errors: number[] = [];
    while (errors.length < requests.length) {
      const frames = new FrameCursor(await this.next(), Number.MAX_SAFE_INTEGER);
      while (frames.next()) errors.push(readReplyHeader(frames.reader).err);
    }
    return errors;
  }

  /** Sends one request and gives the error number of its reply. */
  async ask(xid: number, request: WriteRequest): Promise<number> {
    const writer = new ByteWriter();
    writeRequest(writer, xid, request);
    this.send(writer.finish());
    const frames = new FrameCursor(await this.next(), Number.MAX_SAFE_INTEGER);
    frames.next();
    return readReplyHeader(frames.reader).err;
  }
}

const read = async (stub: Stub, path: string): Promise<boolean> => {
  const request = { type: "exists", path, watch: false } as const;
  for (;;) {
    const answer = await stub.read({
      session: NO_SESSION,
      request,
      consistency: "linearizable",
      stale: false,
    });
    if (answer.ok) return true;
    if (answer.code === "NO_NODE") return false;
    await scheduler.wait(5);
  }
};

/** How often each member has started: one more for each that a client has ended. */
const bootsOf = (ensemble: string): Promise<number[]> =>
  Promise.all([1, 2, 3].map(async (sid) => (await node(ensemble, sid).status()).boot));

describe("a client's socket", () => {
  it("[NODE-13] a bad frame after good ones closes the socket and affects nothing else", async () => {
    const { sid } = await founded("bad-frame");
    const stub = node("bad-frame", sid);
    const boots = await bootsOf("bad-frame");
    const client = await RawClient.open(stub);
    const writer = new ByteWriter();
    for (let xid = 1; xid <= 20; xid++) writeRequest(writer, xid, create(`/n${xid}`));
    writer.i32(1_000_000); // a frame that is not there
    client.send(writer.finish());
    await client.untilClosed();
    expect(await read(stub, "/n20")).toBe(true);
    expect(await bootsOf("bad-frame")).toEqual(boots);
  });

  it("[WIRE-6] syncs echo their paths, also those that name no znode, and one that cannot be read is an error", async () => {
    await founded("sync-paths");
    const client = await RawClient.open(node("sync-paths", 1));
    const writer = new ByteWriter();
    const paths = ["/foo", "", "no/slash", "/zookeeper", "/foo"];
    for (const [i, path] of paths.entries()) {
      const at = beginFrame(writer);
      writeRequestHeader(writer, i + 1, OpCode.SYNC);
      writer.string(path);
      endFrame(writer, at);
    }
    const at = beginFrame(writer);
    writeRequestHeader(writer, paths.length + 1, OpCode.SYNC);
    writer.i32(-1);
    endFrame(writer, at);
    client.send(writer.finish());
    const answers: (readonly [xid: number, path: string | number])[] = [];
    while (answers.length <= paths.length) {
      const frames = new FrameCursor(await client.next());
      while (frames.next()) {
        const { xid, err } = readReplyHeader(frames.reader);
        answers.push([xid, err === 0 ? frames.reader.string() : err]);
      }
    }
    expect(answers).toEqual([
      ...paths.map((path, i) => [i + 1, path]),
      [paths.length + 1, ZOO_ERRORS.MARSHALLING_ERROR.number],
    ]);
  });

  it("[NODE-13] writes pipelined after the close of their session affect nothing else", async () => {
    const { sid } = await founded("pipelined");
    const stub = node("pipelined", sid);
    const boots = await bootsOf("pipelined");
    const client = await RawClient.open(stub);
    const writer = new ByteWriter();
    writeRequest(writer, 1, create("/kept"));
    writeRequest(writer, 2, { type: "closeSession" });
    for (let xid = 3; xid <= 10; xid++) writeRequest(writer, xid, create(`/late${xid}`));
    client.send(writer.finish());
    await client.untilClosed();
    expect(await read(stub, "/kept")).toBe(true);
    expect(await read(stub, "/late3")).toBe(false);
    expect(await bootsOf("pipelined")).toEqual(boots);
  });

  it("[NODE-18] an unknown operation is answered after the earlier requests, and ends the connection", async () => {
    const { sid } = await founded("unknown-operation");
    const stub = node("unknown-operation", sid);
    const client = await RawClient.open(stub);
    const writer = new ByteWriter();
    writeRequest(writer, 1, create("/kept"));
    writer.i32(8);
    writeRequestHeader(writer, 2, 9_999);
    writeRequest(writer, 3, create("/late"));
    client.send(writer.finish());
    const answers: string[] = [];
    while (answers.length < 2) {
      const frames = new FrameCursor(await client.next());
      while (frames.next()) {
        const { xid, err } = readReplyHeader(frames.reader);
        answers.push(`${xid} ${zooErrorOf(err)}`);
      }
    }
    expect(answers).toEqual(["1 OK", "2 UNIMPLEMENTED"]);
    await client.untilClosed();
    expect(client.end).toBe("1002 there is no operation 9999");
    expect(await read(stub, "/late")).toBe(false);
  });

  it("[NODE-14] a session that owns more paths than a row can hold is closed like any other", async () => {
    const { sid } = await founded("long-paths");
    const stub = node("long-paths", sid);
    const boots = await bootsOf("long-paths");
    const { znodes } = await stub.status();
    const client = await RawClient.open(stub);
    for (let i = 1; i <= 4; i++) {
      expect(await client.ask(i, create(`/${i}${"x".repeat(700_000)}`, CreateMode.EPHEMERAL))).toBe(0);
    }
    expect((await stub.closeSession(client.session)).ok).toBe(true);
    expect(await read(stub, "/none")).toBe(false);
    expect((await stub.status()).znodes).toBe(znodes);
    expect(await bootsOf("long-paths")).toEqual(boots);
  });

  it("[NODE-14] a multi whose result would not fit into a row is refused", async () => {
    const { sid: leader } = await founded("multi");
    const stub = node("multi", leader);
    const boots = await bootsOf("multi");
    const client = await RawClient.open(stub);
    expect(await client.ask(1, create("/a"))).toBe(0);
    const ops = (count: number) =>
      Array.from(
        { length: count },
        () => ({ type: "setData", path: "/a", data: null, version: -1 }) as const,
      );
    expect(await client.ask(2, { type: "multi", ops: ops(4_097) })).toBe(-5);
    expect(await client.ask(3, { type: "multi", ops: ops(4_096) })).toBe(0);
    // a thousand changes make a checkpoint due, with that session's last result in it
    for (let wave = 0; wave < 11; wave++) {
      const writes = Array.from({ length: 100 }, (_, i) =>
        stub.write({ session: NO_SESSION, xid: 0, request: create(`/c${wave}-${i}`) }),
      );
      for (const answer of await Promise.all(writes)) expect(answer.ok).toBe(true);
    }
    expect(await bootsOf("multi")).toEqual(boots);
  });

  it("[NODE-15] a session continues at another node, and only a quorum may report it as expired", async () => {
    await founded("moving");
    const first = await RawClient.open(node("moving", 1));
    for (const sid of [2, 3]) {
      expect((await RawClient.open(node("moving", sid), first.session)).session).toBe(first.session);
      expect((await node("moving", sid).touchSession(first.session)).ok).toBe(true);
    }
    const unknown = (first.session + 1) as SessionId;
    expect((await RawClient.open(node("moving", 2), unknown)).session).toBe(NO_SESSION);
    expect(await node("moving", 3).touchSession(unknown)).toMatchObject({
      ok: false,
      code: "SESSION_EXPIRED",
    });
  });

  it("[NODE-16] moves its session: the old socket is closed as SESSION_MOVED, the new one continues the numbers", async () => {
    await founded("moved");
    const first = await RawClient.open(node("moved", 1));
    expect(first.lastXid).toBe(0);
    for (const xid of [1, 2]) expect(await first.ask(xid, create(`/n${xid}`))).toBe(0);
    const second = await RawClient.open(node("moved", 2), first.session);
    expect(second.lastXid).toBe(2);
    await first.untilClosed();
    expect(first.end).toBe("4118 SESSION_MOVED");
    // both are repeats: the first of an earlier write than the last
    for (const xid of [1, 2]) expect(await second.ask(xid, create(`/n${xid}`))).toBe(0);
    expect(await second.ask(3, create("/n3"))).toBe(0);
    const third = await RawClient.open(node("moved", 2), first.session);
    await second.untilClosed();
    expect(second.end).toBe("4118 SESSION_MOVED");
    expect(third.lastXid).toBe(3);
  });

  it("[SERVER-48] another write under a used number is XID_REUSED, in one message and over the next connection", async () => {
    await founded("numbers");
    const used = ZOO_ERRORS.XID_REUSED.number;
    const set = (path: string, byte: number): WriteRequest => ({
      type: "setData",
      path,
      data: new Uint8Array([byte]),
      version: -1,
    });
    const remove = (path: string): WriteRequest => ({ type: "delete", path, version: -1 });
    for (const sid of [1, 2, 3]) {
      const client = await RawClient.open(node("numbers", sid));
      const path = `/s${sid}`;
      expect(await client.ask(1, create(path))).toBe(0);
      // under way: all of them in one message
      const sent = [set(path, 1), set(path, 2), remove(path), set(path, 1)];
      expect(await client.askAll(sent.map((request) => [2, request]))).toEqual([0, used, used, 0]);
      // overwritten
      expect(await client.ask(3, set(path, 7))).toBe(0);
      expect(
        await client.askAll([
          [2, set(path, 2)],
          [2, set(path, 1)],
        ]),
      ).toEqual([used, 0]);
      // after a refusal
      expect(await client.ask(4, remove("/none"))).toBe(ZOO_ERRORS.NO_NODE.number);
      expect(await client.ask(4, create(`${path}/other`))).toBe(used);
      const next = await RawClient.open(node("numbers", sid), client.session);
      expect(await next.ask(4, create(`${path}/other`))).toBe(used);
      expect(await next.ask(4, remove("/none"))).toBe(ZOO_ERRORS.NO_NODE.number);
      expect(await read(node("numbers", sid), `${path}/other`)).toBe(false);
    }
  });

  it("[NODE-25] numbers of a client of ZooKeeper's protocol count within its connection", async () => {
    await founded("connection-numbers");
    const client = (sid: number, session?: SessionId) =>
      RawClient.open(node("connection-numbers", sid), session, ZXID_ZERO, false, false);
    const ask = async (on: RawClient, xid: number, request: WriteRequest): Promise<string> => {
      const writer = new ByteWriter();
      writeRequest(writer, xid, request);
      writeRequest(writer, xid + 1, { type: "exists", path: "/", watch: false });
      on.send(writer.finish());
      const answers: string[] = [];
      while (answers.length < 2) {
        const frames = new FrameCursor(await on.next());
        while (frames.next()) {
          const header = readReplyHeader(frames.reader);
          answers.push(`${header.xid} ${zooErrorOf(header.err)}`);
        }
      }
      return answers.join(", ");
    };
    const first = await client(1);
    expect(first.lastXid).toBeUndefined();
    for (const xid of [1, 3])
      expect(await ask(first, xid, create(`/a${xid}`))).toBe(`${xid} OK, ${xid + 1} OK`);
    // Within the connection the number is used.
    expect(await ask(first, 3, create("/other"))).toBe("3 XID_REUSED, 4 OK");
    for (const sid of [2, 3, 1]) {
      const next = await client(sid, first.session);
      for (const xid of [1, 3]) {
        expect(await ask(next, xid, create(`/a${sid}-${xid}`))).toBe(`${xid} OK, ${xid + 1} OK`);
        expect(await read(node("connection-numbers", sid), `/a${sid}-${xid}`)).toBe(true);
      }
    }
    const last = await client(2, first.session);
    expect(await ask(last, 2 ** 31 - 2, create("/late"))).toBe(
      "2147483646 XID_TOO_OLD, 2147483647 XID_TOO_OLD",
    );
    expect(await ask(last, 1, create("/after"))).toBe("1 OK, 2 OK");
    expect(await read(node("connection-numbers", 2), "/late")).toBe(false);
  });

  it("[NODE-16] ends when its session is over", async () => {
    await founded("over");
    const client = await RawClient.open(node("over", 1));
    expect((await node("over", 3).closeSession(client.session)).ok).toBe(true);
    await client.untilClosed();
    expect(client.end).toBe("4112 SESSION_EXPIRED");
  });

  it("[NODE-16] is closed if it claims to have seen a zxid that no quorum knows", async () => {
    await founded("future");
    const seen = zxid(1_000, 1);
    await expect(RawClient.open(node("future", 1), NO_SESSION, seen)).rejects.toThrow("the socket is closed");
  });
});

describe("answers that are not read", () => {
  const DATA_BYTES = 400_000;
  const READS = 60;

  /** What came in the messages of a client: numbers of answers in order, bytes, and the last mark. */
  class Received {
    readonly xids: number[] = [];
    readonly codes = new Set<number>();
    bytes = 0;
    pongs = 0;
    mark: Mark | undefined;

    take(message: Uint8Array): void {
      this.bytes += message.length;
      const frames = new FrameCursor(message, Number.MAX_SAFE_INTEGER);
      while (frames.next()) {
        const { xid, err } = readReplyHeader(frames.reader);
        if (xid !== ReservedXid.PING) {
          this.xids.push(xid);
          this.codes.add(err);
          continue;
        }
        const mark = readMark(frames.reader);
        if (mark === undefined) this.pongs += 1;
        else this.mark = mark;
      }
    }
  }

  const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

  async function withData(ensemble: string): Promise<Stub> {
    const stub = node(ensemble, (await founded(ensemble)).sid);
    const request = { ...create("/big"), data: new Uint8Array(DATA_BYTES) } as WriteRequest;
    expect(await stub.write({ session: NO_SESSION, xid: 0, request })).toMatchObject({ ok: true });
    return stub;
  }

  /** In one message: reads of 400 kB, each tenth request another. */
  function readsOf(path: string): Uint8Array<ArrayBuffer> {
    const writer = new ByteWriter();
    for (const xid of upTo(READS)) {
      if (xid % 10 === 0) writeRequest(writer, xid, create(`/w${xid}`));
      else writeRequest(writer, xid, { type: "getData", path, watch: false });
    }
    return writer.finish();
  }

  const ping = (): Uint8Array<ArrayBuffer> => {
    const writer = new ByteWriter();
    writeBareRequest(writer, ReservedXid.PING, OpCode.PING);
    return writer.finish();
  };

  /** Reads until all answers are here, and sends the last mark back whenever as much as may be unread was read. */
  async function readWithMarks(client: RawClient): Promise<{ got: Received; most: number }> {
    const got = new Received();
    let most = 0;
    while (got.xids.length < READS) {
      const before = got.bytes;
      while (got.bytes - before < UNREAD_BYTES_MAX && got.xids.length < READS) got.take(await client.next());
      // pings are answered while requests wait, so that the client is known to live
      const { pongs } = got;
      client.send(ping());
      while (got.pongs === pongs) got.take(await client.next());
      most = Math.max(most, got.bytes - before);
      if (got.mark === undefined) throw new Error("no mark came");
      const writer = new ByteWriter();
      writeMarkEcho(writer, got.mark);
      client.send(writer.finish());
    }
    return { got, most };
  }

  it("[NODE-40] are computed as the client reads, in the order of its requests", async () => {
    const stub = await withData("marks");
    const client = await RawClient.open(stub, NO_SESSION, ZXID_ZERO, true);
    client.send(readsOf("/big"));
    const { got, most } = await readWithMarks(client);
    expect(got.xids).toEqual(upTo(READS));
    expect([...got.codes]).toEqual([0]);
    expect(most).toBeLessThan(UNREAD_BYTES_MAX + 2 * DATA_BYTES);
    expect(client.closed).toBe(false);
  });

  it("[NODE-40] are written as the client reads, also after a write that made them long", async () => {
    const stub = await withData("behind-a-write");
    const client = await RawClient.open(stub, NO_SESSION, ZXID_ZERO, true);
    const writer = new ByteWriter();
    writeRequest(writer, 1, create("/grows"));
    writeRequest(writer, 2, {
      type: "setData",
      path: "/grows",
      data: new Uint8Array(DATA_BYTES),
      version: -1,
    });
    for (let xid = 3; xid <= READS; xid++)
      writeRequest(writer, xid, { type: "getData", path: "/grows", watch: false });
    client.send(writer.finish());
    const { got, most } = await readWithMarks(client);
    expect(got.xids).toEqual(upTo(READS));
    expect([...got.codes]).toEqual([0]);
    expect(most).toBeLessThan(UNREAD_BYTES_MAX + 3 * DATA_BYTES);
  });

  it("[NODE-40] end the connection of a client without marks at a limit, and no other", async () => {
    const stub = await withData("no-marks");
    const boots = await bootsOf("no-marks");
    const other = await RawClient.open(stub);
    const client = await RawClient.open(stub);
    client.send(readsOf("/big"));
    await client.untilClosed();
    expect(client.end).toMatch(/^4127 \d+ KiB of answers are unread: the client sends no marks back$/);
    const got = new Received();
    for (const message of client.pending()) got.take(message);
    expect(got.xids).toEqual(upTo(got.xids.length));
    expect(got.xids.length).toBeGreaterThan(10);
    expect(got.bytes).toBeLessThan(UNREAD_BYTES_END + 2 * DATA_BYTES);
    expect(await other.ask(1, create("/after"))).toBe(0);
    // its session continues over another connection, and unanswered requests are sent again
    const next = await RawClient.open(stub, client.session);
    expect([next.session, await next.ask(10, create("/w10"))]).toEqual([client.session, 0]);
    expect(await bootsOf("no-marks")).toEqual(boots);
  });

  it("[NODE-41] a client is served while others have many long answers outstanding", async () => {
    const stub = await withData("shares");
    const greedy = await Promise.all(upTo(4).map(() => RawClient.open(stub, NO_SESSION, ZXID_ZERO, true)));
    const lone = await RawClient.open(stub);
    for (const client of greedy) for (let i = 0; i < 8; i++) client.send(readsOf("/big"));
    expect(await lone.ask(1, create("/lone"))).toBe(0);
    for (const client of greedy) {
      const bytes = client.pending().reduce((sum, message) => sum + message.length, 0);
      expect(bytes).toBeLessThan(UNREAD_BYTES_MAX + 2 * DATA_BYTES);
    }
  });
});

describe.concurrent("a socket whose client has disappeared", () => {
  const open = async (stub: Stub, path: string): Promise<WebSocket> => {
    const { webSocket } = await stub.fetch(`http://node${path}`, { headers: { upgrade: "websocket" } });
    if (webSocket === null) throw new Error("no socket");
    return webSocket;
  };

  const asleep = async (stub: Stub): Promise<void> => {
    while (!(await stub.status()).quiet) await scheduler.wait(20);
  };

  it("[NODE-19] is closed after two beats of silence; one that beats is kept", async () => {
    const stub = node("silent", (await founded("silent")).sid);
    const [beating, unshaken, ...silent] = await Promise.all(
      ["/events", "/ws", "/events", "/watch?path=/&kind=children", "/ws"].map((path) => open(stub, path)),
    );
    if (beating === undefined || unshaken === undefined) throw new Error("no sockets");
    const ended = [unshaken, ...silent].map((socket) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      socket.addEventListener("close", ({ code, reason }) => resolve(`${code} ${reason}`));
      socket.accept();
      return promise;
    });
    let kept = true;
    beating.addEventListener("close", () => {
      kept = false;
    });
    beating.accept();
    // what is no handshake does not help
    const beat = setInterval(() => {
      beating.send("beat");
      if (unshaken.readyState === WebSocket.OPEN) unshaken.send("beat");
    }, 500);
    const unshaken15 = "1001 no handshake within 15 s";
    expect(await Promise.all(ended)).toEqual([unshaken15, "1001 silence", "1001 silence", unshaken15]);
    expect([kept, (await stub.status()).quiet]).toEqual([true, false]);
    clearInterval(beat);
    beating.close(1000, "done");
    await asleep(stub);
  });

  it("[NODE-40] is closed with too much unread data after 20 s without progress; one that reads is kept", async () => {
    const stub = node("stalled", (await founded("stalled")).sid);
    const request = { ...create("/big"), data: new Uint8Array(700_000) } as WriteRequest;
    expect(await stub.write({ session: NO_SESSION, xid: 0, request })).toMatchObject({ ok: true });
    const [stalled, reading] = await Promise.all(
      [1, 2].map(() => RawClient.open(stub, NO_SESSION, ZXID_ZERO, true)),
    );
    if (stalled === undefined || reading === undefined) throw new Error("no clients");
    for (const client of [stalled, reading]) {
      const writer = new ByteWriter();
      for (const xid of [1, 2, 3]) writeRequest(writer, xid, { type: "getData", path: "/big", watch: false });
      client.send(writer.finish());
    }
    for (let answers = 0; answers < 3; ) {
      const frames = new FrameCursor(await reading.next(), Number.MAX_SAFE_INTEGER);
      while (frames.next()) {
        const { xid } = readReplyHeader(frames.reader);
        const mark = xid === ReservedXid.PING ? readMark(frames.reader) : undefined;
        if (xid > 0) answers += 1;
        if (mark === undefined) continue;
        const writer = new ByteWriter();
        writeMarkEcho(writer, mark);
        reading.send(writer.finish());
      }
    }
    await stalled.untilClosed();
    expect(stalled.end).toMatch(/^4127 \d+ KiB of answers are unread: the client does not read$/);
    expect(await reading.ask(4, create("/kept"))).toBe(0);
  });

  it("[NODE-19] is not counted if it was refused", async () => {
    const stub = node("refused", (await founded("refused")).sid);
    const headers = { upgrade: "websocket" };
    const behind = await stub.fetch("http://node/watch?path=/&since=0xfff00000001", { headers });
    expect([behind.status, (await stub.fetch("http://node/none", { headers })).status]).toEqual([503, 404]);
    await asleep(stub);
  });
});

describe("a stream's socket", () => {
  it("[NODE-45] of a Worker that does not read is closed alone; one that reads, or sends no report, continues", async () => {
    const { sid } = await founded("unread-stream");
    const stub = node("unread-stream", sid);
    const path = `/${"x".repeat(30_000)}`;
    await stub.write({ session: NO_SESSION, xid: 0, request: create(path) });
    const watch = async (reports: boolean) => {
      const query = new URLSearchParams({ path, kind: "data", ...(reports && { [REPORTS_QUERY]: "" }) });
      const response = await stub.fetch(`http://node/watch?${query}`, { headers: { upgrade: "websocket" } });
      const socket = response.webSocket;
      if (socket === null) throw new Error(`${response.status}`);
      const seen = { chars: 0, code: undefined as number | undefined, versions: 0 };
      socket.addEventListener("message", ({ data }) => {
        if (data === BEAT_FRAME) return;
        seen.chars += String(data).length;
        seen.versions += 1;
      });
      socket.addEventListener("close", ({ code }) => {
        seen.code = code;
        socket.close(1000, "done");
      });
      socket.accept();
      return { seen, report: () => socket.send(`read:${seen.chars}`) };
    };
    const [unread, read, earlier] = [await watch(true), await watch(true), await watch(false)];
    let writes = 0;
    while (unread.seen.code === undefined) {
      const request = { type: "setData", path, data: null, version: -1 } as const;
      expect((await stub.write({ session: NO_SESSION, xid: 0, request })).ok).toBe(true);
      read.report();
      writes += 1;
      expect(writes).toBeLessThan(2_000);
    }
    expect(unread.seen.code).toBe(1013);
    expect(unread.seen.chars).toBeLessThanOrEqual(STREAM_UNREAD_MAX);
    expect(unread.seen.chars).toBeGreaterThan(STREAM_UNREAD_MAX - 40_000);
    for (const { seen } of [read, earlier]) {
      while (seen.chars <= STREAM_UNREAD_MAX) await scheduler.wait(1);
      expect(seen.code).toBeUndefined();
    }
  });
});
