import { describe, expect, it } from "vitest";
import { call, ensembleOf, heal, isWhole, make, objects, problemOf, send, textOf, until } from "./helpers.ts";

const fault = async (node: number, action: string, prefix = ""): Promise<void> => {
  const response = await call(`${prefix}/v1/faults/nodes/${node}/${action}`, { method: "POST" });
  expect(response.status, await response.text()).toBe(200);
};

describe("ensembles by name", () => {
  it("[HTTP-15] creates one once, and keeps its size", async () => {
    const create = await send("PUT", "/v1/ensembles/five", { size: 5 });
    expect([create.status, await create.json()]).toEqual([201, { name: "five", size: 5 }]);
    const again = await send("PUT", "/v1/ensembles/five", { size: 5 });
    expect([again.status, await again.json()]).toEqual([200, { name: "five", size: 5 }]);
    await problemOf(await send("PUT", "/v1/ensembles/five", { size: 3 }), 409, "ENSEMBLE_EXISTS");
    expect(await (await call("/v1/ensembles/five")).json()).toEqual({ name: "five", size: 5 });
    expect(await (await call("/v1/ensembles/default")).json()).toEqual({ name: "default", size: 3 });
    expect((await send("PUT", "/v1/ensembles/default", { size: 3 })).status).toBe(200);
    await problemOf(await send("PUT", "/v1/ensembles/default", { size: 5 }), 409, "ENSEMBLE_EXISTS");
  });

  it("[HTTP-15] answers 404 to an unknown one and creates nothing", async () => {
    await make("/founded");
    const before = await objects();
    await problemOf(await call("/v1/ensembles/nobody"), 404, "UNKNOWN_ENSEMBLE");
    await problemOf(await call("/e/nobody/v1/ensemble"), 404, "UNKNOWN_ENSEMBLE");
    await problemOf(await call("/e/nobody/v1/znodes/x", { method: "POST" }), 404, "UNKNOWN_ENSEMBLE");
    expect(await objects()).toEqual(before);
  });

  it("[HTTP-16] separates their trees", async () => {
    await send("PUT", "/v1/ensembles/apart", { size: 1 });
    const made = await make("/only-here", "1", "/e/apart");
    expect(made.headers.get("location")).toBe("/e/apart/v1/znodes/only-here");
    const opened = await send("POST", "/e/apart/v1/sessions", { timeoutMs: 10_000 });
    const { session } = await opened.json<{ session: string }>();
    expect(opened.headers.get("location")).toBe(`/e/apart/v1/sessions/${session}`);
    expect(await textOf(await call("/e/apart/v1/znodes/only-here"))).toBe("1");
    await problemOf(await call("/v1/znodes/only-here"), 404, "NO_NODE");
    await make("/default-only");
    expect((await call("/e/default/v1/znodes/default-only")).status).toBe(200);
    expect(await ensembleOf("/e/apart")).toMatchObject({
      ensemble: "apart",
      size: 1,
      quorum: 1,
      hasQuorum: true,
      leader: 1,
    });
  });
});

