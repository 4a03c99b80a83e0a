/** The SDK against a scripted server on a real socket: order, packing, watches, and lost connections. */

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { backoffMs } from "../../../client/sdk/backoff.ts";
import { connect, type Session, ZooError } from "../../../client/sdk/node.ts";
import { readMark } from "../../../core/wire/jute/marks.ts";
import { readSetWatches } from "../../../core/wire/jute/ops/set-watches.ts";
import type { ByteWriter } from "../../../core/wire/writer.ts";
import {
  notification,
  reply,
  type ScriptedServer,
  startMute,
  startServer,
  writeStat,
} from "./scripted-server.ts";

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
  it("uses id and timeout of the server", () => {
    expect(session.id).toBe("0x0002000000000007");
    expect(session.timeoutMs).toBe(6_000);
  });

  it("an unknown session is SESSION_EXPIRED", async () => {
    const other = await startServer(0);
    expect(await codeOf(connect(other.url, { ticket: session.ticket }))).toBe("SESSION_EXPIRED");
    other.stop();
  });

  it("a refused connection is CONNECTION_LOSS", async () => {
    server.stop();
    expect(await codeOf(connect(server.url, { connectTimeoutMs: 100 }))).toBe("CONNECTION_LOSS");
  });
});

describe("marks", () => {
  it("[SDK-20] returns a mark, and does not take it for an answer", async () => {
    const stat = session.set("/a", "1");
    await server.untilMessages(1);
    const mark = { high: 0xdead_beef, low: 7 };
    server.send(
      reply(-2, 1, 0, (writer) => writer.u32pair(mark.high, mark.low)),
      reply(-2, 1),
    );
    await server.untilMessages(2);
    const [echo, ...others] = server.messages[1] ?? [];
    expect([echo?.xid, echo?.opcode, others.length]).toEqual([-2, 11, 0]);
    expect(echo && readMark(echo.body)).toEqual(mark);
    server.send(reply(1, 1, 0, (writer) => writeStat(writer, 1)));
    expect(await stat).toMatchObject({ version: 1 });
  });
});

