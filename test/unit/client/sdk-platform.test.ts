/** What the SDK requires from its platform. */
import { describe, expect, it } from "vitest";
import { connect, type SocketLike } from "../../../client/sdk/index.ts";
import { importsOf } from "../../import-graph.ts";
import { startServer } from "./scripted-server.ts";

const ENTRY = "client/sdk/index.ts";

describe("the platform entry", () => {
  it("[SDK-23] imports no package and no module of Node, directly or not", () => {
    const reached = new Set([ENTRY]);
    const packages: string[] = [];
    for (const file of reached) {
      for (const { target, isPackage } of importsOf(file)) {
        if (isPackage) packages.push(`${file} → ${target}`);
        else reached.add(target);
      }
    }
    expect(packages).toEqual([]);
    expect(reached.has("client/sdk/session.ts")).toBe(true);
    expect(reached.has("client/sdk/node.ts")).toBe(false);
  });

  it("[SDK-23] opens a session over the platform's own WebSocket, or over one that the caller opens", async () => {
    const server = await startServer();
    const plain = await connect(server.url);
    const urls: string[] = [];
    const openSocket = (url: string): SocketLike => {
      urls.push(url);
      return new WebSocket(url) as unknown as SocketLike;
    };
    const own = await connect(server.url, { openSocket });
    expect([plain.state, own.state, urls.length]).toEqual(["connected", "connected", 1]);
    plain.disconnect();
    own.disconnect();
    server.stop();
  });

  it("[SDK-23] refuses a token, which it could not send", async () => {
    const options = { token: "secret", timeoutMs: 1_000 };
    await expect(connect("ws://localhost:1", options)).rejects.toThrow(/node\.ts/);
  });
});
