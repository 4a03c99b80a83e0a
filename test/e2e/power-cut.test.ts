/** The whole runtime is ended by `kill -9` under load: every acknowledged write survives, without any manual repair. */
import { afterAll, describe, expect, it } from "vitest";
import { connect, ZooError } from "../../client/sdk/node.ts";
import { type Goal, goalOf, sendGoal } from "../../scripts/local/goals.ts";
import { ensembleOf, getJson, isSettled } from "./http.ts";
import { deployment, type Running, temporaryDir, until } from "./processes.ts";

const state = temporaryDir();
const ARGS = [
  ...["3", "2", "1", "--state", state.path],
  ...["--node-port", "0", "--broker-port", "0", "--client-port", "0"],
];
/** Writes acknowledged before the cut, so that it falls into the middle of the load. */
const WRITES_BEFORE = 2_000;
const GOALS_BEFORE = 20;
const OUTSTANDING = 64;

afterAll(() => state.remove());

describe("kill -9 of every process, under load", () => {
  it("keeps every acknowledged write, three times over", async () => {
    const znodes = new Map<string, string>();
    const goals: Goal[] = [];
    for (let round = 0; round < 3; round++) {
      const running = await deployment(ARGS);
      await verify(running, znodes, goals);
      await load(running, round, znodes, goals);
    }
    const running = await deployment(ARGS);
    await verify(running, znodes, goals);
    await running.end("SIGTERM");
  });
});

/** Writes and posts until enough was acknowledged, cuts the power, and notes what was acknowledged by then. */
async function load(
  running: Running,
  round: number,
  znodes: Map<string, string>,
  goals: Goal[],
): Promise<void> {
  const session = await connect(running.urls.api, { reconnectMs: 0 });
  let writes = 0;
  let posted = 0;
  let off = false;
  const enough = Promise.withResolvers<void>();
  const count = (): void => {
    if (writes >= WRITES_BEFORE && posted >= GOALS_BEFORE) enough.resolve();
  };
  const writer = async (slot: number): Promise<void> => {
    const path = `/cut-${round}-${slot}`;
    try {
      await session.create(path, "0");
      znodes.set(path, "0");
      for (let i = 1; !off; i++) {
        await session.set(path, String(i));
        znodes.set(path, String(i));
        writes++;
        count();
      }
    } catch (error) {
      if (!ZooError.is(error)) throw error;
    }
  };
  const producer = async (): Promise<void> => {
    for (let i = 0; !off; i++) {
      const goal = goalOf(round * 1_000 + i);
      const options = { key: `cut-${round}-${i}`, clients: "9090,9091", receiver: "8080" };
      if ((await sendGoal(running.urls.brokers[i % 2] ?? "", goal, options)).status !== 200) break;
      goals.push(goal);
      posted++;
      count();
    }
  };
  const all = Promise.all([producer(), ...Array.from({ length: OUTSTANDING }, (_, slot) => writer(slot))]);
  await Promise.race([enough.promise, all]);
  await running.killAll();
  off = true;
  await all;
}

/** A write without an answer may have happened, so a value may be newer by one, and one goal a round may be more. */
async function verify(
  running: Running,
  znodes: ReadonlyMap<string, string>,
  goals: readonly Goal[],
): Promise<void> {
  await until(() => ensembleOf(running.urls.api), isSettled, "the ensemble does not settle");
  for (const node of running.urls.nodes) {
    const session = await connect(node);
    await session.sync();
    const check = async ([path, value]: [string, string]): Promise<void> => {
      const { data } = await session.get(path);
      const found = Number(new TextDecoder().decode(data ?? undefined));
      expect(found - Number(value), `${path} on ${node}`).toBeOneOf([0, 1]);
    };
    await Promise.all([...znodes].map(check));
    await session.close();
  }
  const found = (await getJson<Goal[]>(`${running.urls.brokers[0]}/data`)).map((goal) =>
    JSON.stringify(goal),
  );
  const left = [...found];
  for (const goal of goals) {
    const at = left.indexOf(JSON.stringify(goal));
    expect(at, JSON.stringify(goal)).not.toBe(-1);
    left.splice(at, 1);
  }
  expect(left.length).toBeLessThanOrEqual(3);
}
