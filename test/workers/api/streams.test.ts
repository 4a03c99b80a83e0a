import { describe, expect, it } from "vitest";
import { must } from "../../../core/assert.ts";
import { writeConnectRequest } from "../../../core/wire/jute/connect.ts";
import { FrameCursor } from "../../../core/wire/jute/frame.ts";
import { OpCode } from "../../../core/wire/jute/opcodes.ts";
import { readReply } from "../../../core/wire/jute/replies.ts";
import { writeRequest } from "../../../core/wire/jute/requests.ts";
import { ByteReader } from "../../../core/wire/reader.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { ZXID_ZERO } from "../../../core/zab/zxid.ts";
import { CreateMode, NO_SESSION } from "../../../core/znode/types.ts";
import { readReplyHeader } from "../../reply-header.ts";
import { call, EventReader, ensembleOf, heal, make, problemOf, until } from "./helpers.ts";

const SSE = { accept: "text/event-stream" };

/** What an event of a watch says. */
async function changeOf(
  reader: EventReader,
): Promise<{ type: string; path: string; id: string | undefined }> {
  const { id, data } = await reader.next();
  const event = JSON.parse(data ?? "null") as { type: string; path: string };
  return { type: event.type, path: event.path, id };
}

const put = (path: string, body: string): Promise<Response> =>
  call(`/v1/znodes${path}`, { method: "PUT", body });
const remove = (path: string): Promise<Response> => call(`/v1/znodes${path}`, { method: "DELETE" });

describe("a stream", () => {
  it.each(["/v1/znodes/?watch=children", "/v1/events"])(
    "[HTTP-34] of %s whose reader left before it began holds nothing",
    async (path) => {
      const response = await call(path, { headers: SSE, signal: AbortSignal.abort() });
      expect(await response.text()).toBe("");
      await until(ensembleOf, ({ nodes }) => nodes.every((node) => node.up && node.watches === 0));
    },
  );
});

describe("watch streams", () => {
  it("[HTTP-19] sends every change of the data, from the id of the initial state", async () => {
    const made = await (await make("/watched", "0")).json<{ stat: { mzxid: string } }>();
    const reader = new EventReader(await call("/v1/znodes/watched?watch=data", { headers: SSE }));
    expect(await reader.next()).toEqual({ id: made.stat.mzxid, event: undefined, data: undefined });
    const set = await (await put("/watched", "1")).json<{ stat: { mzxid: string } }>();
    expect(await changeOf(reader)).toEqual({ type: "NodeDataChanged", path: "/watched", id: set.stat.mzxid });
    await remove("/watched");
    const gone = await changeOf(reader);
    expect(gone).toMatchObject({ type: "NodeDeleted", path: "/watched" });
    expect(gone.id).toMatch(/^0x[0-9a-f]+-$/);
    await make("/watched", "2");
    expect(await changeOf(reader)).toMatchObject({ type: "NodeCreated" });
    await reader.cancel();
  });

  it("[HTTP-19] resumes at Last-Event-ID with the changes since then, and nothing else", async () => {
    await make("/resumed", "0");
    const watch = async (id: string): Promise<EventReader> =>
      new EventReader(
        await call("/v1/znodes/resumed?watch=data", { headers: { ...SSE, "last-event-id": id } }),
      );
    const first = new EventReader(await call("/v1/znodes/resumed", { headers: SSE }));
    const start = (await first.next()).id ?? "";
    await first.cancel();

    await put("/resumed", "1");
    const second = await watch(start);
    expect((await second.next()).id).toBe(start);
    const changed = await changeOf(second);
    expect(changed.type).toBe("NodeDataChanged");
    await second.cancel();

    const third = await watch(changed.id ?? "");
    await third.next();
    await remove("/resumed");
    const gone = await changeOf(third);
    expect(gone.type).toBe("NodeDeleted");
    await third.cancel();

    const fourth = await watch(gone.id ?? "");
    expect((await fourth.next()).id).toBe(gone.id);
    await make("/resumed", "3");
    expect(await changeOf(fourth)).toMatchObject({ type: "NodeCreated" });
    await fourth.cancel();

    const fifth = await watch(start);
    await fifth.next();
    expect((await changeOf(fifth)).type).toMatch(/^Node(DataChanged|Created)$/);
    await fifth.cancel();
  });

  it("[HTTP-19] watches children, and znodes that do not exist yet", async () => {
    await make("/parent");
    const children = new EventReader(await call("/v1/znodes/parent?watch=children", { headers: SSE }));
    await children.next();
    await make("/parent/child");
    expect(await changeOf(children)).toMatchObject({ type: "NodeChildrenChanged", path: "/parent" });
    await children.cancel();

    const exists = new EventReader(await call("/v1/znodes/later?watch=exists", { headers: SSE }));
    expect((await exists.next()).id).toMatch(/^0x[0-9a-f]+-$/);
    await make("/later");
    expect(await changeOf(exists)).toMatchObject({ type: "NodeCreated", path: "/later" });
    await exists.cancel();
    await problemOf(await call("/v1/znodes/never?watch=data", { headers: SSE }), 404, "NO_NODE");
  });

  it("[HTTP-19] begins with the reconnection time, and refuses invalid ids", async () => {
    await make("/head");
    const head = await call("/v1/znodes/head?watch=data", { method: "HEAD" });
    expect(head.headers.get("content-type")).toContain("text/event-stream");
    const response = await call("/v1/znodes/head?watch=data");
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toContain("retry: 1000");
    await reader?.cancel();
    for (const id of ["1", "0x", "0xg", "1:1-1"]) {
      const headers = { ...SSE, "last-event-id": id };
      await problemOf(await call("/v1/znodes/head", { headers }), 400, "BAD_ARGUMENTS");
    }
  });
});

