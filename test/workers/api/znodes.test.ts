import { describe, expect, it } from "vitest";
import type { PathStatJson, SessionJson, ZnodeJson } from "../../../workers/api/znodes/answers.ts";
import { call, make, problemOf, send, textOf } from "./helpers.ts";

const JSON_ACCEPT = { accept: "application/json" };

describe("reading znodes", () => {
  it("[HTTP-1] returns the data as bytes, with version and origin in headers", async () => {
    await make("/read", "höhe");
    const response = await call("/v1/znodes/read");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/octet-stream");
    expect(response.headers.get("etag")).toMatch(/^"0\.0x[0-9a-f]+"$/);
    expect(response.headers.get("zoo-zxid")).toMatch(/^0x[0-9a-f]+$/);
    expect(response.headers.get("zoo-node")).toMatch(/^[1-9]$/);
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(await textOf(response)).toBe("höhe");
  });

  it("[HTTP-1] returns base64, text and Stat as JSON", async () => {
    await make("/json", "hé");
    const znode = await (await call("/v1/znodes/json", { headers: JSON_ACCEPT })).json<ZnodeJson>();
    expect(znode).toMatchObject({ path: "/json", data: btoa("h\xc3\xa9"), text: "hé" });
    expect(znode.stat).toMatchObject({ version: 0, dataLength: 3, numChildren: 0, ephemeralOwner: "0x0" });
    expect(znode.stat.czxid).toBe(znode.stat.mzxid);
    expect(znode.stat.ctime).toBeGreaterThan(0);
  });

  it("[HTTP-1] omits text if the data is not UTF-8", async () => {
    await call("/v1/znodes/binary", { method: "POST", body: new Uint8Array([0xff, 0x00, 0x80]) });
    const znode = await (await call("/v1/znodes/binary", { headers: JSON_ACCEPT })).json<ZnodeJson>();
    expect(znode.data).toBe("/wCA");
    expect(znode).not.toHaveProperty("text");
    expect(new Uint8Array(await (await call("/v1/znodes/binary")).arrayBuffer())).toEqual(
      new Uint8Array([0xff, 0x00, 0x80]),
    );
  });

  it("[HTTP-1] returns sorted children, the Stat alone, and only headers for HEAD", async () => {
    await make("/family");
    await make("/family/b");
    await make("/family/a");
    expect(await (await call("/v1/znodes/family?view=children")).json()).toMatchObject({
      path: "/family",
      children: ["a", "b"],
      stat: { numChildren: 2, cversion: 2 },
    });
    expect(await (await call("/v1/znodes/family?view=stat")).json()).toMatchObject({
      stat: { numChildren: 2 },
    });
    const head = await call("/v1/znodes/family", { method: "HEAD" });
    expect([head.status, await textOf(head)]).toEqual([200, ""]);
    expect(head.headers.get("etag")).not.toBeNull();
  });

  it("[HTTP-1] reads the root by both spellings, and through every node with a fresh read", async () => {
    for (const path of ["/v1/znodes", "/v1/znodes/"]) {
      expect(await (await call(`${path}?view=children`)).json()).toMatchObject({ path: "/" });
    }
    await make("/fresh", "1");
    for (const node of ["1", "2", "3"]) {
      const response = await call(`/v1/znodes/fresh?consistency=linearizable&node=${node}`);
      expect([await textOf(response), response.headers.get("zoo-node")]).toEqual(["1", node]);
    }
    expect(
      (await call("/v1/znodes/fresh?consistency=linearizable", { headers: { "zoo-node": "2" } })).headers.get(
        "zoo-node",
      ),
    ).toBe("2");
  });

  it("[HTTP-4] answers 304 to a reader that already has the version", async () => {
    const etag = (await make("/known", "x")).headers.get("etag") ?? "";
    const known = await call("/v1/znodes/known", { headers: { "if-none-match": etag } });
    expect([known.status, await known.text()]).toEqual([304, ""]);
    expect((await call("/v1/znodes/known", { headers: { "if-none-match": '"9.0x1"' } })).status).toBe(200);
  });

  it("[HTTP-1] chooses bytes or JSON by the weights of Accept", async () => {
    await make("/weighed", "x");
    const typeFor = async (accept: string): Promise<string | null> =>
      (await call("/v1/znodes/weighed", { headers: { accept } })).headers.get("content-type");
    const [bytes, json] = ["application/octet-stream", "application/json"];
    const wanted: readonly (readonly [string, string])[] = [
      ["*/*", bytes],
      ["application/json, text/plain, */*", json],
      ["application/json;q=0, */*", bytes],
      ["application/json;q=0.5, application/octet-stream", bytes],
      ["application/octet-stream;q=0.1, APPLICATION/JSON ; q=0.2", json],
      ["text/html, application/*;q=0.5", bytes],
      ["text/html", bytes],
      ["text/event-stream;q=0, application/json", json],
      ["text/event-stream;q=0.1, */*", bytes],
    ];
    for (const [accept, type] of wanted) expect([accept, await typeFor(accept)]).toEqual([accept, type]);
  });

  it("[HTTP-10] answers a missing znode with NO_NODE", async () => {
    const problem = await problemOf(await call("/v1/znodes/missing"), 404, "NO_NODE");
    expect(problem).toMatchObject({
      type: "https://zooweeper.dev/errors/NO_NODE",
      number: -101,
      retryable: false,
      instance: "/v1/znodes/missing",
    });
    expect(problem.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("creating znodes", () => {
  it("[HTTP-2] answers 201 with the path, and 409 if it exists", async () => {
    const response = await make("/new node", "x");
    expect(response.headers.get("location")).toBe("/v1/znodes/new%20node");
    expect(await response.json<PathStatJson>()).toMatchObject({
      path: "/new node",
      stat: { version: 0, dataLength: 1 },
    });
    await problemOf(await call("/v1/znodes/new%20node", { method: "POST" }), 409, "NODE_EXISTS");
    await problemOf(await call("/v1/znodes/no/parent", { method: "POST" }), 404, "NO_NODE");
  });

  it("[HTTP-41] refuses a name whose URL is too long for its Location, before creating it", async () => {
    const long = "@".repeat(6000);
    const created = await make(`/${long}`);
    expect(created.headers.get("location")).toBe(`/v1/znodes/${long}`);
    expect((await call(created.headers.get("location") ?? "")).status).toBe(200);
    await problemOf(await call(`/v1/znodes/${long}`, { method: "POST" }), 409, "NODE_EXISTS");
    const before = await (await call("/v1/znodes/?view=stat")).text();
    for (const [name, query] of [
      ["é".repeat(3000), ""],
      ["x".repeat(20_000), ""],
      ["x".repeat(20_000), "?mode=sequential"],
    ]) {
      await problemOf(await call(`/v1/znodes/${name}${query}`, { method: "POST" }), 414, "URI_TOO_LONG");
      const put = { method: "PUT", headers: { "if-none-match": "*" } };
      if (query === "") await problemOf(await call(`/v1/znodes/${name}`, put), 414, "URI_TOO_LONG");
    }
    expect(await (await call("/v1/znodes/?view=stat")).text()).toBe(before);
  });

  it("[HTTP-2] numbers sequential znodes", async () => {
    await make("/queue");
    const paths: string[] = [];
    for (const path of [
      "/queue/item-?mode=sequential",
      "/queue/?mode=sequential",
      "/queue/item-?mode=persistent-sequential",
    ]) {
      paths.push((await (await call(`/v1/znodes${path}`, { method: "POST" })).json<PathStatJson>()).path);
    }
    expect(paths).toEqual(["/queue/item-0000000000", "/queue/0000000001", "/queue/item-0000000002"]);
  });

  it("[HTTP-4] creates by PUT with If-None-Match: *", async () => {
    const put = (): Promise<Response> =>
      call("/v1/znodes/once", { method: "PUT", body: "1", headers: { "if-none-match": "*" } });
    expect((await put()).status).toBe(201);
    const { detail } = await problemOf(await put(), 412, "BAD_VERSION");
    expect(detail).toContain("/once exists");
    for (const [query, headers] of [
      ["?version=0", {}],
      ["", { "if-match": "*" }],
    ] as const) {
      const both = { method: "PUT", headers: { ...headers, "if-none-match": "*" } };
      await problemOf(await call(`/v1/znodes/once${query}`, both), 400, "BAD_ARGUMENTS");
    }
  });
});

describe("changing znodes", () => {
  const put = (path: string, body: string, headers: Record<string, string> = {}): Promise<Response> =>
    call(`/v1/znodes${path}`, { method: "PUT", body, headers });

  it("[HTTP-3] sets data and increments the version", async () => {
    await make("/set", "0");
    const first = await put("/set", "1");
    expect(await first.json()).toMatchObject({ path: "/set", stat: { version: 1, dataLength: 1 } });
    const second = await put("/set?version=1", "2");
    expect(second.status).toBe(200);
    await problemOf(await put("/set?version=1", "3"), 412, "BAD_VERSION");
    expect(await textOf(await call("/v1/znodes/set"))).toBe("2");
    await problemOf(await put("/not-there", "1"), 404, "NO_NODE");
  });

  it("[HTTP-3] accepts the ETag in If-Match, and detects a znode that was created again", async () => {
    const etag = (await make("/tag", "0")).headers.get("etag") ?? "";
    const set = await put("/tag", "1", { "if-match": etag });
    expect(set.status).toBe(200);
    await problemOf(await put("/tag", "2", { "if-match": etag }), 412, "BAD_VERSION");
    expect((await put("/tag", "2", { "if-match": "*" })).status).toBe(200);
    await call("/v1/znodes/tag", { method: "DELETE" });
    const anew = await make("/tag", "0");
    expect(anew.headers.get("etag")).not.toBe(etag);
    await problemOf(await put("/tag", "3", { "if-match": etag }), 412, "BAD_VERSION");
    await problemOf(
      await call("/v1/znodes/tag", { method: "DELETE", headers: { "if-match": etag } }),
      412,
      "BAD_VERSION",
    );
  });

  it("[HTTP-3] accepts weak tags and lists of tags, and matches the current state", async () => {
    const etag = (await make("/tags", "0")).headers.get("etag") ?? "";
    const czxid = etag.slice(3, -1);
    const other = [`"1.${czxid}"`, '"0.0x1"', `"-5.${czxid}"`];
    await problemOf(await put("/tags", "x", { "if-match": other.join(", ") }), 412, "BAD_VERSION");
    await problemOf(await put("/tags", "x", { "if-match": 'W/"0.0x1"' }), 412, "BAD_VERSION");
    expect((await put("/tags", "1", { "if-match": [...other, etag].join() })).status).toBe(200);
    const weak = { "if-match": `W/"1.${czxid}"` };
    expect((await put("/tags", "2", weak)).status).toBe(200);
    await problemOf(await put("/tags", "3", weak), 412, "BAD_VERSION");
    const last = { method: "DELETE", headers: { "if-match": `W/"9.${czxid}", W/"2.${czxid}"` } };
    expect((await call("/v1/znodes/tags", last)).status).toBe(204);
    await problemOf(await call("/v1/znodes/tags", last), 404, "NO_NODE");
  });

  it("[HTTP-3] ignores no condition: a method that does not support one refuses it", async () => {
    const etag = (await make("/conditions", "0")).headers.get("etag") ?? "";
    const ask = (method: string, headers: Record<string, string>): Promise<Response> =>
      call("/v1/znodes/conditions", { method, headers });
    for (const value of ["*", etag]) {
      await problemOf(await ask("DELETE", { "if-none-match": value }), 400, "BAD_ARGUMENTS");
      await problemOf(await ask("POST", { "if-match": value }), 400, "BAD_ARGUMENTS");
    }
    await problemOf(await ask("POST", { "if-none-match": "*" }), 412, "BAD_VERSION");
    await problemOf(await ask("GET", { "if-match": '"9.0x1"' }), 412, "BAD_VERSION");
    for (const value of ["*", etag, `"9.0x1", W/${etag}`])
      expect((await ask("GET", { "if-match": value })).status).toBe(200);
    expect(await textOf(await call("/v1/znodes/conditions"))).toBe("0");
  });

  it("[HTTP-3] accepts negative versions, which follow the largest, for every version", async () => {
    const etag = (await make("/wrapped", "0")).headers.get("etag") ?? "";
    const czxid = etag.slice(3, -1);
    for (const version of [-2147483648, -2]) {
      await problemOf(await put(`/wrapped?version=${version}`, "x"), 412, "BAD_VERSION");
      await problemOf(
        await put("/wrapped", "x", { "if-match": `"${version}.${czxid}"` }),
        412,
        "BAD_VERSION",
      );
      const gone = { method: "DELETE" };
      await problemOf(await call(`/v1/znodes/wrapped?version=${version}`, gone), 412, "BAD_VERSION");
      for (const op of ["check", "set", "delete"]) {
        const ops = [{ op, path: "/wrapped", version }];
        await problemOf(await send("POST", "/v1/multi", { ops }), 412, "BAD_VERSION");
      }
    }
    // −1 is any
    expect((await put("/wrapped?version=-1", "1")).status).toBe(200);
    const ops = [{ op: "check", path: "/wrapped", version: -1 }];
    expect((await send("POST", "/v1/multi", { ops })).status).toBe(200);
  });

  it("[HTTP-5] deletes a znode, unless it has children or another version", async () => {
    await make("/gone");
    await make("/gone/child");
    const remove = (path: string): Promise<Response> => call(`/v1/znodes${path}`, { method: "DELETE" });
    await problemOf(await remove("/gone"), 409, "NOT_EMPTY");
    await problemOf(await remove("/gone/child?version=1"), 412, "BAD_VERSION");
    const done = await remove("/gone/child?version=0");
    expect([done.status, await done.text()]).toEqual([204, ""]);
    expect((await remove("/gone")).status).toBe(204);
    await problemOf(await remove("/gone"), 404, "NO_NODE");
  });
});

describe("multi", () => {
  it("[HTTP-7] carries out all operations in one transaction", async () => {
    await make("/multi", "0");
    const response = await send("POST", "/v1/multi", {
      ops: [
        { op: "check", path: "/multi", version: 0 },
        { op: "create", path: "/multi/a", text: "é" },
        { op: "create", path: "/multi/n-", mode: "sequential", data: "AAE=" },
        { op: "set", path: "/multi", text: "1", version: 0 },
        { op: "delete", path: "/multi/a" },
      ],
    });
    expect(response.status, await response.clone().text()).toBe(200);
    const { results, zxid } = await response.json<{
      results: readonly { readonly stat?: { mzxid: string } }[];
      zxid: string;
    }>();
    expect(results).toMatchObject([
      { op: "check" },
      { op: "create", path: "/multi/a", stat: { dataLength: 2 } },
      { op: "create", path: "/multi/n-0000000001", stat: { dataLength: 2 } },
      { op: "set", stat: { version: 1 } },
      { op: "delete" },
    ]);
    expect(results[3]?.stat?.mzxid).toBe(zxid);
  });

  it("[HTTP-7] changes nothing if one fails, and names it", async () => {
    await make("/atomic", "0");
    const response = await send("POST", "/v1/multi", {
      ops: [
        { op: "create", path: "/atomic/a" },
        { op: "set", path: "/atomic", text: "1", version: 7 },
        { op: "delete", path: "/atomic" },
      ],
    });
    const problem = await problemOf(response, 412, "BAD_VERSION");
    expect(problem.at).toBe(1);
    const next = await send("POST", "/v1/multi", { ops: [{ op: "check", path: "/atomic", version: -1 }] });
    expect(problem.zxid).toBe(response.headers.get("zoo-zxid"));
    expect(Number(next.headers.get("zoo-zxid"))).toBeGreaterThan(Number(problem.zxid));
    expect(problem.results).toEqual([
      { error: "OK", number: 0 },
      { error: "BAD_VERSION", number: -103 },
      { error: "RUNTIME_INCONSISTENCY", number: -2 },
    ]);
    expect(await (await call("/v1/znodes/atomic?view=children")).json()).toMatchObject({ children: [] });
  });

  it("[HTTP-7] refuses invalid multis", async () => {
    const bad: unknown[] = [
      {},
      { ops: [] },
      { ops: [{ op: "rename", path: "/a" }] },
      { ops: [{ op: "create", path: "a" }] },
      { ops: [{ op: "create", path: "/a/../b" }] },
      { ops: [{ op: "create", path: "/a", data: "###" }] },
      { ops: [{ op: "create", path: "/a", data: "AA==", text: "x" }] },
      { ops: [{ op: "create", path: "/a", mode: "ephemeral" }] },
      { ops: [{ op: "check", path: "/a", version: 1.5 }] },
      { ops: [{ op: "check", path: "/a", version: 2 ** 53 }] },
      { ops: Array.from({ length: 501 }, () => ({ op: "check", path: "/", version: 0 })) },
      { ops: [{ op: "check", path: "/", version: 0 }], extra: 1 },
    ];
    for (const body of bad) await problemOf(await send("POST", "/v1/multi", body), 400, "BAD_ARGUMENTS");
  });
});

describe("sessions", () => {
  const open = async (): Promise<SessionJson> => {
    const response = await send("POST", "/v1/sessions", { timeoutMs: 10_000 });
    expect(response.status).toBe(201);
    const session = await response.json<SessionJson>();
    expect(response.headers.get("location")).toBe(`/v1/sessions/${session.session}`);
    return session;
  };

  it("[HTTP-8] opens, accepts heartbeats and closes; ephemerals are deleted with the session", async () => {
    const { session, timeoutMs } = await open();
    expect(session).toMatch(/^0x[0-9a-f]{16}$/);
    expect(timeoutMs).toBe(10_000);
    const headers = { "zoo-session": session, "zoo-xid": "1" };
    const created = await call("/v1/znodes/mine?mode=ephemeral", { method: "POST", headers });
    expect(await created.json<PathStatJson>()).toMatchObject({ stat: { ephemeralOwner: session } });
    await problemOf(
      await call("/v1/znodes/mine/child", { method: "POST" }),
      409,
      "NO_CHILDREN_FOR_EPHEMERALS",
    );
    expect(await (await call(`/v1/sessions/${session}`, { method: "PUT" })).json()).toEqual({
      session,
      timeoutMs,
    });
    expect((await call(`/v1/sessions/${session}`, { method: "DELETE" })).status).toBe(204);
    await problemOf(await call("/v1/znodes/mine?consistency=linearizable"), 404, "NO_NODE");
    await problemOf(await call(`/v1/sessions/${session}`, { method: "PUT" }), 410, "SESSION_EXPIRED");
  });

  it("[HTTP-8] that is over is SESSION_EXPIRED for every request that names it, reads included", async () => {
    const { session } = await open();
    await make("/named");
    const headers = { "zoo-session": session };
    expect((await call("/v1/znodes/named", { headers })).status).toBe(200);
    expect((await call(`/v1/sessions/${session}`, { method: "DELETE" })).status).toBe(204);
    for (const query of ["", "?view=children", "?view=stat", "?consistency=linearizable", "?stale=true"]) {
      await problemOf(await call(`/v1/znodes/named${query}`, { headers }), 410, "SESSION_EXPIRED");
    }
    for (const method of ["PUT", "POST", "DELETE"]) {
      const numbered = { headers: { ...headers, "zoo-xid": "1" }, method };
      await problemOf(await call("/v1/znodes/named", numbered), 410, "SESSION_EXPIRED");
    }
  });

  it("[HTTP-52] lists its own ephemerals, by prefix, and no other's", async () => {
    const { session } = await open();
    const { session: other } = await open();
    const named = (query = "", of = session): Promise<Response> =>
      call(`/v1/sessions/${of}/ephemerals${query}`);
    let xid = 0;
    for (const path of ["listed-b", "listed-a", "other"]) {
      const headers = { "zoo-session": session, "zoo-xid": String(++xid) };
      await call(`/v1/znodes/${path}?mode=ephemeral`, { method: "POST", headers });
    }
    const ofSession = async (query: string): Promise<unknown> => (await named(query)).json();
    const linearizable = "?consistency=linearizable";
    expect(await ofSession(linearizable)).toEqual({
      session,
      ephemerals: ["/listed-a", "/listed-b", "/other"],
    });
    expect(await ofSession(`${linearizable}&prefix=/listed-`)).toEqual({
      session,
      ephemerals: ["/listed-a", "/listed-b"],
    });
    expect(await (await named(linearizable, other)).json()).toEqual({ session: other, ephemerals: [] });
    expect((await named()).headers.get("zoo-zxid")).toMatch(/^0x/);
    await problemOf(await named("?prefix=/a&prefix=/b"), 400, "BAD_ARGUMENTS");
    await problemOf(await named("", "0x"), 400, "BAD_ARGUMENTS");
    for (const each of [session, other]) await call(`/v1/sessions/${each}`, { method: "DELETE" });
    await problemOf(await named(), 410, "SESSION_EXPIRED");
  });

  it("[HTTP-8] opens one without a body too", async () => {
    expect((await call("/v1/sessions", { method: "POST" })).status).toBe(201);
  });

  it("[HTTP-9] returns the first result for a repeated write, which is applied once", async () => {
    const { session } = await open();
    await make("/counted");
    const add = async (xid: number): Promise<string> => {
      const headers = { "zoo-session": session, "zoo-xid": String(xid) };
      const response = await call("/v1/znodes/counted/n-?mode=sequential", { method: "POST", headers });
      expect(response.status).toBe(201);
      return (await response.json<PathStatJson>()).path;
    };
    const first = await add(1);
    expect(await add(1)).toBe(first);
    expect(await add(2)).not.toBe(first);
    expect(await (await call("/v1/znodes/counted?view=stat&consistency=linearizable")).json()).toMatchObject({
      stat: { numChildren: 2 },
    });
  });

  it("[HTTP-9] refuses one header without the other, and ephemerals without a session", async () => {
    const { session } = await open();
    const post = (headers: Record<string, string>, mode = "persistent"): Promise<Response> =>
      call(`/v1/znodes/half?mode=${mode}`, { method: "POST", headers });
    await problemOf(await post({ "zoo-session": session }), 400, "BAD_ARGUMENTS");
    await problemOf(await post({ "zoo-xid": "1" }), 400, "BAD_ARGUMENTS");
    await problemOf(await post({ "zoo-session": session, "zoo-xid": "0" }), 400, "BAD_ARGUMENTS");
    await problemOf(
      await post({ "zoo-session": session, "zoo-xid": "9007199254740993" }),
      400,
      "BAD_ARGUMENTS",
    );
    await problemOf(await post({ "zoo-session": "1", "zoo-xid": "1" }), 400, "BAD_ARGUMENTS");
    await problemOf(await post({}, "ephemeral"), 400, "BAD_ARGUMENTS");
    await problemOf(
      await post({ "zoo-session": "0x0001000000000001", "zoo-xid": "1" }),
      410,
      "SESSION_EXPIRED",
    );
  });

  it("[HTTP-8] refuses invalid timeouts and ids", async () => {
    for (const timeoutMs of [0, -1, 1.5, 2 ** 53, "1000", null]) {
      await problemOf(await send("POST", "/v1/sessions", { timeoutMs }), 400, "BAD_ARGUMENTS");
    }
    for (const id of ["abc", "0x", "0", "0xffffffffffffffff", "0x1_0"]) {
      await problemOf(await call(`/v1/sessions/${id}`, { method: "PUT" }), 400, "BAD_ARGUMENTS");
      await problemOf(await call(`/v1/sessions/${id}`, { method: "DELETE" }), 400, "BAD_ARGUMENTS");
    }
    await problemOf(await call("/v1/sessions/0x0001000000000001", { method: "PUT" }), 410, "SESSION_EXPIRED");
  });
});
