/** The SDK against a real ensemble: each session connects to another node, through that node's port. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect as connectAnywhere } from "../../client/sdk/index.ts";
import { connect, type Session, ZooError } from "../../client/sdk/node.ts";
import { ensembleOf, isSettled, post } from "./http.ts";
import { deployment, type Running, temporaryDir, until } from "./processes.ts";

const state = temporaryDir();
let running: Running;
const sessions: Session[] = [];

beforeAll(async () => {
  running = await deployment([
    ...["3", "1", "1", "--fresh", "--state", state.path],
    ...["--node-port", "0", "--broker-port", "0", "--client-port", "0"],
  ]);
});

afterAll(async () => {
  for (const session of sessions) session.disconnect();
  await running?.end("SIGTERM");
  state.remove();
});

/** A session through the port of node `sid`. */
async function open(sid: number, options: Parameters<typeof connect>[1] = {}): Promise<Session> {
  const session = await connect(running.urls.nodes[sid - 1] ?? "", options);
  sessions.push(session);
  return session;
}

const textOf = (data: Uint8Array | null | undefined): string => new TextDecoder().decode(data ?? undefined);
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "no error",
    (error) => (ZooError.is(error) ? error.code : String(error)),
  );
const settled = () => until(() => ensembleOf(running.urls.api), isSettled, "the ensemble does not settle");

describe.each([
  ["any platform", connectAnywhere],
  ["Node", connect],
] as const)("connect() on %s", (_name, connectWith) => {
  it("[SDK-10] waits for a node that was killed, and for an ensemble that crashed as a whole", async () => {
    const { api, nodes } = running.urls;
    await settled();
    await post(`${api}/v1/faults/nodes/3/kill`);
    const waiting = connectWith(`${api}/?node=3`, { connectTimeoutMs: 90_000 });
    await post(`${api}/v1/faults/nodes/3/revive`);
    sessions.push(await waiting);
    expect(sessions.at(-1)?.state).toBe("connected");
    await post(`${api}/v1/faults/nodes/all/crash`);
    sessions.push(await connectWith(nodes, { connectTimeoutMs: 90_000 }));
    expect(sessions.at(-1)?.state).toBe("connected");
    await settled();
  });

  it("[SDK-11] fails at once at an ensemble, a node or a server that does not exist", async () => {
    const { api, web } = running.urls;
    const wrong = [`${api}/e/nothing`, `${api}/?node=7`, `${web}/nothing`].map((url) =>
      connectWith(url, { connectTimeoutMs: Number.POSITIVE_INFINITY }),
    );
    const [ensemble, node, server] = await Promise.all(wrong.map(codeOf));
    expect([ensemble, node, server]).toEqual(["UNKNOWN_ENSEMBLE", "NOT_FOUND", "NOT_FOUND"]);
  });
});

