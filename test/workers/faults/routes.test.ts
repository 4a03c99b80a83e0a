/** The fault endpoints: accepted and refused requests, the list, and the end of faults. */
import { beforeAll, describe, expect, it } from "vitest";
import { call, problemOf, send, until } from "../api/helpers.ts";
import { type FaultsJson, Victims } from "./helpers.ts";

let ensemble: Victims;
const at = (path: string): string => `${ensemble.prefix}/v1/faults${path}`;
const post = (path: string, body?: unknown): Promise<Response> =>
  body === undefined ? call(at(path), { method: "POST" }) : send("POST", at(path), body);

beforeAll(async () => {
  ensemble = await Victims.found("routes");
});

/** *map fault → a body that is good, and what is listed then* */
const LASTING: readonly (readonly [string, Record<string, unknown>])[] = [
  ["pause", {}],
  ["isolate", { peers: [2], direction: "in" }],
  ["drop", { probability: 0.01, peers: [2, 3] }],
  ["delay", { delayMs: 5, jitterMs: 5 }],
  ["duplicate", { probability: 0.5, direction: "out" }],
  ["lose-return", { probability: 0.01 }],
  ["skew", { skewMs: -20 }],
  ["slow-storage", { delayMs: 1 }],
];

describe("the fault endpoints", () => {
  it.each(LASTING)("[FAULT-26] %s is listed with the time it has left, and ended", async (fault, body) => {
    const response = await post(`/nodes/1/${fault}`, { ...body, ttlMs: 20_000 });
    expect(await response.json()).toMatchObject({ node: 1, nodes: [1], fault, ...body });
    const [listed] = await ensemble.faults(1);
    expect(listed).toMatchObject({ fault, ...body });
    expect(listed?.remainingMs).toBeGreaterThan(0);
    expect(listed?.remainingMs).toBeLessThanOrEqual(20_000);
    expect(await ensemble.faults(2)).toEqual([]);
    const ended = await call(at(`/nodes/1/${fault}`), { method: "DELETE" });
    expect(await ended.json()).toMatchObject({ healed: { 1: [fault] } });
    expect(await ensemble.faults(1)).toEqual([]);
    expect(await (await call(at(`/nodes/1/${fault}`), { method: "DELETE" })).json()).toMatchObject({
      healed: { 1: [] },
    });
  });

  it("[FAULT-27] without a body a fault lasts a minute, and a kill until it is revived", async () => {
    await ensemble.whole();
    await post("/nodes/2/pause");
    const [pause] = await ensemble.faults(2);
    expect(pause?.remainingMs).toBeGreaterThan(50_000);
    expect(pause?.remainingMs).toBeLessThanOrEqual(60_000);
    await post("/nodes/2/resume");
    await post("/nodes/2/kill");
    expect(await ensemble.faults(2)).toEqual([{ fault: "kill", remainingMs: null }]);
    await post("/nodes/2/revive");
    await ensemble.whole();
  });

  it.each([...LASTING, ["kill", {}] as const, ["corrupt", {}] as const])(
    "[FAULT-27] %s ends by itself at its limit",
    async (fault, body) => {
      await ensemble.write("/something-to-corrupt");
      await ensemble.whole();
      await ensemble.fault(3, fault, { ...body, ttlMs: 400 });
      await until(
        () => ensemble.faults(3),
        (faults) => faults.length === 0,
      );
      await ensemble.whole();
    },
  );

  it("[FAULT-28] partition the ensemble, and heal it", async () => {
    await ensemble.whole();
    const groups = await post("/partition", { groups: [[2]], ttlMs: 20_000 });
    expect(await groups.json()).toMatchObject({ cuts: [{ sid: 2, peers: [1, 3], direction: "both" }] });
    const ring = await post("/partition", { ring: true });
    expect(await ring.json()).toMatchObject({ cuts: [{ direction: "in" }, {}, {}], ttlMs: 60_000 });
    const listed = await (await call(at(""))).json<FaultsJson>();
    expect(listed.nodes.map(({ faults }) => faults.map(({ fault }) => fault))).toEqual([
      ["isolate"],
      ["isolate"],
      ["isolate"],
    ]);
    const ended = await call(at("/partition"), { method: "DELETE" });
    expect(await ended.json()).toMatchObject({ healed: { 1: ["isolate"], 2: ["isolate"], 3: ["isolate"] } });
    await ensemble.whole();
  });

  it("[FAULT-29] heal ends everything", async () => {
    await post("/nodes/all/delay", { delayMs: 10 });
    await post("/nodes/1/drop", { probability: 0.1 });
    await post("/nodes/3/kill");
    await ensemble.heal();
    const listed = await (await call(at(""))).json<FaultsJson>();
    expect(listed.nodes).toEqual([1, 2, 3].map((sid) => ({ sid, up: true, faults: [] })));
    await post("/nodes/2/pause");
    expect(await (await post("/nodes/2/heal")).json()).toMatchObject({ healed: { 2: ["pause"] } });
  });

  it.each([
    ["/nodes/1/pause", { ttlMs: 0 }],
    ["/nodes/1/pause", { ttlMs: 600_001 }],
    ["/nodes/1/pause", { ttlMs: 1.5 }],
    ["/nodes/1/pause", { ttlMs: "1000" }],
    ["/nodes/1/pause", { ttlMs: null }],
    ["/nodes/1/pause", { ttl: 1 }],
    ["/nodes/1/pause", []],
    ["/nodes/1/pause", null],
    ["/nodes/1/kill", { ttlMs: -1 }],
    ["/nodes/1/crash", { ttlMs: 1 }],
    ["/nodes/1/drop", {}],
    ["/nodes/1/drop", { probability: 1.01 }],
    ["/nodes/1/drop", { probability: -0.1 }],
    ["/nodes/1/drop", { probability: 0.5, peers: [] }],
    ["/nodes/1/drop", { probability: 0.5, peers: [4] }],
    ["/nodes/1/drop", { probability: 0.5, peers: [2, 2] }],
    ["/nodes/1/drop", { probability: 0.5, seed: -1 }],
    ["/nodes/1/isolate", { direction: "up" }],
    ["/nodes/1/isolate", { peers: [0] }],
    ["/nodes/1/delay", { delayMs: 10_001 }],
    ["/nodes/1/delay", { jitterMs: 5 }],
    ["/nodes/1/delay", { delayMs: -1 }],
    ["/nodes/1/skew", { skewMs: 3_600_001 }],
    ["/nodes/1/slow-storage", { delayMs: 0 }],
    ["/nodes/1/corrupt", { row: "all" }],
    ["/nodes/1/wipe", { force: "yes" }],
    ["/partition", {}],
    ["/partition", { groups: [] }],
    ["/partition", { groups: [[]] }],
    ["/partition", { groups: [[1], [1]] }],
    ["/partition", { groups: [[4]] }],
    ["/partition", { groups: [[1]], ring: true }],
    ["/partition", { ring: false }],
    ["/partition", { ring: true, oneWay: true }],
  ])("[FAULT-30] POST %s %j is refused and does nothing", async (path, body) => {
    await problemOf(await post(path, body), 400, "BAD_ARGUMENTS");
    expect(await ensemble.faults(1)).toEqual([]);
  });

  it("[FAULT-37] a fault, and its end, take effect even if another fault ends the object meanwhile", async () => {
    await ensemble.whole();
    for (let i = 0; i < 5; i++) {
      const answers = await Promise.all([
        post("/nodes/1/crash"),
        post("/nodes/1/skew", { skewMs: 20 }),
        post("/nodes/1/evict"),
        post("/nodes/1/delay", { delayMs: 1 }),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      expect((await ensemble.faults(1)).map(({ fault }) => fault).sort()).toEqual(["delay", "skew"]);
      const ends = await Promise.all([post("/nodes/1/crash"), post("/heal"), post("/nodes/1/heal")]);
      expect(ends.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(await ensemble.faults(1)).toEqual([]);
    }
  });

  it("[FAULT-30] an unknown route is 404, and a body that is not JSON is refused", async () => {
    const missing: readonly (readonly [string, string])[] = [
      ["POST", "/nodes/4/pause"],
      ["POST", "/nodes/1/explode"],
      ["POST", "/nodes/1/constructor"],
      ["DELETE", "/nodes/1/crash"],
      ["DELETE", "/nodes/1/wipe"],
      ["DELETE", "/nodes/4/pause"],
    ];
    for (const [method, path] of missing) {
      await problemOf(await call(at(path), { method }), 404, "NOT_FOUND");
    }
    await problemOf(await call(at("/nodes/none/pause"), { method: "POST" }), 400, "BAD_ARGUMENTS");
    const json = { "content-type": "application/json" };
    const broken = await call(at("/nodes/1/pause"), { method: "POST", body: "{", headers: json });
    await problemOf(broken, 400, "MARSHALLING_ERROR");
    const text = await call(at("/nodes/1/pause"), { method: "POST", body: "{}" });
    await problemOf(text, 415, "UNSUPPORTED_MEDIA_TYPE");
  });
});
