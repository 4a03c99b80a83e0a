import { describe, expect, it } from "vitest";
import { call, heal, problemOf, send, textOf } from "./helpers.ts";

describe("the demo's node ports", () => {
  it("[HTTP-23] answer pong while the node is alive", async () => {
    for (const node of [0, 1, 2]) expect(await textOf(await call(`/demo/nodes/${node}/`))).toBe("pong");
    await call("/v1/faults/nodes/2/kill", { method: "POST" });
    await problemOf(await call("/demo/nodes/1/"), 503, "NODE_DOWN");
    await problemOf(await call("/demo/nodes/1/metadata"), 503, "NODE_DOWN");
    expect(await textOf(await call("/demo/nodes/0/"))).toBe("pong");
    await heal();
  });

  it("[HTTP-23] return the same metadata on every node, in the order of creation", async () => {
    const post = (node: number, SenderIp: string, Clients: string): Promise<Response> =>
      send("POST", `/demo/nodes/${node}/metadata`, { SenderIp, ReceiverIp: "8081", Clients, Version: 7 });
    expect(await textOf(await post(2, "9091", "9090,9091"))).toBe("OK");
    expect(await textOf(await post(0, "9090", "9090"))).toBe("OK");
    expect(await textOf(await post(1, "9090", "9090,9091"))).toBe("OK");
    const bodies = await Promise.all(
      [0, 1, 2].map(async (node) => textOf(await call(`/demo/nodes/${node}/metadata`))),
    );
    expect(new Set(bodies).size).toBe(1);
    const [ensemble, ...rows] = JSON.parse(bodies[0] ?? "[]") as Record<string, unknown>[];
    expect(ensemble).toMatchObject({ Servers: "8080,8081,8082" });
    expect(ensemble?.NodePort).toBe(ensemble?.Leader);
    expect(rows).toMatchObject([
      { NodeId: "2", ParentId: 1, SenderIp: "9091", ReceiverIp: "8082", Clients: "9090,9091", Version: 0 },
      { NodeId: "3", ParentId: 1, SenderIp: "9090", ReceiverIp: "8080", Clients: "9090", Version: 0 },
      { NodeId: "4", ParentId: 3, SenderIp: "9090", ReceiverIp: "8081", Clients: "9090,9091", Version: 1 },
    ]);
  });

  it("[HTTP-23] refuse invalid metadata, and nodes that do not exist", async () => {
    for (const body of [
      {},
      { SenderIp: 9090, Clients: "" },
      { SenderIp: "../x", Clients: "" },
      { SenderIp: "", Clients: "" },
      { Metadata: { Clients: "9090" }, GameResults: {} },
      { Metadata: { SenderIp: "9090" }, GameResults: { Minute: 1 } },
      { SenderIp: "9090", Clients: "x".repeat(1025) },
    ]) {
      await problemOf(await send("POST", "/demo/nodes/0/metadata", body), 400, "BAD_ARGUMENTS");
    }
    await problemOf(await call("/demo/nodes/3/"), 404, "NOT_FOUND");
    await problemOf(await call("/demo/nodes/x/"), 400, "BAD_ARGUMENTS");
  });
});
