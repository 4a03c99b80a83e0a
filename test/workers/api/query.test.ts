/** Unknown query parameters: refused on every route, before anything is done. */
import { describe, expect, it } from "vitest";
import { app } from "../../../workers/api/app.ts";
import { QUERIES } from "../../../workers/api/middleware/query.ts";
import { call, make, textOf } from "./helpers.ts";

/** A path that a route's pattern matches. */
const example = (path: string): string =>
  path
    .replace("/*", "/there")
    .replace(":cluster", "x")
    .replace(/:action\{.*\}/, "end")
    .replaceAll(/:(\w+)/g, (_, name: string) => (name === "topic" || name === "name" ? "there" : "0"));

describe("parameters", () => {
  it("[HTTP-42] that a route does not know are 400 on every route; the error lists the known ones", async () => {
    const routes = app.routes.filter(({ method, path }) => method !== "ALL" && path !== "/*");
    expect(routes.length).toBeGreaterThan(50);
    for (const { method, path } of routes) {
      for (const query of ["verison=7", "Node=1", "=", "__proto__=1"]) {
        const response = await call(`${example(path)}?${query}`, { method });
        const body = await response.json<{ code: string; detail?: string; message?: string }>();
        const label = `${method} ${path}?${query}`;
        expect([label, response.status, body.code]).toEqual([label, 400, "BAD_ARGUMENTS"]);
        expect(body.detail ?? body.message).toMatch(/ has no parameter ".*"; it takes /);
      }
    }
  });

  it("[HTTP-42] are declared for every route", () => {
    const known = QUERIES.map(([pattern]) => pattern);
    const routes = app.routes.filter(({ method, path }) => method !== "ALL" && path !== "/*");
    const missing = routes.filter(
      ({ path }) =>
        !known.some(
          (each) => each === path || (each.endsWith("/*") && `${path}/`.startsWith(each.slice(0, -1))),
        ),
    );
    expect(missing.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
  });

  it("[HTTP-42] with a misspelled name change nothing", async () => {
    await make("/typing", "0");
    const write = (query: string, method: string): Promise<Response> =>
      call(`/v1/znodes/typing?${query}`, { method, body: "1" });
    for (const query of ["verison=7", "Version=7", "version=7&mode=ephemeral", "vers%69on%20=7"]) {
      expect((await write(query, "PUT")).status).toBe(400);
      expect((await write(query, "DELETE")).status).toBe(400);
    }
    expect(await textOf(await call("/v1/znodes/typing"))).toBe("0");
    expect((await write("vers%69on=0", "PUT")).status).toBe(200);
    expect((await call("/nothing?x=1")).status).toBe(404);
    expect((await call("/v1/multi?x=1")).status).toBe(400);
  });
});

describe("Last-Event-ID", () => {
  it("[HTTP-43] that is empty counts as absent, on every stream", async () => {
    const streams = ["/v1/znodes/?watch=children", "/v1/events", "/v1/znodes/?watch=data&since="];
    for (const path of streams) {
      const stop = new AbortController();
      const headers = { "last-event-id": "", accept: "text/event-stream" };
      const response = await call(path, { headers, signal: stop.signal });
      expect([path, response.status]).toEqual([path, 200]);
      stop.abort();
      await response.body?.cancel().catch(() => undefined);
    }
  });
});
