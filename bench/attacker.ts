/**
 * One attack of (e), in a process of its own. Started as `attacker.ts <attack> <url> <ms>`; sends "ready" when its
 * state is prepared, begins when its parent says so, and reports its observations at the end.
 */
import { Agent, request } from "node:http";
import { connect as connectTcp } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { WebSocket } from "ws";
import { connect } from "../client/sdk/node.ts";
import { writeConnectRequest } from "../core/wire/jute/connect.ts";
import { writeRequest } from "../core/wire/jute/requests.ts";
import { ByteWriter } from "../core/wire/writer.ts";
import { ZXID_ZERO } from "../core/zab/zxid.ts";
import { NO_SESSION } from "../core/znode/types.ts";
import { type Attack, type AttackerMessage, WRITTEN } from "./attack-list.ts";

const BIG = "/attack-big";
const BIG_BYTES = 1_000_000;
const LIST = "/attack-list";
const NAMES = 100_000;
const [attack = "", url = "", msText = ""] = process.argv.slice(2);
const ms = Number(msText);

/** A client that sends no marks back. */
async function rawClient(): Promise<{ socket: WebSocket; read: () => number; end: () => string }> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/ws`, { perMessageDeflate: false });
  let bytes = 0;
  let end = "open";
  socket.on("error", () => undefined);
  socket.on("close", (code, reason) => {
    end = `closed with ${code} ${reason}`;
  });
  await new Promise((resolve) => socket.once("open", resolve));
  const writer = new ByteWriter(64);
  const password = new Uint8Array(16);
  writeConnectRequest(writer, {
    ...{ lastZxidSeen: ZXID_ZERO, timeoutMs: 30_000, session: NO_SESSION, password, readOnly: false },
  });
  socket.send(writer.finish());
  await new Promise((resolve) => socket.once("message", resolve));
  socket.on("message", (data: Buffer) => {
    bytes += data.length;
  });
  return { socket, read: () => bytes, end: () => end };
}

function readsOfBig(count: number): Uint8Array {
  const writer = new ByteWriter(count * 32);
  for (let xid = 1; xid <= count; xid++)
    writeRequest(writer, xid, { type: "getData", path: BIG, watch: false });
  return writer.finish();
}

async function makeBig(): Promise<void> {
  await using session = await connect(url);
  await session.create(BIG, new Uint8Array(BIG_BYTES));
}

async function makeList(): Promise<void> {
  await using session = await connect(url);
  await session.create(LIST);
  for (let i = 0; i < NAMES; i += 1_000) {
    const names = Array.from({ length: 1_000 }, (_, j) => `${LIST}/n${String(i + j).padStart(9, "0")}`);
    await Promise.all(names.map((name) => session.create(name)));
  }
}

const MiB = 2 ** 20;
/** Readers that open a stream and never read it. */
const UNREAD_READERS = 200;
const TOPIC = "attack-records";

async function makeTopic(): Promise<void> {
  const clusters = (await (await fetch(`${url}/v3/clusters`)).json()) as {
    readonly data: readonly { readonly cluster_id: string }[];
  };
  const response = await fetch(`${url}/v3/clusters/${clusters.data[0]?.cluster_id}/topics`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ topic_name: TOPIC, partitions_count: 1 }),
  });
  if (!response.ok) throw new Error(await response.text());
  await produce(1);
}

/** Appends a record of `bytes`. */
async function produce(bytes: number): Promise<void> {
  const response = await fetch(`${url}/topics/${TOPIC}/partitions/0`, {
    method: "POST",
    headers: { "content-type": "application/vnd.kafka.json.v2+json" },
    body: JSON.stringify({ records: [{ value: "x".repeat(bytes) }] }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
}

/**
 * Opens streams that are never read, while the attacker writes 100 kB at a time to the znode and the topic.
 * @param lines lines of the request after its first two
 * @param first bytes that are sent at once after these
 */
async function leaveUnread(
  path: string,
  lines: readonly string[],
  first: Buffer,
  write: () => Promise<void>,
): Promise<string> {
  const { hostname, port } = new URL(url);
  for (let i = 0; i < UNREAD_READERS; i++) {
    const socket = connectTcp({ port: Number(port), host: hostname });
    socket.pause();
    socket.on("error", () => undefined);
    socket.write([`GET ${path} HTTP/1.1`, `Host: ${hostname}:${port}`, ...lines, "", ""].join("\r\n"));
    if (first.length > 0) socket.write(first);
    if (i % 50 === 49) await wait(10);
  }
  await wait(1_000);
  const endsAt = performance.now() + ms;
  let writes = 0;
  while (performance.now() < endsAt) {
    await write();
    writes += 1;
  }
  return `${writes} writes beside ${UNREAD_READERS} readers`;
}

/** A WebSocket frame of a client with JSON text, masked with zeros. */
function frameOf(message: object): Buffer {
  const text = Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]);
}

const SSE = ["Accept: text/event-stream"];
/** Longest wait for connections to open or to be closed, ms. */
const OPEN_MS_MAX = 60_000;

/** *map attack → prepares its state and returns the attack*, which resolves with its observations. */
const RUNS: Readonly<Record<Attack, () => Promise<() => Promise<string>>>> = {
  reads: async () => {
    await makeBig();
    return async () => {
      const { socket, read, end } = await rawClient();
      socket.send(readsOfBig(4_000));
      await wait(ms);
      return `read ${Math.round(read() / MiB)} MiB; ${end()}`;
    };
  },
  "stopped-reader": async () => {
    await makeBig();
    return async () => {
      const { socket, end } = await rawClient();
      // biome-ignore lint/complexity/useLiteralKeys: ws keeps its socket to itself
      (socket as unknown as { readonly _socket: { pause(): void } })["_socket"].pause();
      socket.send(readsOfBig(300));
      await wait(ms);
      return end();
    };
  },
  lists: async () => {
    await makeList();
    return async () => {
      const sessions = await Promise.all([1, 2, 3, 4].map(() => connect(url)));
      const endsAt = performance.now() + ms;
      let lists = 0;
      const ask = async (session: (typeof sessions)[number]): Promise<void> => {
        while (performance.now() < endsAt) {
          await session.children(LIST);
          lists += 1;
        }
      };
      await Promise.all(sessions.flatMap((session) => Array.from({ length: 8 }, () => ask(session))));
      return `${lists} lists of ${NAMES} names`;
    };
  },
  "half-open": async () => async () => {
    const COUNT = 1_500;
    let open = 0;
    const { hostname, port, pathname } = new URL(url);
    for (let i = 0; i < COUNT; i++) {
      const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
      const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
      for (const lines of [
        [`GET ${pathname}v1/ws HTTP/1.1`, `Host: ${hostname}`, ...upgrade, key, "", ""],
        [
          `POST ${pathname}v1/znodes/half-${i} HTTP/1.1`,
          `Host: ${hostname}`,
          "Content-Length: 9",
          "",
          "half",
        ],
      ]) {
        const socket = connectTcp(Number(port), hostname);
        open += 1;
        socket.on("error", () => undefined).once("close", () => (open -= 1));
        socket.resume();
        socket.write(lines.join("\r\n"));
      }
      if (i % 50 === 49) await wait(10);
    }
    const began = open;
    const start = performance.now();
    while (open > 0 && performance.now() - start < OPEN_MS_MAX) await wait(100);
    return `${open} of ${began} connections open after ${Math.round((performance.now() - start) / 1000)} s`;
  },
  watchers: async () => async () => {
    const COUNT = 2_000;
    const agent = new Agent({ maxSockets: COUNT });
    let events = 0;
    let streams = 0;
    for (let i = 0; i < COUNT; i++) {
      const headers = { accept: "text/event-stream" };
      const stream = request(`${url}/v1/znodes${WRITTEN}?watch=data`, { agent, headers });
      stream.on("error", () => undefined);
      stream.on("response", (response) => {
        streams += 1;
        response.on("error", () => undefined);
        response.on("data", (chunk: Buffer) => {
          events += chunk.includes("NodeDataChanged") ? 1 : 0;
        });
      });
      stream.end();
      if (i % 50 === 49) await wait(10);
    }
    for (const start = performance.now(); streams < COUNT && performance.now() - start < OPEN_MS_MAX; )
      await wait(100);
    await wait(ms);
    return `${streams} streams, ${events} messages with events`;
  },
  "unread-watches": async () => async () => {
    await using session = await connect(url);
    const data = new Uint8Array(100_000);
    return await leaveUnread(`/v1/znodes${WRITTEN}?watch=data`, SSE, Buffer.alloc(0), async () => {
      await session.set(WRITTEN, data);
    });
  },
  "unread-events": async () => async () => {
    await using session = await connect(url);
    const data = new Uint8Array(100_000);
    return await leaveUnread("/v1/events", SSE, Buffer.alloc(0), async () => {
      await session.set(WRITTEN, data);
    });
  },
  "unread-records": async () => {
    await makeTopic();
    return () =>
      leaveUnread(`/topics/${TOPIC}/partitions/0/records?format=json&offset=0`, SSE, Buffer.alloc(0), () =>
        produce(100_000),
      );
  },
  "unread-live": async () => {
    await makeTopic();
    const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    const frames = [
      { subscribe: "records", as: "r", topic: TOPIC, partition: 0 },
      { subscribe: "events", as: "e" },
    ].map(frameOf);
    return () => leaveUnread("/v1/live", [...upgrade, key], Buffer.concat(frames), () => produce(100_000));
  },
};

const run = await RUNS[attack as Attack]();
const tell = (message: AttackerMessage): void => void process.send?.(message);
tell("ready");
await new Promise((resolve) => process.once("message", resolve));
tell({ seen: await run() });
process.disconnect?.();
process.exit(0);
