/** `/v1/live`: many streams over one WebSocket. */
import { describe, expect, it } from "vitest";
import type { EnsembleJson } from "../../../workers/api/schema/views.ts";
import { call, send } from "./helpers.ts";

interface Frame {
  readonly as?: string;
  readonly event?: string;
  readonly id?: string;
  readonly data?: unknown;
  readonly open?: boolean;
  readonly end?: { readonly status: number; readonly code: string };
  readonly mark?: string;
}

/** A client that keeps every frame until it is looked for. */
async function connect(vars?: Parameters<typeof call>[2]) {
  const response = await call("/v1/live", { headers: { upgrade: "websocket" } }, vars);
  const socket = response.webSocket;
  if (socket === null) throw new Error(`answered ${response.status}`);
  const frames: Frame[] = [];
  let read = 0;
  let wake = (): void => {};
  let closed: number | undefined;
  socket.addEventListener("message", ({ data }) => {
    read += String(data).length;
    frames.push(JSON.parse(String(data)) as Frame);
    wake();
  });
  socket.addEventListener("close", ({ code }) => {
    closed = code;
    wake();
  });
  socket.accept();
  const next = async <T>(find: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    say: (frame: unknown) => socket.send(typeof frame === "string" ? frame : JSON.stringify(frame)),
    /** The first frame, also one that came before, of which `holds` is true. */
    frame: (holds: (frame: Frame) => boolean) => next(() => frames.find(holds)),
    marks: () => frames.flatMap(({ mark }) => mark ?? []),
    closed: () => next(() => closed),
    isClosed: () => closed !== undefined,
    /** Says what was read since it said so last. */
    beat: (mark?: string) => {
      socket.send(JSON.stringify({ beat: read, mark }));
      read = 0;
    },
    close: () => socket.close(1000, "done"),
  };
}

const goal = (Minute: number) =>
  send("POST", "/demo/brokers/0/addScore", {
    metadata: { ReceiverIp: "8080", Clients: "9090" },
    gameResults: { Minute, Player: "A", Club: "B", Score: "1-0" },
  });

interface Records {
  readonly records: readonly { readonly offset: number }[];
}
const hasOffset =
  (as: string, offset: number) =>
  (frame: Frame): boolean =>
    frame.as === as &&
    frame.event === "records" &&
    (frame.data as Records).records.some((record) => record.offset === offset);

