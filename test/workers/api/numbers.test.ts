/** Numbered writes over HTTP: another one under a used number. */
import { expect, it } from "vitest";
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
