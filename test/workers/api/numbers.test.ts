/** Numbered writes over HTTP: another write under a used number. */
import { expect, it } from "vitest";
import type { EnsembleJson } from "../../../workers/api/schema/views.ts";
import { call, problemOf, send } from "./helpers.ts";

it("[SERVER-42] another write under a used Zoo-Xid is 422 XID_REUSED at every node, and does not happen", async () => {
  const base = "/v1";
  const opened = await send("POST", `${base}/sessions`, { timeoutMs: 60_000 });
  const { session } = await opened.json<{ session: string }>();
  const write = (method: string, path: string, body?: string, query = "") =>
    call(`${base}/znodes${path}${query}`, {
      method,
      headers: { "Zoo-Session": session, "Zoo-Xid": "1" },
      ...(body !== undefined && { body }),
    });
  expect((await write("POST", "/a", "keep")).status).toBe(201);
  for (const query of ["", "?node=1", "?node=2", "?node=3"]) {
    await problemOf(await write("DELETE", "/a", undefined, query), 422, "XID_REUSED");
    await problemOf(await write("POST", "/b", "new", query), 422, "XID_REUSED");
    await problemOf(await write("PUT", "/a", "other", query), 422, "XID_REUSED");
    await problemOf(await write("POST", "/a", "other", query), 422, "XID_REUSED");
    expect((await write("POST", "/a", "keep", query)).status).toBe(201);
  }
  expect(await (await call(`${base}/znodes/a`)).text()).toBe("keep");
  expect((await call(`${base}/znodes/b`)).status).toBe(404);
});

it("[SERVER-48] is refused at the member that took the first and at the leader, whatever the znodes are now", async () => {
  const opened = await send("POST", "/v1/sessions", { timeoutMs: 60_000 });
  const { session } = await opened.json<{ session: string }>();
  const numbered = (xid: number) => ({ "Zoo-Session": session, "Zoo-Xid": String(xid) });
  const write = (xid: number, method: string, path: string, body?: string, query = "") =>
    call(`/v1/znodes${path}${query}`, {
      method,
      headers: numbered(xid),
      ...(body !== undefined && { body }),
    });
  const byAnybody = (method: string, path: string, body?: string) =>
    call(`/v1/znodes${path}`, { method, ...(body !== undefined && { body }) });
  const multi = (xid: number, data: string, query: string) =>
    send("POST", `/v1/multi${query}`, { ops: [{ op: "set", path: "/m", text: data }] }, numbered(xid));
  for (const path of ["/m", "/p"]) expect((await byAnybody("POST", path, "0")).status).toBe(201);
  const leader = `?node=${(await (await call("/v1/ensemble")).json<EnsembleJson>()).leader}`;
  let xid = 0;
  for (const at of ["?node=1", "?node=2", "?node=3", ""]) {
    // overwritten by others
    xid += 1;
    expect((await write(xid, "PUT", "/p", "1", at)).status).toBe(200);
    expect((await byAnybody("PUT", "/p", "3")).status).toBe(200);
    for (const query of [at, leader]) {
      await problemOf(await write(xid, "PUT", "/p", "2", query), 422, "XID_REUSED");
      expect((await write(xid, "PUT", "/p", "1", query)).status).toBe(200);
    }
    expect(await (await byAnybody("GET", "/p")).text()).toBe("3");
    // a multi of as many operations
    xid += 1;
    expect((await multi(xid, "one", at)).status).toBe(200);
    for (const query of [at, leader]) {
      await problemOf(await multi(xid, "two", query), 422, "XID_REUSED");
      expect((await multi(xid, "one", query)).status).toBe(200);
    }
    // after a refusal
    xid += 1;
    await problemOf(await write(xid, "DELETE", "/none", undefined, at), 404, "NO_NODE");
    for (const query of [at, leader]) {
      await problemOf(await write(xid, "POST", "/other", "new", query), 422, "XID_REUSED");
      await problemOf(await write(xid, "DELETE", "/none", undefined, query), 404, "NO_NODE");
    }
  }
  expect((await byAnybody("GET", "/other")).status).toBe(404);
});

