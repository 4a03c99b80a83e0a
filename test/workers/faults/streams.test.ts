/** Streams of every kind while nodes and partitions fail: none stays open and silent, and none misses an event. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, type Session, type SocketLike } from "../../../client/sdk/index.ts";
import { compareZxid, type Zxid, zxidFromText } from "../../../core/zab/zxid.ts";
import { call, EventReader, send, until } from "../api/helpers.ts";
import { Victims } from "./helpers.ts";

/** A client that follows a stream for as long as the test lasts: it comes back with its last id, as a browser does. */
abstract class Follower {
  readonly name: string;
  readonly #stop = new AbortController();
  /** answers that were no stream, and streams that ended */
  refusals = 0;
  #last: string | undefined;
  readonly #done: Promise<void>;

  constructor(name: string, path: string) {
    this.name = name;
    this.#done = this.#follow(path);
  }

  async #follow(path: string): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const headers = this.#last === undefined ? {} : { "last-event-id": this.#last };
      const response = await call(path, {
        headers: { accept: "text/event-stream", ...headers },
        signal: this.#stop.signal,
      });
      if (response.status !== 200) {
        await response.body?.cancel();
        this.refusals += 1;
        await scheduler.wait(20);
      } else await this.#read(new EventReader(response));
    }
  }

  async #read(reader: EventReader): Promise<void> {
    try {
      while (!this.#stop.signal.aborted) {
        const { id, data } = await reader.next();
        this.#last = id ?? this.#last;
        if (data !== undefined) this.take(JSON.parse(data) as Record<string, unknown>);
      }
    } catch {
      // the stream ended
    }
    await reader.cancel().catch(() => undefined);
  }

  abstract take(event: Record<string, unknown>): void;
  abstract has(mark: Mark): boolean;

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

/** What every stream has to show in the end. */
interface Mark {
  readonly zxid: Zxid;
  readonly value: string;
  /** when it was acknowledged, ms since 1970 */
  readonly at: number;
}

/** One that sees a change of at least this zxid has missed none. */
class ZxidFollower extends Follower {
  #seen: Zxid | undefined;

  take({ zxid }: Record<string, unknown>): void {
    const at = typeof zxid === "string" ? zxidFromText(zxid) : undefined;
    if (at !== undefined && (this.#seen === undefined || compareZxid(at, this.#seen) > 0)) this.#seen = at;
  }

  has({ zxid }: Mark): boolean {
    return this.#seen !== undefined && compareZxid(this.#seen, zxid) >= 0;
  }
}

/** Of one node, which reports no write unless it leads: any later event will do. */
class NodeEventsFollower extends Follower {
  #at = 0;

  take({ at }: Record<string, unknown>): void {
    if (typeof at === "number") this.#at = at;
  }

  has({ at }: Mark): boolean {
    return this.#at > at;
  }
}

class RecordFollower extends Follower {
  readonly #values: string[] = [];

  take({ records = [] }: Record<string, unknown>): void {
    for (const { value } of records as { value: string }[]) this.#values.push(value);
  }

  has({ value }: Mark): boolean {
    return this.#values.includes(value);
  }

  /** Everything that came, in order. */
  get values(): readonly string[] {
    return this.#values;
  }
}

/** Long polls, one after the other. */
class Poller {
  readonly name = "long poll";
  readonly refusals = 0;
  readonly values: string[] = [];
  #stopped = false;
  readonly #done: Promise<void>;

  constructor(path: string) {
    this.#done = this.#poll(path);
  }

  async #poll(path: string): Promise<void> {
    let offset = 0;
    while (!this.#stopped) {
      const response = await call(`${path}?format=json&offset=${offset}&wait_ms=20000`);
      if (response.status === 200) {
        for (const { value } of await response.json<{ value: string }[]>()) this.values.push(value);
        offset = Number(response.headers.get("x-next-offset"));
      } else await response.body?.cancel();
    }
  }

  has({ value }: Mark): boolean {
    return this.values.includes(value);
  }

  /** @param wake appends a record, which ends the poll that waits */
  async stop(wake: () => Promise<unknown>): Promise<void> {
    this.#stopped = true;
    await wake();
    await this.#done;
  }
}

/** The SDK over `/v1/ws`, which watches the znode. */
class SdkFollower {
  readonly name: string;
  readonly refusals = 0;
  readonly #session: Session;
  #value = "";