describe("operations", () => {
  it("do what ZooKeeper's do", async () => {
    const session = await open(1);
    expect(await session.create("/ops", "one")).toBe("/ops");
    expect(await session.get("/ops")).toMatchObject({
      data: new Uint8Array([111, 110, 101]),
      stat: { version: 0 },
    });
    expect(await session.set("/ops", "two", 0)).toMatchObject({ version: 1, dataLength: 3 });
    expect(await session.create("/ops/child-", null, "persistent-sequential")).toBe("/ops/child-0000000000");
    expect((await session.get("/ops/child-0000000000")).data).toBeNull();
    expect(await session.children("/ops")).toMatchObject({
      children: ["child-0000000000"],
      stat: { numChildren: 1 },
    });
    expect(await session.exists("/ops")).toMatchObject({ cversion: 1 });
    expect(await session.exists("/nothing")).toBeUndefined();
    const results = await session.multi([
      { op: "check", path: "/ops", version: 1 },
      { op: "create", path: "/ops/second", data: "2" },
      { op: "set", path: "/ops", data: "three" },
      { op: "delete", path: "/ops/child-0000000000" },
    ]);
    expect(results.map(({ op }) => op)).toEqual(["check", "create", "set", "delete"]);
    await session.delete("/ops/second");
    await session.delete("/ops");
    expect(await session.exists("/ops")).toBeUndefined();
  });

  it("fail with ZooKeeper's codes", async () => {
    const session = await open(2);
    await session.create("/codes/", "").catch(() => {});
    await session.create("/codes", "");
    await session.create("/codes/child", "");
    const codes = await Promise.all([
      codeOf(session.create("/codes", "")),
      codeOf(session.create("/none/child", "")),
      codeOf(session.set("/codes", "", 7)),
      codeOf(session.delete("/codes")),
      codeOf(session.get("/none")),
      codeOf(session.create("no-slash", "")),
    ]);
    expect(codes).toEqual(["NODE_EXISTS", "NO_NODE", "BAD_VERSION", "NOT_EMPTY", "NO_NODE", "BAD_ARGUMENTS"]);
    const failed = session.multi([
      { op: "set", path: "/codes", data: "changed" },
      { op: "delete", path: "/none" },
    ]);
    await expect(failed).rejects.toMatchObject({ code: "NO_NODE", index: 1 });
    expect(textOf((await session.get("/codes")).data)).toBe("");
  });

  it("[NODE-44] read a list of children up to 30 MiB; a larger one is an error, and nothing else is", async () => {
    const session = await open(1);
    const other = await open(2);
    // three bytes of UTF-8 for each code unit: 300 kB a name
    const createUpTo = async (from: number, to: number): Promise<void> => {
      for (let i = from; i < to; i++) await session.create(`/long/${i}${"語".repeat(100_000)}`);
    };
    await session.create("/long");
    await createUpTo(0, 100);
    expect((await session.children("/long")).children).toHaveLength(100);
    await createUpTo(100, 110);
    for (const each of [session, other]) {
      await each.sync();
      expect(await codeOf(each.children("/long"))).toBe("ANSWER_TOO_LARGE");
      expect(await each.exists("/long")).toMatchObject({ numChildren: 110 });
      expect(each.state).toBe("connected");
    }
    // the same over HTTP
    const answer = await fetch(`${running.urls.api}/v1/znodes/long?view=children`);
    expect([answer.status, await answer.json()]).toEqual([
      413,
      expect.objectContaining({ code: "ANSWER_TOO_LARGE" }),
    ]);
  }, 60_000);

  it("of one session are carried out in the order in which they were issued", async () => {
    const session = await open(3);
    await session.create("/fifo", "");
    const versions = await Promise.all(
      Array.from({ length: 500 }, (_, i) => session.set("/fifo", String(i))),
    );
    expect(versions.map(({ version }) => version)).toEqual(versions.map((_, i) => i + 1));
    expect(textOf((await session.get("/fifo")).data)).toBe("499");
  });
});

describe("watches", () => {
  it("report to a session on one node the changes of a session on another", async () => {
    const [reader, writer] = [await open(1), await open(2)];
    const seen: (string | undefined)[] = [];
    const following = (async () => {
      for await (const value of reader.watch("/watched")) {
        seen.push(value === undefined ? undefined : textOf(value.data));
        if (seen.at(-1) === "last") break;
      }
    })();
    await until(
      () => Promise.resolve(seen.length),
      (n) => n === 1,
      "the watch has no first value",
    );
    await writer.create("/watched", "first");
    await until(
      () => Promise.resolve(seen.length),
      (n) => n === 2,
      "the creation is not seen",
    );
    for (let i = 0; i < 100; i++) await writer.set("/watched", i === 99 ? "last" : String(i));
    await following;
    expect(seen.slice(0, 2)).toEqual([undefined, "first"]);
    // values may be skipped, and never come out of order
    const numbers = seen.slice(2, -1).map(Number);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  });

  it("report changes of children", async () => {
    const [reader, writer] = [await open(3), await open(1)];
    await writer.create("/family");
    const sizes: number[] = [];
    await reader.sync();
    const following = (async () => {
      for await (const { children } of reader.watchChildren("/family")) {
        sizes.push(children.length);
        if (children.length === 3) break;
      }
    })();
    for (const name of ["a", "b", "c"]) await writer.create(`/family/${name}`);
    await following;
    expect(sizes).toEqual([...sizes].sort());
  });
});

