/** The SDK against a scripted peer on a real socket: order, packing, watches, and what a lost connection means. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, type Session, ZooError } from "../../../client/sdk/index.ts";
import { notification, reply, type ScriptedServer, startServer, writeStat } from "./scripted-server.ts";

const CHANGED = 3;
const CREATED = 1;
const NO_NODE = -101;

let server: ScriptedServer;
let session: Session;

beforeEach(async () => {
  server = await startServer();
  session = await connect(server.url);
});

afterEach(() => {
  session.disconnect();
  server.stop();
});

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "no error",
    (error) => (ZooError.is(error) ? error.code : String(error)),
  );

describe("handshake", () => {
  it("takes id and timeout from the server", () => {
    expect(session.id).toBe("0x0002000000000007");
    expect(session.timeoutMs).toBe(6_000);
  });

  it("an unknown session is SESSION_EXPIRED", async () => {
    const other = await startServer(0);
    expect(await codeOf(connect(other.url, { ticket: session.ticket }))).toBe("SESSION_EXPIRED");
    other.stop();
  });

  it("nobody listening is CONNECTION_LOSS", async () => {
    server.stop();
    expect(await codeOf(connect(server.url))).toBe("CONNECTION_LOSS");
  });
});

describe("packing", () => {
  it("what one tick issues is one message, in order", async () => {
    const all = [session.set("/a", "1"), session.set("/a", "2"), session.get("/a"), session.delete("/a")];
    await server.untilMessages(1);
    expect(server.messages[0]?.map(({ xid, opcode }) => [xid, opcode])).toEqual([
      [1, 5],
      [2, 5],
      [3, 4],
      [4, 2],
    ]);
    server.send(
      reply(1, 1, 0, (writer) => writeStat(writer, 1)),
      reply(2, 2, 0, (writer) => writeStat(writer, 2)),
      reply(3, 2, 0, (writer) => {
        writer.buffer(new Uint8Array([50]));
        writeStat(writer, 2);
      }),
      reply(4, 3),
    );
    const [first, second, value] = await Promise.all(all);
    expect(first).toMatchObject({ version: 1 });
    expect(second).toMatchObject({ version: 2 });
    expect(value).toMatchObject({ data: new Uint8Array([50]), stat: { version: 2 } });
    expect(session.lastZxid).toBe("0x100000003");
  });

  it("what the answers of one message set going is one message again", async () => {
    const twice = async (): Promise<void> => {
      await session.set("/a", "1");
      await session.set("/a", "2");
    };
    const all = [twice(), twice(), twice()];
    await server.untilMessages(1);
    server.send(...[1, 2, 3].map((xid) => reply(xid, xid, 0, (writer) => writeStat(writer, xid))));
    await server.untilMessages(2);
    expect(server.messages[1]?.map(({ xid }) => xid)).toEqual([4, 5, 6]);
    server.send(...[4, 5, 6].map((xid) => reply(xid, xid, 0, (writer) => writeStat(writer, xid))));
    await Promise.all(all);
  });

  it("a request that is too large is refused here and takes no xid", async () => {
    expect(await codeOf(session.set("/a", new Uint8Array(1 << 20)))).toBe("TOO_LARGE");
    void session.set("/a", "x").catch(() => {});
    await server.untilMessages(1);
    expect(server.messages[0]?.map(({ xid }) => xid)).toEqual([1]);
  });
});

describe("answers", () => {
  it("an error has ZooKeeper's code and number", async () => {
    const set = session.set("/a", "1", 7).catch((error) => error);
    await server.untilMessages(1);
    server.send(reply(1, 1, -103));
    expect(await set).toMatchObject({ code: "BAD_VERSION", number: -103, retryable: false });
  });

  it("a failed multi names the operation", async () => {
    const multi = session
      .multi([
        { op: "create", path: "/a" },
        { op: "check", path: "/b", version: 3 },
        { op: "delete", path: "/c" },
      ])
      .catch((error) => error);
    await server.untilMessages(1);
    server.send(
      reply(1, 1, 0, (writer) => {
        for (const code of [0, -103, -2]) {
          writer.i32(-1);
          writer.bool(false);
          writer.i32(code);
          writer.i32(code);
        }
        writer.i32(-1);
        writer.bool(true);
        writer.i32(-1);
      }),
    );
    expect(await multi).toMatchObject({ code: "BAD_VERSION", index: 1 });
  });

  it("exists says undefined where there is nothing", async () => {
    const exists = session.exists("/a");
    await server.untilMessages(1);
    server.send(reply(1, 1, NO_NODE));
    expect(await exists).toBeUndefined();
  });

  it("an answer out of order ends the session", async () => {
    const set = codeOf(session.set("/a", "1"));
    await server.untilMessages(1);
    server.send(reply(2, 1));
    expect(await set).toBe("UNKNOWN_OUTCOME");
    expect(await session.ended).toMatchObject({ code: "CONNECTION_LOSS" });
  });
});

describe("a lost connection", () => {
  it("leaves a sent write unknown, and says that a read and an unsent write were not carried out", async () => {
    const write = codeOf(session.set("/a", "1"));
    const read = codeOf(session.get("/a"));
    await server.untilMessages(1);
    server.drop();
    expect(await Promise.all([write, read])).toEqual(["UNKNOWN_OUTCOME", "CONNECTION_LOSS"]);
    expect(await codeOf(session.set("/a", "2"))).toBe("CONNECTION_LOSS");
  });
});

describe("watches", () => {
  it("a watch fires once, and only after the answer that armed it", async () => {
    const seen: string[] = [];
    const get = session.get("/a", { watch: ({ type, path }) => seen.push(`${type} ${path}`) });
    await server.untilMessages(1);
    server.send(
      reply(1, 1, 0, (writer) => {
        writer.buffer(null);
        writeStat(writer, 1);
      }),
      notification(CHANGED, "/a"),
      notification(CHANGED, "/a"),
    );
    await get;
    expect(seen).toEqual(["changed /a"]);
  });

  it("watch() follows a znode from its absence over its creation to its next value", async () => {
    const states: (string | undefined)[] = [];
    const following = (async () => {
      for await (const value of session.watch("/a")) {
        states.push(value === undefined ? undefined : new TextDecoder().decode(value.data ?? undefined));
        if (states.length === 3) break;
      }
    })();
    const value = (xid: number, text: string): Uint8Array =>
      reply(xid, xid, 0, (writer) => {
        writer.buffer(new TextEncoder().encode(text));
        writeStat(writer, xid);
      });
    await server.untilMessages(1);
    server.send(reply(1, 1, NO_NODE)); // getData
    await server.untilMessages(2);
    server.send(reply(2, 1, NO_NODE), notification(CREATED, "/a")); // exists leaves the watch
    await server.untilMessages(3);
    server.send(value(3, "one"), notification(CHANGED, "/a"));
    await server.untilMessages(4);
    server.send(value(4, "two"));
    await following;
    expect(states).toEqual([undefined, "one", "two"]);
  });
});