describe("the ensemble as a whole", () => {
  it("[HTTP-17] [HTTP-18] [HTTP-25] lists every node, also a dead one, and reports why there is no quorum", async () => {
    const healthy = await until(ensembleOf, isWhole);
    expect(healthy).toMatchObject({ ensemble: "default", size: 3, quorum: 2, reason: null });
    expect(healthy.nodes.map((node) => [node.sid, node.up])).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);
    const followers = healthy.nodes.filter((node) => node.sid !== healthy.leader).map(({ sid }) => sid);
    const [first = 0, second = 0] = followers;

    await fault(first, "kill");
    const two = await until(ensembleOf, ({ nodes }) => !nodes[first - 1]?.up);
    expect(two).toMatchObject({ hasQuorum: true, reason: null });
    expect(two.nodes[first - 1]).toMatchObject({ sid: first, up: false, code: "NODE_DOWN" });
    await make("/with-two");

    await fault(second, "kill");
    const one = await until(ensembleOf, ({ hasQuorum }) => !hasQuorum);
    await until(ensembleOf, ({ nodes }) => nodes.every((node) => !node.up || !node.serving));
    expect(one).toMatchObject({ leader: null, reason: "1 of 3 nodes is up, 2 are needed" });
    const readiness = await problemOf(await call("/readyz"), 503, "NO_QUORUM");
    expect(readiness.detail).toBe("1 of 3 nodes is up, 2 are needed");
    expect((await call("/healthz")).status).toBe(200);

    await problemOf(await call("/v1/znodes/with-two", { method: "PUT", body: "x" }), 503, "NO_QUORUM");
    await problemOf(await call("/v1/znodes/with-two"), 503, "NO_QUORUM");
    expect((await call("/v1/znodes/with-two?stale=true")).status).toBe(200);
    await problemOf(await call(`/v1/znodes/with-two?node=${first}`), 503, "NODE_DOWN");

    await heal();
    expect(await (await call("/readyz")).json()).toMatchObject({ status: "ok", ensemble: "default" });
    expect((await call("/v1/znodes/with-two", { method: "PUT", body: "x" })).status).toBe(200);
  });

  it("[HTTP-24] completes a request during the death of the leader", async () => {
    const { leader } = await until(ensembleOf, ({ hasQuorum }) => hasQuorum);
    await make("/survives", "0");
    await fault(leader ?? 0, "kill");
    const read = await call("/v1/znodes/survives");
    expect([read.status, await textOf(read)]).toEqual([200, "0"]);
    const write = await call("/v1/znodes/survives", { method: "PUT", body: "1" });
    expect(write.status).toBe(200);
    await fault(leader ?? 0, "revive");
    const settled = await until(ensembleOf, isWhole);
    expect(settled.leader).not.toBeNull();
  });

  it("[HTTP-22] shows which nodes are up, and that a crashed node returns by itself", async () => {
    await until(ensembleOf, ({ hasQuorum }) => hasQuorum);
    await fault(2, "kill");
    const listing = await (await call("/v1/faults")).json<{
      nodes: unknown;
      brokers: unknown;
      clients: unknown;
    }>();
    expect(listing.nodes).toEqual([
      { sid: 1, up: true, faults: [] },
      { sid: 2, up: false, faults: [{ fault: "kill", remainingMs: null }] },
      { sid: 3, up: true, faults: [] },
    ]);
    expect(listing.clients).toEqual([]);
    await fault(2, "revive");
    await fault(1, "crash");
    await until(ensembleOf, isWhole);
  });

  it("[HTTP-22] passes faults of demo clients to the gateway", async () => {
    const seen: string[] = [];
    const GATEWAY = {
      fetch(url: string, init?: RequestInit): Promise<Response> {
        seen.push(`${init?.method ?? "GET"} ${url}`);
        const missing = url.includes("/7/");
        return Promise.resolve(
          Response.json(missing ? { detail: "there is no such client" } : { client: 0, up: false }, {
            status: missing ? 404 : 200,
          }),
        );
      },
    } as unknown as Fetcher;
    const post = (path: string): Promise<Response> =>
      call(`/v1/faults/clients${path}`, { method: "POST" }, { LOCAL: "on", FAULTS: "on", GATEWAY });
    expect(await (await post("/0/end")).json()).toEqual({ client: 0, up: false });
    await problemOf(await post("/7/start"), 404, "NOT_FOUND");
    await problemOf(await post("/x/start"), 400, "BAD_ARGUMENTS");
    await problemOf(await post("/0/kill"), 404, "NOT_FOUND");
    expect(seen).toEqual(["POST http://gateway/clients/0/end", "POST http://gateway/clients/7/start"]);
    await problemOf(await call("/v1/faults/clients/0/end", { method: "POST" }), 404, "NOT_FOUND");
  });
});

describe("the index", () => {
  it("[HTTP-29] lists the routes at /", async () => {
    const index = await (await call("/")).json<{ name: string; routes: Record<string, string> }>();
    expect(index.name).toBe("ZooWeeper");
    expect(Object.keys(index.routes)).toContain("GET /v1/ensemble");
  });
});