describe("the live socket", () => {
  it("[HTTP-70] carries events and records side by side, and resumes both by their ids", async () => {
    expect((await goal(1)).status).toBe(200);
    const first = await connect();
    first.say({ subscribe: "events", as: "e" });
    first.say({ subscribe: "records", as: "g", topic: "goals", partition: 0, offset: 0 });
    await first.frame(({ as, open }) => as === "e" && open === true);
    await first.frame(hasOffset("g", 0));
    expect((await goal(2)).status).toBe(200);
    const record = await first.frame(hasOffset("g", 1));
    const event = await first.frame(
      ({ as, data }) => as === "e" && (data as { type?: string } | undefined)?.type === "commit",
    );
    first.close();

    expect(record.id).toMatch(/^2:[\w-]{22}$/);
    const second = await connect();
    second.say({ subscribe: "records", as: "g", topic: "goals", partition: 0, since: record.id });
    second.say({ subscribe: "events", as: "e", since: event.id });
    expect((await goal(3)).status).toBe(200);
    const resumed = await second.frame(({ as, event: name }) => as === "g" && name === "records");
    expect((resumed.data as Records).records.map(({ offset }) => offset)).toEqual([2]);
    const [sid, seq] = [Number(event.id?.[0]), (text: string) => Number(text.split("-")[1])];
    const later = await second.frame(
      ({ as, data }) => as === "e" && (data as { sid?: number } | undefined)?.sid === sid,
    );
    const before = new RegExp(`${sid}:(\\d+-\\d+)`).exec(event.id ?? "")?.[1] ?? "";
    expect(seq((later.data as { id: string }).id)).toBe(seq(before) + 1);
    second.close();
  });

  it("[HTTP-70] reports why a channel cannot be opened, and keeps the others", async () => {
    const client = await connect();
    client.say({ subscribe: "records", as: "none", topic: "no-such-topic", partition: 0 });
    client.say({ subscribe: "events", as: "bad", since: "nonsense" });
    client.say({ subscribe: "events", as: "good" });
    const none = await client.frame(({ as, end }) => as === "none" && end !== undefined);
    expect(none.end).toMatchObject({ status: 404, code: "UNKNOWN_TOPIC_OR_PARTITION" });
    const bad = await client.frame(({ as, end }) => as === "bad" && end !== undefined);
    expect(bad.end).toMatchObject({ status: 400, code: "BAD_ARGUMENTS" });
    await client.frame(({ as, open }) => as === "good" && open === true);
    client.close();
  });

  it("[HTTP-70] counts no channel that has ended", async () => {
    const client = await connect();
    for (let i = 0; i < 20; i++) {
      client.say({ subscribe: "records", as: `none-${i}`, topic: "no-such-topic", partition: 0 });
      const { end } = await client.frame(({ as, end }) => as === `none-${i}` && end !== undefined);
      expect(end).toMatchObject({ status: 404 });
    }
    client.say({ subscribe: "events", as: "good" });
    await client.frame(({ as, open }) => as === "good" && open === true);
    client.close();
  });

  it("[HTTP-84] ends a client that claims to read without returning marks; one that returns them gets every record", async () => {
    expect((await goal(4)).status).toBe(200);
    const topic = { subscribe: "records", topic: "goals", partition: 0 };
    const [liar, reader] = [await connect(), await connect()];
    for (const client of [liar, reader]) {
      client.say({ ...topic, as: "g" });
      await client.frame(({ as, open }) => as === "g" && open === true);
    }
    const value = "x".repeat(500_000);
    let offset = -1;
    let answered = 0;
    while (!liar.isClosed()) {
      const response = await call("/topics/goals/partitions/0", {
        method: "POST",
        headers: { "content-type": "application/vnd.kafka.json.v2+json" },
        body: JSON.stringify({ records: [{ value }] }),
      });
      expect(response.status).toBe(200);
      offset = (await response.json<{ offsets: { offset: number }[] }>()).offsets[0]?.offset ?? -1;
      await reader.frame(hasOffset("g", offset));
      const marks = reader.marks();
      for (; answered < marks.length; answered++) reader.beat(marks[answered]);
      // what it claims is more than it was sent
      if (!liar.isClosed()) liar.say({ beat: 2 ** 40 });
      expect(answered).toBeLessThan(100);
    }
    expect(await liar.closed()).toBe(1013);
    expect([reader.isClosed(), answered > 10]).toEqual([false, true]);
    reader.close();
  });

  it("[HTTP-71] is closed after an invalid frame, and refuses a request without Upgrade", async () => {
    for (const frame of ["nonsense", "[]", '{"subscribe":"znodes","as":"z"}', `"${"x".repeat(5_000)}"`]) {
      const client = await connect();
      client.say(frame);
      expect(await client.closed(), frame.slice(0, 40)).toBe(1008);
    }
    expect((await call("/v1/live")).status).toBe(426);
    const unknown = await call("/e/unknown/v1/live", { headers: { upgrade: "websocket" } });
    expect(unknown.status).toBe(404);
  });

  it("[HTTP-71] only reads, so it needs no token; pages of other sites are refused", async () => {
    const deployed = { LOCAL: "off", ZOOWEEPER_TOKEN: "s3cret-token" } as const;
    (await connect(deployed)).close();
    const headers = { upgrade: "websocket", "sec-fetch-site": "cross-site" };
    expect((await call("/v1/live", { headers }, deployed)).status).toBe(403);
  });
});

describe("the status of a node", () => {
  it("[HTTP-72] names the last event before it", async () => {
    const client = await connect();
    client.say({ subscribe: "events", as: "e" });
    await client.frame(({ as, open }) => as === "e" && open === true);
    const before = await (await call("/v1/ensemble")).json<EnsembleJson>();
    await send("POST", "/v1/znodes/after-status", {});
    const commit = await client.frame(
      ({ as, data }) => as === "e" && (data as { type?: string } | undefined)?.type === "commit",
    );
    const after = await (await call("/v1/ensemble")).json<EnsembleJson>();
    const { sid, id } = commit.data as { sid: number; id: string };
    const seqOf = (state: EnsembleJson): number => {
      const node = state.nodes.find((each) => each.sid === sid);
      return Number(node?.up === true ? node.lastEvent?.split("-")[1] : Number.NaN);
    };
    expect(seqOf(before)).toBeLessThan(Number(id.split("-")[1]));
    expect(seqOf(after)).toBeGreaterThanOrEqual(Number(id.split("-")[1]));
    client.close();
  });
});
