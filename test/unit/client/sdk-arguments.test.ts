/** Invalid arguments of the SDK: only that call fails, and no byte of it is sent. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, type Session, ZooError } from "../../../client/sdk/node.ts";
import { reply, type ScriptedServer, startServer, writeStat } from "./scripted-server.ts";

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

const nameOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "no error",
    (error: Error) => (ZooError.is(error) ? error.code : error.name),
  );

/** Data whose length can be read `times` times, then throws. */
class Unreadable extends Uint8Array {
  static times = 0;
  override get length(): number {
    if (Unreadable.times-- <= 0) throw new Error("unreadable");
    return 3;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: what a caller without types may pass
type Any = any;

const LONE = "/a\ud800";
const NO_VERSIONS = [Number.NaN, 2 ** 32 - 1, 2 ** 31, -(2 ** 31) - 1, 0.5, Number.POSITIVE_INFINITY];
const NO_DATA = [undefined, 5, true, {}, [1, 2], new Uint8Array(3).buffer, new DataView(new ArrayBuffer(2))];
const NO_PATHS = [undefined, null, 5, {}, ["/a"], new String("/a")];

function transferred(): Uint8Array {
  const data = new Uint8Array(3);
  structuredClone(data, { transfer: [data.buffer] });
  return data;
}

type Call = readonly [name: string, call: (zoo: Any) => Promise<unknown>, error: string];

const CALLS: readonly Call[] = [
  ...NO_PATHS.flatMap((path, i): Call[] => [
    [`create(path ${i})`, (zoo) => zoo.create(path), "TypeError"],
    [`set(path ${i})`, (zoo) => zoo.set(path, ""), "TypeError"],
    [`delete(path ${i})`, (zoo) => zoo.delete(path), "TypeError"],
    [`get(path ${i})`, (zoo) => zoo.get(path), "TypeError"],
    [`exists(path ${i})`, (zoo) => zoo.exists(path), "TypeError"],
    [`children(path ${i})`, (zoo) => zoo.children(path), "TypeError"],
    [`ephemerals(path ${i})`, (zoo) => zoo.ephemerals(path ?? 5), "TypeError"],
    [`watch(path ${i})`, (zoo) => zoo.watch(path).next(), "TypeError"],
    [`multi(path ${i})`, (zoo) => zoo.multi([{ op: "delete", path }]), "TypeError"],
  ]),
  ...NO_DATA.flatMap((data, i): Call[] => [
    [`set(data ${i})`, (zoo) => zoo.set("/a", data), "TypeError"],
    [`create(data ${i})`, (zoo) => zoo.create("/a", data ?? 0), "TypeError"],
    [`multi(data ${i})`, (zoo) => zoo.multi([{ op: "set", path: "/a", data }]), "TypeError"],
  ]),
  ...NO_VERSIONS.flatMap((version): Call[] => [
    [`set(version ${version})`, (zoo) => zoo.set("/a", "", version), "RangeError"],
    [`delete(version ${version})`, (zoo) => zoo.delete("/a", version), "RangeError"],
    [`multi(${version})`, (zoo) => zoo.multi([{ op: "check", path: "/a", version }]), "RangeError"],
  ]),
  ["set(text version)", (zoo) => zoo.set("/a", "", "1"), "TypeError"],
  ["set(null version)", (zoo) => zoo.set("/a", "", null), "TypeError"],
  ["check without a version", (zoo) => zoo.multi([{ op: "check", path: "/a" }]), "TypeError"],
  ["half a surrogate pair in a path", (zoo) => zoo.get(LONE), "RangeError"],
  ["half a surrogate pair in data", (zoo) => zoo.set("/a", "\udc00"), "RangeError"],
  ["data that was transferred", (zoo) => zoo.set("/a", transferred()), "TypeError"],
  ["data too long", (zoo) => zoo.set("/a", new Uint8Array(2 ** 20)), "TOO_LARGE"],
  ["text too long", (zoo) => zoo.set("/a", "é".repeat(2 ** 19)), "TOO_LARGE"],
  ["a path too long", (zoo) => zoo.get(`/${"a".repeat(2 ** 20)}`), "TOO_LARGE"],
  ["a mode that there is not", (zoo) => zoo.create("/a", "", "toString"), "RangeError"],
  ["a mode that is no text", (zoo) => zoo.create("/a", "", 1), "TypeError"],
  ["options that are none", (zoo) => zoo.get("/a", null), "TypeError"],
  ["options that are text", (zoo) => zoo.children("/a", "x"), "TypeError"],
  ["a watch that is no function", (zoo) => zoo.exists("/a", { watch: true }), "TypeError"],
  ["operations that are none", (zoo) => zoo.multi({}), "TypeError"],
  ["an operation that is none", (zoo) => zoo.multi([null]), "TypeError"],
  ["a gap in the operations", (zoo) => zoo.multi(new Array(1)), "TypeError"],
  ["an unknown operation", (zoo) => zoo.multi([{ op: "get", path: "/a" }]), "RangeError"],
  [
    "the last of many operations",
    (zoo) =>
      zoo.multi([
        { op: "delete", path: "/a" },
        { op: "set", path: "/b", data: "", version: 0.5 },
      ]),
    "RangeError",
  ],
  [
    "a multi too long",
    (zoo) =>
      zoo.multi([1, 2, 3].map((n) => ({ op: "create", path: `/${n}`, data: new Uint8Array(400_000) }))),
    "TOO_LARGE",
  ],
];

describe("a wrong argument", () => {
  it("[SDK-21] fails only its own call; the other calls of the same tick are sent", async () => {
    const first = session.set("/a", "1", -(2 ** 31));
    const errors = CALLS.map(([name, call, error]) =>
      nameOf(call(session)).then((got) => [name, got, error] as const),
    );
    const last = session.set("/a", "2");
    for (const [name, got, error] of await Promise.all(errors)) expect(got, name).toBe(error);
    await server.untilMessages(1);
    expect(server.messages[0]?.map(({ xid, opcode }) => [xid, opcode])).toEqual([
      [1, 5],
      [2, 5],
    ]);
    server.send(...[1, 2].map((xid) => reply(xid, xid, 0, (writer) => writeStat(writer, xid))));
    expect((await Promise.all([first, last])).map(({ version }) => version)).toEqual([1, 2]);
    expect([session.state, session.outstanding, server.messages.length]).toEqual(["connected", 0, 1]);
  });

  it("[SDK-21] that fails while it is encoded leaves no part of its packet", async () => {
    let failed = 0;
    for (let times = 0; times < 20; times++) {
      const data = new Unreadable(3);
      const before = session.outstanding;
      Unreadable.times = times;
      session.set("/a", data).catch(() => undefined);
      if (session.outstanding === before) failed += 1;
    }
    expect(failed).toBeGreaterThan(2);
    Unreadable.times = Number.POSITIVE_INFINITY;
    await server.untilMessages(1);
    const xids = server.messages[0]?.map(({ xid }) => xid) ?? [];
    expect(xids).toEqual(Array.from({ length: 20 - failed }, (_, i) => i + 1));
  });

  it("[SDK-21] every version that the API returns is accepted", async () => {
    const versions = [-1, 0, -0, 2 ** 31 - 1, -(2 ** 31)];
    for (const version of versions) session.delete("/a", version).catch(() => undefined);
    await server.untilMessages(1);
    const sent = server.messages[0]?.map(({ body }) => [body.string(), body.i32()]);
    expect(sent).toEqual(versions.map((version) => ["/a", version | 0]));
  });

  it("[SDK-21] of connect() and of a listener is refused at once", async () => {
    const bad: readonly (readonly [urls: Any, options: Any, error: string])[] = [
      [undefined, {}, "TypeError"],
      [5, {}, "TypeError"],
      [[], {}, "RangeError"],
      ["no url", {}, "TypeError"],
      ["ftp://127.0.0.1", {}, "RangeError"],
      [[server.url, null], {}, "TypeError"],
      [server.url, null, "TypeError"],
      [server.url, { timeoutMs: Number.NaN }, "RangeError"],
      [server.url, { timeoutMs: -1 }, "RangeError"],
      [server.url, { timeoutMs: 2 ** 31 }, "RangeError"],
      [server.url, { timeoutMs: "10" }, "TypeError"],
      [server.url, { connectTimeoutMs: 0 }, "RangeError"],
      [server.url, { connectTimeoutMs: Number.NaN }, "RangeError"],
      [server.url, { connectTimeoutMs: "1" }, "TypeError"],
      [server.url, { reconnectMs: Number.NaN }, "RangeError"],
      [server.url, { reconnectMs: null }, "TypeError"],
      [server.url, { ticket: { id: 1.5, password: new Uint8Array(16) } }, "RangeError"],
      [server.url, { ticket: { id: 0, password: new Uint8Array(16) } }, "RangeError"],
      [server.url, { ticket: { id: 1 } }, "TypeError"],
      [server.url, { ticket: "0x1" }, "TypeError"],
      [server.url, { openSocket: 1 }, "TypeError"],
      [server.url, { signal: {} }, "TypeError"],
      [server.url, { signal: null }, "TypeError"],
      [server.url, { token: 1 }, "TypeError"],
      [server.url, { token: "a\r\nb: c" }, "RangeError"],
    ];
    const before = server.connections;
    for (const [urls, options, error] of bad)
      expect(await nameOf(connect(urls, options)), JSON.stringify([urls, options])).toBe(error);
    expect(server.connections).toBe(before);
    expect(() => session.onState(undefined as Any)).toThrow(TypeError);
  });
});