describe("packing", () => {
  it("sends the requests of one tick as one message, in order", async () => {
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

  it("sends the requests that the answers of one message cause as one message", async () => {
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

  it("a request that is too large is refused by the SDK and uses no xid", async () => {
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

  it("exists is undefined for a missing znode", async () => {
    const exists = session.exists("/a");
    await server.untilMessages(1);
    server.send(reply(1, 1, NO_NODE));
    expect(await exists).toBeUndefined();
  });

  it("[ZNODE-41] ephemerals() lists the session's own, by prefix", async () => {
    const all = session.ephemerals();
    const some = session.ephemerals("/b");
    await server.untilMessages(1);
    const sent = server.messages[0]?.map(({ opcode, body }) => [opcode, body.string()]);
    expect(sent).toEqual([
      [103, "/"],
      [103, "/b"],
    ]);
    const list =
      (...paths: string[]) =>
      (writer: ByteWriter): void => {
        writer.i32(paths.length);
        for (const path of paths) writer.string(path);
      };
    server.send(reply(1, 1, 0, list("/a", "/b")), reply(2, 1, 0, list("/b")));
    expect([await all, await some]).toEqual([["/a", "/b"], ["/b"]]);
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
  it("that is not replaced leaves a sent write unknown, and reports a read as not carried out", async () => {
    session.disconnect();
    session = await connect(server.url, { reconnectMs: 0 });
    const write = codeOf(session.set("/a", "1"));
    const read = codeOf(session.get("/a"));
    await server.untilMessages(1);
    server.drop();
    expect(await Promise.all([write, read])).toEqual(["UNKNOWN_OUTCOME", "CONNECTION_LOSS"]);
    expect(await codeOf(session.set("/a", "2"))).toBe("CONNECTION_LOSS");
  });
});

describe("a new connection", () => {
  const stat = (version: number) => (writer: ByteWriter) => writeStat(writer, version);
  const untilState = (wanted: string): Promise<void> =>
    new Promise((resolve) => {
      const end = session.onState((state) => {
        if (state !== wanted) return;
        end();
        resolve();
      });
    });

  it("[SDK-1] sends unanswered requests again under their numbers, then those issued in the meantime", async () => {
    const states: string[] = [];
    session.onState((state) => states.push(state));
    const first = session.set("/a", "1");
    await server.untilMessages(1);
    server.send(reply(1, 1, 0, stat(1)));
    await first;
    const all = [session.set("/a", "2"), session.get("/a"), session.delete("/a")];
    await server.untilMessages(2);
    const lost = untilState("disconnected");
    server.drop();
    await lost;
    all.push(session.set("/b", "3"));
    await server.untilMessages(3);
    expect(server.messages[2]?.map(({ xid, opcode }) => [xid, opcode])).toEqual([
      [2, 5],
      [3, 4],
      [4, 2],
      [5, 5],
    ]);
    const sent = server.messages[1]?.[0]?.body;
    const again = server.messages[2]?.[0]?.body;
    expect(again?.bytes(again.left)).toEqual(sent?.bytes(sent.left));
    server.send(
      reply(2, 2, 0, stat(2)),
      reply(3, 2, 0, (writer) => {
        writer.buffer(null);
        writeStat(writer, 2);
      }),
      reply(4, 3),
      reply(5, 4, -101),
    );
    const results = await Promise.allSettled(all);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "rejected"]);
    expect(states).toEqual(["disconnected", "connected"]);
    expect(session.state).toBe("connected");
  });

  it("[SDK-2] reports the outcome of a write as unknown if no node remembers its result", async () => {
    const all = [session.set("/a", "1"), session.set("/a", "2")].map(codeOf);
    await server.untilMessages(1);
    server.drop();
    await server.untilMessages(2);
    server.send(reply(1, 2, -2004), reply(2, 2, 0, stat(2)));
    expect(await Promise.all(all)).toEqual(["UNKNOWN_OUTCOME", "no error"]);
  });

  it("[SDK-3] sets the watches again first, with the last zxid seen", async () => {
    const seen: string[] = [];
    const watch = ({ type, path }: { type: string; path: string }): void => void seen.push(`${type} ${path}`);
    const reads = [
      session.get("/data", { watch }),
      session.exists("/none", { watch }),
      session.children("/kids", { watch }),
      session.get("/fired", { watch }),
    ];
    await server.untilMessages(1);
    const value = (writer: ByteWriter): void => {
      writer.buffer(null);
      writeStat(writer, 1);
    };
    server.send(
      reply(1, 5, 0, value),
      reply(2, 6, NO_NODE),
      reply(3, 7, 0, (writer) => {
        writer.i32(0);
        writeStat(writer, 1);
      }),
      reply(4, 7, 0, value),
      notification(CHANGED, "/fired"),
    );
    await Promise.all(reads);
    const set = session.set("/data", "1");
    await server.untilMessages(2);
    server.drop();
    await server.untilMessages(3);
    const [watches, write] = server.messages[2] ?? [];
    expect([watches?.xid, watches?.opcode, write?.xid]).toEqual([-8, 101, 5]);
    expect(watches && readSetWatches(watches.body)).toEqual({
      relativeZxid: { epoch: 1, counter: 7 },
      data: ["/data"],
      exist: ["/none"],
      child: ["/kids"],
    });
    server.send(notification(CHANGED, "/data"), reply(-8, 9), reply(5, 8, 0, stat(2)));
    await set;
    expect(seen).toEqual(["changed /fired", "changed /data"]);
    expect(session.lastZxid).toBe("0x100000008");
  });

  it("[SDK-4] is tried at the next URL, and an answer that the session is over ends the session", async () => {
    const other = await startServer(0);
    session.disconnect();
    session = await connect([server.url, other.url]);
    const write = codeOf(session.set("/a", "1"));
    const read = codeOf(session.get("/a"));
    await server.untilMessages(1);
    server.drop();
    expect(await session.ended).toMatchObject({ code: "SESSION_EXPIRED" });
    expect(other.connections).toBe(1);
    expect(session.state).toBe("expired");
    expect(await Promise.all([write, read])).toEqual(["UNKNOWN_OUTCOME", "SESSION_EXPIRED"]);
    expect(await codeOf(session.get("/a"))).toBe("SESSION_EXPIRED");
    other.stop();
  });

  it("[SDK-4] is given up after a while", async () => {
    session.disconnect();
    session = await connect(server.url, { reconnectMs: 100 });
    server.stop();
    expect(await session.ended).toMatchObject({ code: "CONNECTION_LOSS" });
    expect(session.state).toBe("closed");
  });

  it("[SDK-22] leaves a server that answered pings and became silent, however long the session's timeout is", async () => {
    const patient = await startServer(600_000);
    session.disconnect();
    session = await connect(patient.url, { timeoutMs: 600_000 });
    await patient.untilMessages(1);
    expect(patient.messages[0]?.[0]?.xid).toBe(-2);
    patient.send(reply(-2, 0));
    await vi.waitUntil(() => patient.connections === 2, { timeout: 60_000 });
    session.disconnect();
    patient.stop();
  });

  it("[SDK-4] does not wait for a server that accepts it and then sends nothing", async () => {
    const mute = await startMute();
    session.disconnect();
    session = await connect([mute.url, server.url]);
    expect(session.state).toBe("connected");
    expect(server.connections).toBe(2);
    // nor does its socket keep a process alive
    await vi.waitUntil(() => mute.open() === 0, { timeout: 30_000 });
    const stop = new AbortController();
    const aborted = connect(mute.url, { signal: stop.signal }).catch((error) => error);
    await vi.waitUntil(() => mute.open() === 1, { timeout: 30_000 });
    stop.abort();
    expect(await aborted).toMatchObject({ name: "AbortError" });
    mute.stop();
  });

  it("[SDK-5] is not contended: when another client continues the session, this client stops", async () => {
    const read = codeOf(session.get("/a"));
    await server.untilMessages(1);
    server.close(4118, "SESSION_MOVED");
    expect(await session.ended).toMatchObject({ code: "SESSION_MOVED" });
    expect(await read).toBe("SESSION_MOVED");
    expect(server.connections).toBe(1);
  });

  it("[SDK-5] is contended if the other one is a late attempt of its own", async () => {
    const mute = await startServer(-1);
    session.disconnect();
    session = await connect([server.url, mute.url]);
    mute.stop(); // the next attempt fails, the one after succeeds
    const read = session.get("/a");
    await server.untilMessages(1);
    server.drop();
    await server.untilMessages(2);
    server.close(4118, "SESSION_MOVED");
    await server.untilMessages(3);
    server.send(
      reply(1, 1, 0, (writer) => {
        writer.buffer(null);
        writeStat(writer, 1);
      }),
    );
    expect((await read).stat.version).toBe(1);
  });

  it("[SDK-5] is not tried at a server that could not decode the request", async () => {
    server.close(1002, "no frame");
    expect(await session.ended).toMatchObject({ code: "CONNECTION_LOSS" });
    expect(server.connections).toBe(1);
  });

  it("[SDK-6] is tried with growing, bounded pauses with jitter", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, chance) => {
          const ms = backoffMs(attempt, chance);
          expect(ms).toBeGreaterThanOrEqual(0);
          expect(ms).toBeLessThanOrEqual(1_000);
          if (attempt > 5) expect(ms).toBeGreaterThanOrEqual(500);
        },
      ),
    );
  });
});

describe("close()", () => {
  it("[SDK-7] whose answer was lost ends as closed, even if the session is over by then", async () => {
    const gone = await startServer(0);
    session.disconnect();
    session = await connect([server.url, gone.url]);
    const closing = session.close();
    await server.untilMessages(1);
    server.drop();
    await closing;
    expect(await session.ended).toBeUndefined();
    expect(session.state).toBe("closed");
    gone.stop();
  });

  it("[SDK-7] waits for a connection no longer than the session's timeout", async () => {
    const short = await startServer(300);
    session.disconnect();
    session = await connect(short.url);
    short.stop();
    await session.close();
    expect(await session.ended).toBeUndefined();
  });
});

describe("numbers", () => {
  it("[SDK-8] that are exhausted end the session, because reused ones would get old results", async () => {
    const old = await startServer(undefined, 2 ** 31 - 2);
    session.disconnect();
    session = await connect(old.url);
    const last = session.set("/a", "1").catch((error) => error);
    await old.untilMessages(1);
    expect(old.messages[0]?.map(({ xid }) => xid)).toEqual([2 ** 31 - 1]);
    expect(await codeOf(session.set("/a", "2"))).toBe("SESSION_EXPIRED");
    expect(await last).toMatchObject({ code: "UNKNOWN_OUTCOME" });
    expect(old.messages.length).toBe(1);
    old.stop();
  });
});

describe("listeners", () => {
  it("[SDK-9] that throw end neither session nor connection; the error is uncaught", async () => {
    const uncaught: string[] = [];
    const handlers = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException").on("uncaughtException", (e) => uncaught.push(e.message));
    try {
      const offState = session.onState((state) => {
        throw new Error(state);
      });
      const watch = (): never => {
        throw new Error("watch");
      };
      const get = session.get("/a", { watch });
      await server.untilMessages(1);
      server.send(
        reply(1, 1, 0, (writer) => {
          writer.buffer(null);
          writeStat(writer, 1);
        }),
        notification(CHANGED, "/a"),
      );
      await get;
      const set = session.set("/a", "1");
      await server.untilMessages(2);
      server.drop();
      await server.untilMessages(3);
      server.send(reply(2, 2, 0, (writer) => writeStat(writer, 1)));
      expect(await set).toMatchObject({ version: 1 });
      expect(session.state).toBe("connected");
      offState();
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const handler of handlers) process.on("uncaughtException", handler);
    }
    expect(uncaught).toEqual(["watch", "disconnected", "connected"]);
  });

  it("[SDK-9] of a watch() that has ended are removed, and no watch is set for them", async () => {
    const first = session.watch("/a");
    const value = first.next();
    await server.untilMessages(1);
    server.send(
      reply(1, 1, 0, (writer) => {
        writer.buffer(null);
        writeStat(writer, 1);
      }),
    );
    await value;
    await first.return();
    server.drop();
    const set = session.set("/b", "1");
    await server.untilMessages(2);
    expect(server.messages[1]?.map(({ xid }) => xid)).toEqual([2]);
    server.send(reply(2, 2, 0, (writer) => writeStat(writer, 1)));
    await set;
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
