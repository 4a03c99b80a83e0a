/** Faults of brokers that are not dead: they stand still, are cut off, or have bad links. Goals are not lost, nor doubled. */
import { beforeAll, describe, expect, it } from "vitest";
import { call, problemOf, send, until } from "../api/helpers.ts";

interface Cluster {
  readonly controller: number | null;
  readonly brokers: readonly { readonly id: number; readonly up: boolean; readonly epoch: number | null }[];
}

interface Faults {
  readonly brokers: readonly {
    readonly id: number;
    readonly up: boolean;
    readonly faults: readonly object[];
  }[];
}

const cluster = async (): Promise<Cluster> => (await call("/cluster")).json<Cluster>();
const faults = async (): Promise<Faults> => (await call("/v1/faults")).json<Faults>();
const isWhole = ({ controller, brokers }: Cluster): boolean =>
  controller !== null && brokers.length === 3 && brokers.every(({ up, epoch }) => up && epoch !== null);

async function fault(id: number, name: string, body: object = {}): Promise<void> {
  const response = await send("POST", `/v1/faults/brokers/${id}/${name}`, body);
  expect(response.status, await response.text()).toBe(200);
}

/** Posts a goal at the brokers in turn, under its key, until one takes it. */
async function goal(minute: number): Promise<void> {
  const metadata = { ReceiverIp: "8081", Clients: "9090,9091,9092" };
  const gameResults = { Minute: minute, Player: "Messi", Club: "FCB", Score: "0-1" };
  let broker = minute;
  const post = () =>
    send(
      "POST",
      `/demo/brokers/${broker++ % 3}/addScore`,
      { metadata, gameResults },
      { "idempotency-key": `${minute}` },
    );
  await until(post, ({ status }) => status === 200);
}

const minutes = async (): Promise<readonly number[]> => {
  const response = await until(
    () => call("/demo/brokers/0/data"),
    ({ status }) => status === 200,
  );
  return (await response.json<{ Minute: number }[]>()).map(({ Minute }) => Minute);
};

beforeAll(async () => {
  await goal(1);
  await until(cluster, isWhole);
});

describe("a broker", { timeout: 90_000 }, () => {
  it("[FAULT-31] that stands still loses its registration and the controller's role, and finds its way back", async () => {
    const { controller } = await until(cluster, isWhole);
    await fault(controller ?? 0, "pause");
    await until(cluster, (state) => state.controller !== null && state.controller !== controller);
    const { brokers } = await faults();
    expect(brokers[controller ?? 0]).toMatchObject({ up: false, faults: [{ fault: "pause" }] });
    await goal(2);
    await fault(controller ?? 0, "resume");
    await until(cluster, isWhole);
    await goal(3);
  });

  it("[FAULT-32] that is cut off from all others loses its registration, and has it again by itself", async () => {
    const before = await until(cluster, isWhole);
    const epochOf = (state: Cluster) => state.brokers.find(({ id }) => id === 2)?.epoch ?? null;
    await fault(2, "isolate", { ttlMs: 600_000 });
    await until(cluster, (state) => epochOf(state) !== epochOf(before));
    await fault(2, "isolate", { ttlMs: 200 });
    const after = await until(cluster, isWhole);
    expect(epochOf(after)).toBeGreaterThan(epochOf(before) ?? 0);
  });

  it("[FAULT-33] killed for a time comes back by itself", async () => {
    await fault(1, "kill", { ttlMs: 1_000 });
    expect((await faults()).brokers[1]).toMatchObject({ up: false, faults: [{ fault: "kill" }] });
    await until(cluster, isWhole);
  });

  it("[FAULT-34] with bad links, as all others have: no goal is lost or doubled", async () => {
    const before = await minutes();
    for (const id of [0, 1, 2]) {
      await fault(id, "drop", { probability: 0.02, seed: id });
      await fault(id, "delay", { delayMs: 5, jitterMs: 20 });
      await fault(id, "duplicate", { probability: 0.3 });
      await fault(id, "lose-return", { probability: 0.1 });
    }
    for (let minute = 10; minute < 25; minute++) await goal(minute);
    expect((await faults()).brokers[0]?.faults).toHaveLength(4);
    await call("/v1/faults/heal", { method: "POST" });
    await until(cluster, isWhole);
    expect((await faults()).brokers.map((broker) => broker.faults)).toEqual([[], [], []]);
    expect([...(await minutes())].sort((a, b) => a - b)).toEqual(
      [...before, ...Array.from({ length: 15 }, (_, i) => i + 10)].sort((a, b) => a - b),
    );
  });

  it("[FAULT-30] refuses what is not its fault", async () => {
    const post = (path: string, body: unknown) => send("POST", `/v1/faults/brokers/${path}`, body);
    await problemOf(await post("0/wipe", {}), 404, "NOT_FOUND");
    await problemOf(await post("0/skew", { skewMs: 1 }), 404, "NOT_FOUND");
    await problemOf(await post("9/pause", {}), 404, "NOT_FOUND");
    await problemOf(await post("0/isolate", { peers: [1] }), 400, "BAD_ARGUMENTS");
    await problemOf(await post("0/drop", { probability: 2 }), 400, "BAD_ARGUMENTS");
    await problemOf(await call("/v1/faults/brokers/0/crash", { method: "DELETE" }), 404, "NOT_FOUND");
    const ended = await call("/v1/faults/brokers/0/pause", { method: "DELETE" });
    expect(await ended.json()).toEqual({ broker: 0, fault: "pause", healed: [] });
  });
});
