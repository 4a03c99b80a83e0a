/** Clients without a connection that use several nodes: they never see older state. */
import { env } from "cloudflare:workers";
import { afterAll, describe, expect, it } from "vitest";
import { nodeStub } from "../../../workers/api/clients/node-stub.ts";
import { call, EventReader, heal, make, problemOf, send } from "./helpers.ts";

const NODES = [1, 2, 3];
const SSE = { accept: "text/event-stream" };

afterAll(async () => {
  await heal();
});

const zxidOf = (response: Response): string => response.headers.get("zoo-zxid") ?? "";
const value = (zxid: string): bigint => BigInt(zxid);

async function followerOf(): Promise<number> {
  const { leader } = await (await call("/v1/ensemble")).json<{ leader: number }>();
  return NODES.find((sid) => sid !== leader) ?? 1;
}

describe("freshness", () => {
  it("[HTTP-30] a sync follows everything that was committed before, and its node shows it", async () => {
    const made = zxidOf(await make("/synced"));
    for (const sid of NODES) {
      const sync = await call(`/v1/sync?node=${sid}`, { method: "POST" });
      expect(sync.status).toBe(200);
      expect(await sync.json()).toEqual({ zxid: zxidOf(sync) });
      expect(sync.headers.get("zoo-node")).toBe(String(sid));
      expect(value(zxidOf(sync))).toBeGreaterThan(value(made));
      expect((await call(`/v1/znodes/synced?node=${sid}`)).status).toBe(200);
    }
    await problemOf(await call("/v1/sync"), 405, "METHOD_NOT_ALLOWED");
  });

  it("[HTTP-30] every view of a znode, and its watch, can be linearizable", async () => {
    for (const [i, sid] of NODES.entries()) {
      await make(`/linear${i}`);
      for (const view of ["data", "children", "stat"]) {
        const url = `/v1/znodes/linear${i}?node=${sid}&view=${view}&consistency=linearizable`;
        expect((await call(url)).status).toBe(200);
      }
      await make(`/seen${i}`);
      const watch = await call(`/v1/znodes/seen${i}?node=${sid}&consistency=linearizable`, { headers: SSE });
      expect(watch.status).toBe(200);
      await watch.body?.cancel();
    }
  });

  it("[HTTP-31] a reader that names the zxid it has seen sees nothing older at any node, existing or not", async () => {
    const slow = await followerOf();
    // what reaches this node comes late
    const delay = await send("POST", `/v1/faults/nodes/${slow}/delay`, { delayMs: 150, direction: "in" });
    expect(delay.status).toBe(200);
    for (let i = 0; i < 3; i++) {
      const made = zxidOf(await make(`/fresh${i}`));
      const headers = { "zoo-last-zxid": made };
      const read = await call(`/v1/znodes/fresh${i}?node=${slow}`, { headers });
      expect(read.status).toBe(200);
      expect(value(zxidOf(read))).toBeGreaterThanOrEqual(value(made));
      const removed = await call(`/v1/znodes/fresh${i}`, { method: "DELETE" });
      const gone = await call(`/v1/znodes/fresh${i}?node=${slow}`, {
        headers: { "zoo-last-zxid": zxidOf(removed) },
      });
      expect(value(zxidOf(gone))).toBeGreaterThanOrEqual(value(zxidOf(removed)));
      await problemOf(gone, 404, "NO_NODE");
    }
    await heal();
  });

  it("[HTTP-31] a zxid that no reader can have seen, or that is invalid, is refused", async () => {
    await make("/any");
    for (const zxid of ["0x7fffffff00000001", "1", "0x", "new"]) {
      const headers = { "zoo-last-zxid": zxid };
      await problemOf(await call("/v1/znodes/any", { headers }), 400, "BAD_ARGUMENTS");
      await problemOf(
        await call("/v1/znodes/any", { headers: { ...headers, ...SSE } }),
        400,
        "BAD_ARGUMENTS",
      );
    }
    const headers = { ...SSE, "last-event-id": "0x7fffffff00000001" };
    await problemOf(await call("/v1/znodes/any", { headers }), 400, "BAD_ARGUMENTS");
  });

  it("[HTTP-32] a stream that continues at a node that is behind sends no repeated and no old event", async () => {
    const slow = await followerOf();
    await make("/stream", "0");
    await send("POST", `/v1/faults/nodes/${slow}/delay`, { delayMs: 150, direction: "in" });
    const resume = async (id: string): Promise<EventReader> => {
      const headers = { ...SSE, "last-event-id": id };
      const reader = new EventReader(await call(`/v1/znodes/stream?watch=data&node=${slow}`, { headers }));
      expect((await reader.next()).id).toBe(id);
      return reader;
    };
    const removed = zxidOf(await call("/v1/znodes/stream", { method: "DELETE" }));
    const afterDeletion = await resume(`${removed}-`);
    const made = await (await make("/stream", "1")).json<{ stat: { mzxid: string } }>();
    expect(await afterDeletion.next()).toMatchObject({ id: made.stat.mzxid });
    await afterDeletion.cancel();
    const set = async (text: string): Promise<string> => {
      const response = await call("/v1/znodes/stream", { method: "PUT", body: text });
      return (await response.json<{ stat: { mzxid: string } }>()).stat.mzxid;
    };
    const afterChange = await resume(await set("2"));
    const last = await set("3");
    expect((await afterChange.next()).id).toBe(last);
    await afterChange.cancel();
    await heal();
  });

  it("[HTTP-32] a node that is behind a stream's last event catches up before it sends anything", async () => {
    const slow = await followerOf();
    await make("/behind", "0");
    await send("POST", `/v1/faults/nodes/${slow}/delay`, { delayMs: 150, direction: "in" });
    const removed = zxidOf(await call("/v1/znodes/behind", { method: "DELETE" }));
    const response = await nodeStub(env, "default", slow).fetch(
      new Request(`http://node/watch?path=/behind&kind=data&since=${removed}-`, {
        headers: { upgrade: "websocket" },
      }),
    );
    const socket = response.webSocket;
    // A busy machine may take longer than a tick: a beat comes first then.
    const first = new Promise((resolve) => {
      socket?.addEventListener("message", ({ data }) => {
        const frame = JSON.parse(String(data));
        if (frame.type !== "beat") resolve(frame);
      });
    });
    socket?.accept();
    const made = await (await make("/behind", "1")).json<{ stat: { mzxid: string } }>();
    expect(await first).toEqual({ type: "NodeCreated", path: "/behind", zxid: made.stat.mzxid });
    socket?.close();
    await heal();
  });

  it("[HTTP-33] a session is kept, writes and reads at every node", async () => {
    const opened = await send("POST", "/v1/sessions?node=1", { timeoutMs: 10_000 });
    const { session } = await opened.json<{ session: string }>();
    for (const [i, sid] of NODES.entries()) {
      expect((await call(`/v1/sessions/${session}?node=${sid}`, { method: "PUT" })).status).toBe(200);
      const headers = { "zoo-session": session, "zoo-xid": String(i + 1) };
      const path = `/v1/znodes/roam${i}?mode=ephemeral&node=${sid}`;
      const first = await call(path, { method: "POST", headers });
      expect(first.status).toBe(201);
      const next = (sid % 3) + 1;
      const again = await call(`/v1/znodes/roam${i}?mode=ephemeral&node=${next}`, {
        method: "POST",
        headers,
      });
      expect([again.status, zxidOf(again)]).toEqual([201, zxidOf(first)]);
      const seen = { "zoo-session": session, "zoo-last-zxid": zxidOf(first) };
      expect((await call(`/v1/znodes/roam${i}?node=${next}`, { headers: seen })).status).toBe(200);
    }
    expect((await call(`/v1/sessions/${session}?node=3`, { method: "DELETE" })).status).toBe(204);
  });
});