it("[SERVER-48] one of two writes that are sent at once under a Zoo-Xid is refused", async () => {
  const opened = await send("POST", "/v1/sessions", { timeoutMs: 60_000 });
  const { session } = await opened.json<{ session: string }>();
  const make = (path: string, query: string) =>
    call(`/v1/znodes${path}${query}`, {
      method: "POST",
      body: path,
      headers: { "Zoo-Session": session, "Zoo-Xid": "1" },
    });
  for (const [one, two] of [
    ["?node=1", "?node=1"],
    ["?node=1", "?node=2"],
    ["?node=3", "?node=2"],
  ] as const) {
    const answers = await Promise.all([make("/left", one), make("/right", two)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 422]);
    const made = await Promise.all(["/left", "/right"].map((path) => call(`/v1/znodes${path}`)));
    expect(made.map(({ status }) => status === 200)).toEqual(answers.map(({ status }) => status === 201));
  }
});

it("[HTTP-9] a repeated conditional write under Zoo-Xid gets the first result, not a failed condition", async () => {
  const base = "/v1";
  const opened = await send("POST", `${base}/sessions`, { timeoutMs: 60_000 });
  const { session } = await opened.json<{ session: string }>();
  const numbered = (xid: number) => ({ "Zoo-Session": session, "Zoo-Xid": String(xid) });
  await call(`${base}/znodes/conditional`, { method: "POST", body: "0" });
  const tagNow = async () => (await call(`${base}/znodes/conditional`)).headers.get("etag") ?? "";
  const first = await tagNow();
  const put = (xid: number, tag: string, body: string) =>
    call(`${base}/znodes/conditional`, {
      method: "PUT",
      headers: { ...numbered(xid), "If-Match": tag },
      body,
    });
  for (const _ of [1, 2]) expect((await put(1, first, "1")).status).toBe(200);
  for (const _ of [1, 2]) await problemOf(await put(2, first, "2"), 412, "BAD_VERSION");
  const second = await tagNow();
  expect(await (await call(`${base}/znodes/conditional`)).text()).toBe("1");
  const remove = (xid: number, tag: string) =>
    call(`${base}/znodes/conditional`, { method: "DELETE", headers: { ...numbered(xid), "If-Match": tag } });
  for (const _ of [1, 2]) await problemOf(await remove(3, first), 412, "BAD_VERSION");
  for (const _ of [1, 2]) expect((await remove(4, `${first}, ${second}`)).status).toBe(204);
  for (const _ of [1, 2]) expect((await remove(5, second)).status).toBe(404);
  // The znode that is made under the name is another: its version is no reason to delete it.
  await call(`${base}/znodes/conditional`, { method: "POST", body: "0" });
  await problemOf(await remove(6, first), 412, "BAD_VERSION");
  expect((await call(`${base}/znodes/conditional`)).status).toBe(200);
});

it("[SERVER-42] another multi under a used Zoo-Xid is 422 XID_REUSED, and does not happen", async () => {
  const base = "/v1";
  const opened = await send("POST", `${base}/sessions`, { timeoutMs: 60_000 });
  const { session } = await opened.json<{ session: string }>();
  await call(`${base}/znodes/several`, { method: "POST", body: "0" });
  const set = (text: string) =>
    call(`${base}/multi`, {
      method: "POST",
      headers: { "Zoo-Session": session, "Zoo-Xid": "1", "Content-Type": "application/json" },
      body: JSON.stringify({ ops: [{ op: "set", path: "/several", text }] }),
    });
  expect((await set("1")).status).toBe(200);
  await problemOf(await set("2"), 422, "XID_REUSED");
  expect((await set("1")).status).toBe(200);
  expect(await (await call(`${base}/znodes/several`)).text()).toBe("1");
});