describe("the stream of protocol events", () => {
  const open = async (query = "", headers: Record<string, string> = {}): Promise<EventReader> =>
    new EventReader(await call(`/v1/events${query}`, { headers: { ...SSE, ...headers } }));

  /** The order in which events must come: none twice, none left out, per node. */
  class Order {
    readonly #last = new Map<unknown, number>();

    check(event: Record<string, unknown>): void {
      const seq = Number(String(event.id).split("-")[1]);
      const last = this.#last.get(event.sid);
      if (last !== undefined) expect([event.sid, seq]).toEqual([event.sid, last + 1]);
      this.#last.set(event.sid, seq);
    }
  }

  /** Reads until `accept`. @returns the stream's id there */
  async function readUntil(
    reader: EventReader,
    order: Order,
    accept: (event: Record<string, unknown>) => boolean,
  ): Promise<string> {
    for (;;) {
      const { id, data, event } = await reader.next();
      expect(event).toBeUndefined();
      expect(id).toMatch(/^[1-9]:\d+-\d+(,[1-9]:\d+-\d+)*$/);
      const content = JSON.parse(data ?? "null") as Record<string, unknown>;
      expect(id).toContain(`${content.sid}:${content.id}`);
      order.check(content);
      if (accept(content)) return id ?? "";
    }
  }

  it("[HTTP-20] shows the protocol's events for a write", async () => {
    const reader = await open();
    await make("/event");
    const missing = new Set<unknown>(["propose", "ack", "commit"]);
    await readUntil(reader, new Order(), ({ type }) => {
      missing.delete(type);
      return missing.size === 0;
    });
    await reader.cancel();
  });

  it("[HTTP-20] resumes each node at its id, without gap or repetition", async () => {
    const order = new Order();
    const first = await open();
    await make("/resume-1");
    const id = await readUntil(first, order, ({ type }) => type === "commit");
    await first.cancel();
    await make("/resume-2");
    const second = await open("", { "last-event-id": id });
    await readUntil(second, order, ({ type }) => type === "commit");
    await second.cancel();
  });

  it("[HTTP-20] can be limited to one node", async () => {
    const reader = await open("?node=3");
    for (let count = 0; count < 2; count++) {
      const { data } = await reader.next();
      expect(JSON.parse(data ?? "null")).toMatchObject({ sid: 3 });
    }
    await reader.cancel();
  });

  it("[HTTP-20] reports where events are lost", async () => {
    const reader = await open("?node=1", { "last-event-id": "1:1-999999" });
    const { event, data } = await reader.next();
    expect(event).toBe("gap");
    expect(JSON.parse(data ?? "null")).toMatchObject({ sid: 1 });
    await reader.cancel();
  });

  it("[HTTP-20] refuses invalid ids", async () => {
    for (const id of ["x", "1", "1:1", "0:1-1", "1:1-1,", "1:-1-1", `1:${"9".repeat(40)}-1`]) {
      await problemOf(
        await call("/v1/events", { headers: { ...SSE, "last-event-id": id } }),
        400,
        "BAD_ARGUMENTS",
      );
    }
  });
});