describe("sessions", () => {
  it("lose their ephemerals when they close", async () => {
    const [owner, other] = [await open(1), await open(2)];
    await owner.create("/mine", "", "ephemeral");
    await other.sync();
    expect((await other.exists("/mine"))?.ephemeralOwner).toBe(owner.ticket.id);
    expect([await owner.ephemerals(), await owner.ephemerals("/other")]).toEqual([["/mine"], []]);
    expect(await other.ephemerals()).toEqual([]);
    const over = await fetch(`${running.urls.api}/v1/sessions/${owner.id}/ephemerals?prefix=/m`);
    expect(await over.json()).toEqual({ session: owner.id, ephemerals: ["/mine"] });
    await owner.close();
    await other.sync();
    expect(await other.exists("/mine")).toBeUndefined();
  });

  it("continue over another connection to another node", async () => {
    const first = await open(1);
    await first.create("/kept", "", "ephemeral");
    first.disconnect();
    const second = await open(3, { ticket: first.ticket });
    expect(second.id).toBe(first.id);
    await second.sync();
    expect((await second.exists("/kept"))?.ephemeralOwner).toBe(first.ticket.id);
    await second.close();
  });

  it("expire without heartbeats", async () => {
    const [owner, other] = [await open(2, { timeoutMs: 5_000 }), await open(1)];
    await owner.create("/short", "", "ephemeral");
    await other.sync();
    owner.disconnect();
    const gone = Promise.withResolvers<void>();
    expect(await other.exists("/short", { watch: () => gone.resolve() })).toBeDefined();
    await gone.promise;
    expect(await codeOf(open(1, { ticket: owner.ticket }))).toBe("SESSION_EXPIRED");
  });

  it("continue their numbers when they are continued by a ticket", async () => {
    const first = await open(1);
    await first.create("/ticket", "");
    await first.set("/ticket", "a");
    first.disconnect();
    const second = await open(2, { ticket: first.ticket });
    expect(await second.set("/ticket", "b")).toMatchObject({ version: 2 });
    await second.close();
  });

  it("[SDK-1] [SDK-3] survive the leader: no write is lost or applied twice, a watch fires once", async () => {
    const { leader } = await settled();
    const at = (sid: number): string => running.urls.nodes[sid - 1] ?? "";
    const dying = leader ?? 1;
    const [second, third] = [1, 2, 3].filter((sid) => sid !== dying) as [number, number];
    const session = await connect([at(dying), at(second), at(third)], { timeoutMs: 20_000 });
    sessions.push(session);
    const states: string[] = [];
    session.onState((state) => states.push(state));
    await session.create("/outlive", "");
    await session.create("/mine-too", "", "ephemeral");
    const events: string[] = [];
    await session.get("/outlive", { watch: ({ type }) => events.push(type) });
    await session.exists("/later", { watch: ({ type }) => events.push(type) });
    const versions: number[] = [];
    let stopped = false;
    const writing = (async () => {
      while (!stopped) {
        const stats = await Promise.all([1, 2, 3, 4].map(() => session.set("/outlive", "x")));
        versions.push(...stats.map(({ version }) => version));
      }
    })();
    const acknowledged = (count: number): Promise<unknown> =>
      until(
        () => Promise.resolve(versions.length),
        (n) => n >= count,
        "writes do not come through",
      );
    await acknowledged(40);
    await post(`${running.urls.api}/v1/faults/nodes/${dying}/kill`);
    await until(
      () => Promise.resolve(states.join()),
      (text) => text.startsWith("disconnected"),
      "the loss is not noticed",
    );
    const other = await open(third);
    await other.create("/later", "");
    await acknowledged(versions.length + 40);
    stopped = true;
    await writing;
    expect(versions).toEqual(versions.map((_, i) => i + 1));
    expect((await session.get("/outlive")).stat.version).toBe(versions.length);
    expect((await session.exists("/mine-too"))?.ephemeralOwner).toBe(session.ticket.id);
    expect(events.toSorted()).toEqual(["changed", "created"]);
    expect(states.at(-1)).toBe("connected");
    await post(`${running.urls.api}/v1/faults/nodes/${dying}/revive`);
    await settled();
  });
});
