/** Faults of brokers that are up: paused, cut off, or with faulty links. No goal is lost or doubled. */
import { describe, expect, it } from "vitest";
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

const isWhole = ({ controller, brokers }: Cluster): boolean =>
  controller !== null && brokers.length === 3 && brokers.every(({ up, epoch }) => up && epoch !== null);

/** An ensemble with brokers of its own, for one test. */
class Brokers {
  readonly prefix: string;

  private constructor(name: string) {
    this.prefix = `/e/${name}`;
  }

  /** Founds the ensemble, and waits until all brokers are registered. */
  static async found(name: string): Promise<Brokers> {
    const response = await send("PUT", `/v1/ensembles/${name}`, { size: 3 });
    expect(response.status, await response.text()).toBe(201);
    const brokers = new Brokers(name);
    await brokers.goal(1);
    await brokers.whole();
    return brokers;
  }

  until(holds: (cluster: Cluster) => boolean): Promise<Cluster> {
    return until(async () => (await call(`${this.prefix}/cluster`)).json<Cluster>(), holds);
  }

  whole(): Promise<Cluster> {
    return this.until(isWhole);
  }

  async faults(): Promise<Faults> {
    return (await call(`${this.prefix}/v1/faults`)).json<Faults>();
  }

  async fault(id: number, name: string, body: object = { ttlMs: 600_000 }): Promise<void> {
    const response = await send("POST", `${this.prefix}/v1/faults/brokers/${id}/${name}`, body);
    expect(response.status, await response.text()).toBe(200);
  }

  /** Posts a goal at the brokers in turn, under its key, until one takes it. */
  async goal(minute: number): Promise<void> {
    const metadata = { ReceiverIp: "8081", Clients: "9090,9091,9092" };
    const gameResults = { Minute: minute, Player: "Messi", Club: "FCB", Score: "0-1" };
    let broker = minute;
    const post = () =>
      send(
        "POST",
        `${this.prefix}/demo/brokers/${broker++ % 3}/addScore`,
        { metadata, gameResults },
        { "idempotency-key": `${minute}` },
      );
    await until(post, ({ status }) => status === 200);
  }

  async minutes(): Promise<readonly number[]> {
    const response = await until(
      () => call(`${this.prefix}/demo/brokers/0/data`),
      ({ status }) => status === 200,
    );
    return (await response.json<{ Minute: number }[]>()).map(({ Minute }) => Minute);
  }
}

describe.concurrent("a broker", () => {
  it("[FAULT-31] that is paused loses its registration and the controller's role, and registers again", async () => {
    const brokers = await Brokers.found("still");
    const { controller } = await brokers.whole();
    await brokers.fault(controller ?? 0, "pause");
    await brokers.until((state) => state.controller !== null && state.controller !== controller);
    const faults = await brokers.faults();
    expect(faults.brokers[controller ?? 0]).toMatchObject({ up: false, faults: [{ fault: "pause" }] });
    await brokers.goal(2);
    await brokers.fault(controller ?? 0, "resume", {});
    await brokers.whole();
    await brokers.goal(3);
  });

  it("[FAULT-32] that is cut off from all others loses its registration, and registers again by itself", async () => {
    const brokers = await Brokers.found("cut-off");
    const before = await brokers.whole();
    const epochOf = (state: Cluster) => state.brokers.find(({ id }) => id === 2)?.epoch ?? null;
    await brokers.fault(2, "isolate");
    await brokers.until((state) => state.controller !== null && epochOf(state) !== epochOf(before));
    await brokers.fault(2, "isolate", { ttlMs: 200 });
    const after = await brokers.whole();
    expect(epochOf(after)).toBeGreaterThan(epochOf(before) ?? 0);
  });

  it("[FAULT-33] that is killed for a time returns by itself", async () => {
    const brokers = await Brokers.found("killed");
    await brokers.fault(1, "kill", { ttlMs: 5_000 });
    expect((await brokers.faults()).brokers[1]).toMatchObject({ up: false, faults: [{ fault: "kill" }] });
    await brokers.whole();
  });

  it("[FAULT-34] with faulty links, like all others: no goal is lost or duplicated", async () => {
    const brokers = await Brokers.found("bad-links");
    const before = await brokers.minutes();
    for (const id of [0, 1, 2]) {
      const ttlMs = 600_000;
      await brokers.fault(id, "drop", { probability: 0.02, seed: id, ttlMs });
      await brokers.fault(id, "delay", { delayMs: 5, jitterMs: 20, ttlMs });
      await brokers.fault(id, "duplicate", { probability: 0.3, ttlMs });
      await brokers.fault(id, "lose-return", { probability: 0.1, ttlMs });
    }
    for (let minute = 10; minute < 25; minute++) await brokers.goal(minute);
    expect((await brokers.faults()).brokers[0]?.faults).toHaveLength(4);
    await call(`${brokers.prefix}/v1/faults/heal`, { method: "POST" });
    await brokers.whole();
    expect((await brokers.faults()).brokers.map(({ faults }) => faults)).toEqual([[], [], []]);
    expect([...(await brokers.minutes())].sort((a, b) => a - b)).toEqual(
      [...before, ...Array.from({ length: 15 }, (_, i) => i + 10)].sort((a, b) => a - b),
    );
  });

  it("[FAULT-30] refuses faults that brokers do not have", async () => {
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