describe("the WebSocket", () => {
  it("[HTTP-21] is passed to a node", async () => {
    const response = await call("/v1/ws?node=2", { headers: { upgrade: "websocket" } });
    expect(response.status).toBe(101);
    response.webSocket?.accept();
    response.webSocket?.close(1000, "done");
  });

  it("[HTTP-21] [ZNODE-41] carries getEphemerals, which answers for the session of the socket", async () => {
    const { webSocket } = await call("/v1/ws?node=2", { headers: { upgrade: "websocket" } });
    const socket = must(webSocket ?? undefined, "the socket opens");
    socket.binaryType = "arraybuffer";
    socket.accept();
    const packets: Uint8Array[] = [];
    socket.addEventListener("message", ({ data }) => {
      const frames = new FrameCursor(new Uint8Array(data as ArrayBuffer));
      while (frames.next()) packets.push(frames.reader.bytes(frames.reader.left));
    });
    const writer = new ByteWriter();
    writeConnectRequest(writer, {
      ...{ lastZxidSeen: ZXID_ZERO, timeoutMs: 30_000, session: NO_SESSION },
      ...{ password: new Uint8Array(16), readOnly: false, wantsLastXid: false },
    });
    socket.send(writer.finish());
    await until(
      async () => packets.length,
      (count) => count === 1,
    );
    writer.reset();
    for (const [i, path] of ["/of-ws-b", "/of-ws-a"].entries()) {
      const create = { type: "create", path, data: null, mode: CreateMode.EPHEMERAL } as const;
      writeRequest(writer, i + 1, { ...create, withStat: false });
    }
    for (const [i, prefixPath] of ["/", "/of-ws-b", "/none"].entries())
      writeRequest(writer, i + 3, { type: "getEphemerals", prefixPath });
    socket.send(writer.finish());
    await until(
      async () => packets.length,
      (count) => count === 6,
    );
    const replies = packets.slice(3).map((packet) => {
      const reader = new ByteReader(packet);
      const { xid, err } = readReplyHeader(reader);
      return { xid, ...readReply(reader, OpCode.GET_EPHEMERALS, err) };
    });
    const found = (xid: number, ...ephemerals: string[]) => ({ xid, type: "getEphemerals", ephemerals });
    expect(replies).toEqual([found(3, "/of-ws-a", "/of-ws-b"), found(4, "/of-ws-b"), found(5)]);
    socket.close(1000, "done");
  });

  it("[HTTP-21] refuses a request without Upgrade, and nodes that do not exist", async () => {
    for (const path of ["/v1/ws", "/v1/live"]) {
      const response = await call(path);
      expect(response.headers.get("upgrade")).toBe("websocket");
      await problemOf(response, 426, "UPGRADE_REQUIRED");
    }
    await problemOf(await call("/v1/ws?node=7"), 404, "NOT_FOUND");
    await problemOf(await call("/e/unknown/v1/ws"), 404, "UNKNOWN_ENSEMBLE");
    await problemOf(await call("/v1/ws?node=7", { headers: { upgrade: "websocket" } }), 404, "NOT_FOUND");
    await call("/v1/faults/nodes/2/kill", { method: "POST" });
    await problemOf(await call("/v1/ws?node=2", { headers: { upgrade: "websocket" } }), 503, "NODE_DOWN");
    const other = await call("/v1/ws", { headers: { upgrade: "websocket" } });
    expect(other.status).toBe(101);
    other.webSocket?.accept();
    other.webSocket?.close(1000, "done");
    await heal();
  });
});