  private constructor(name: string, session: Session, path: string) {
    this.name = name;
    this.#session = session;
    void this.#follow(path).catch(() => undefined);
  }

  static async open(prefix: string, path: string): Promise<SdkFollower> {
    const session = await connect(`http://zoo.test${prefix}`, { openSocket });
    return new SdkFollower("sdk", session, path);
  }

  async #follow(path: string): Promise<void> {
    for await (const znode of this.#session.watch(path))
      this.#value = new TextDecoder().decode(znode?.data ?? new Uint8Array());
  }

  has({ value }: Mark): boolean {
    return this.#value === value;
  }

  async stop(): Promise<void> {
    await this.#session.close();
  }
}

/** The app's WebSocket as the SDK takes it. */
function openSocket(url: string): SocketLike {
  const waiting: Uint8Array<ArrayBuffer>[] = [];
  let socket: WebSocket | undefined;
  const like: SocketLike = {
    binaryType: "arraybuffer",
    onopen: null,
    onmessage: null,
    onerror: null,
    onclose: null,
    send: (data) => (socket === undefined ? waiting.push(data) : socket.send(data)),
    close: (code, reason) => socket?.close(code, reason),
  };
  const end = (code: number, reason: string): void => like.onclose?.({ code, reason });
  const { pathname, search } = new URL(url);
  call(pathname + search, { headers: { upgrade: "websocket" } }).then(
    ({ webSocket }) => {
      if (webSocket === null) return end(1006, "refused");
      socket = webSocket;
      webSocket.binaryType = "arraybuffer";
      webSocket.addEventListener("message", ({ data }) => like.onmessage?.({ data }));
      webSocket.addEventListener("close", ({ code, reason }) => end(code, reason));
      webSocket.addEventListener("error", () => end(1006, "broken"));
      webSocket.accept();
      like.onopen?.(undefined as never);
    },
    () => end(1006, "failed"),
  );
  return like;
}

async function topicsPath(prefix: string): Promise<string> {
  const clusters = await (await call(`${prefix}/v3/clusters`)).json<{ data: { cluster_id: string }[] }>();
  return `${prefix}/v3/clusters/${clusters.data[0]?.cluster_id}/topics`;
}

async function topicIdOf(prefix: string, name: string): Promise<string> {
  const topic = await (await call(`${prefix}/topics/${name}`)).json<{ topic_id: string }>();
  return topic.topic_id;
}

/** Ends a partition's object as an uncaught error does. */
async function abort(name: string): Promise<void> {
  const stub = env.TOPIC_PARTITION.get(env.TOPIC_PARTITION.idFromName(name));
  await runInDurableObject(stub, (_, state) => state.abort("test")).catch(() => undefined);
}

/** A topic of one partition. @returns the path of the partition */
async function makeTopic(prefix: string, name: string): Promise<string> {
  const made = await send("POST", await topicsPath(prefix), { topic_name: name, partitions_count: 1 });
  expect(made.status, await made.text()).toBe(201);
  return `${prefix}/topics/${name}/partitions/0`;
}

async function produce(partition: string, value: string): Promise<void> {
  const ask = (): Promise<Response> =>
    call(partition, {
      method: "POST",
      headers: { "content-type": "application/vnd.kafka.json.v2+json", "idempotency-key": value },
      body: JSON.stringify({ records: [{ value }] }),
    });
  await until(ask, ({ status }) => status === 200);
}

const FAULTS = ["crash", "evict", "kill", "pause", "isolate", "wipe"] as const;

describe.each(FAULTS)("streams beside the fault %s of every node", (fault) => {
  let victims: Victims;
  let partition: string;
  let writes = 0;
  const followers: {
    readonly name: string;
    readonly refusals: number;
    has: (mark: Mark) => boolean;
    stop: (wake: () => Promise<unknown>) => Promise<void>;
  }[] = [];

  /** Sets the znode and produces a record, each until it is acknowledged. */
  async function write(): Promise<Mark> {
    writes += 1;
    const value = `${fault} ${writes}`;
    const path = `${victims.prefix}/v1/znodes/s`;
    const set = await until(
      () => call(path, { method: "PUT", body: value }),
      ({ status }) => status === 200,
    );
    const zxid = zxidFromText((await set.json<{ stat: { mzxid: string } }>()).stat.mzxid);
    if (zxid === undefined) throw new Error("a Stat without mzxid");
    await produce(partition, value);
    return { zxid, value, at: Date.now() };
  }

  /** Writes until every stream has shown a write, or has been refused since, which only those of one node may be. */
  async function untilAllShow(): Promise<void> {
    const before = new Map(followers.map((each) => [each, each.refusals]));
    const mark = await write();
    await until(
      async () =>
        followers.filter((each) => {
          const refused = each.name.includes("node=") && each.refusals > (before.get(each) ?? 0);
          return !refused && !each.has(mark);
        }),
      (silent) => silent.length === 0,
    );
  }

  beforeAll(async () => {
    victims = await Victims.found(`streams-${fault}`);
    const { prefix } = victims;
    await victims.write("/s");
    partition = await makeTopic(prefix, "t");
    const watch = `${prefix}/v1/znodes/s?watch`;
    for (let sid = 1; sid <= 3; sid++) {
      followers.push(new ZxidFollower(`watch node=${sid}`, `${watch}=data&node=${sid}`));
      followers.push(new NodeEventsFollower(`events node=${sid}`, `${prefix}/v1/events?node=${sid}`));
    }
    for (const kind of ["data", "exists"])
      followers.push(new ZxidFollower(`watch ${kind}`, `${watch}=${kind}`));
    followers.push(new ZxidFollower("events", `${prefix}/v1/events`));
    followers.push(new RecordFollower("records", `${partition}/records?format=json`));
    followers.push(new Poller(`${partition}/records`));
    followers.push(await SdkFollower.open(prefix, "/s"));
    await untilAllShow();
  });

  afterAll(async () => {
    await victims.heal();
    await Promise.all(followers.map((each) => each.stop(() => produce(partition, "end"))));
  });

  it.each([1, 2, 3])("[HTTP-80] node %i: every stream shows the writes that follow", async (sid) => {
    await victims.fault(
      sid,
      fault,
      fault === "pause" || fault === "isolate" ? { ttlMs: 600_000 } : undefined,
    );
    await untilAllShow();
    await victims.heal();
    await untilAllShow();
  });
});

describe("a stream of records whose partition is aborted", () => {
  it("[HTTP-81] continues at the next offset, and so does a long poll", async () => {
    const { prefix } = await Victims.found("streams-partition");
    const partition = await makeTopic(prefix, "t");
    const object = `${prefix.slice(3)}/${await topicIdOf(prefix, "t")}/0`;
    const follower = new RecordFollower("records", `${partition}/records?format=json`);
    const poller = new Poller(`${partition}/records`);
    const values: string[] = [];
    for (let round = 0; round < 3; round++) {
      values.push(`${round}`);
      await produce(partition, `${round}`);
      const mark = { zxid: zxidFromText("0x0") as Zxid, value: `${round}`, at: 0 };
      await until(
        async () => [follower, poller].every((each) => each.has(mark)),
        (all) => all,
      );
      await abort(object);
    }
    values.push("end");
    await poller.stop(() => produce(partition, "end"));
    await until(
      async () => follower.values.length,
      (count) => count === values.length,
    );
    await follower.stop();
    expect(follower.values).toEqual(values);
    expect(poller.values).toEqual(values);
  });
});
