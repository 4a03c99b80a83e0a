/**
 * `npm run bench`: (a) goals, (b) setData, (c) outage, (d) idle; `npm run bench -- attacks`: (e) attacks. Prints tables and writes bench/results/DATE.json. See METHOD.md.
 * `npm run bench -- set-data outage` runs only those; `--quick` takes one short run of each, to see that it works, and writes no file.
 */
import { join } from "node:path";
import { ROOT } from "../scripts/local/build.ts";
import { main, readOptions } from "../scripts/local/command.ts";
import { UsageError } from "../scripts/local.ts";
import { type AttackResult, attacksTable, benchAttacks } from "./attacks.ts";
import { type Floor, measureFloor } from "./floor.ts";
import { benchGoals, type GoalsResult, goalsTable } from "./goals.ts";
import { benchIdle, type IdleResult, idleTable } from "./idle.ts";
import { describeMachine, type Machine } from "./machine.ts";
import { benchOutage, type OutageResult, outageTable } from "./outage.ts";
import { publish, today } from "./publish.ts";
import { benchSetData, type SetDataResult, setDataTable } from "./set-data.ts";

const FOLDER = join(ROOT, ".zooweeper/bench");
const STATE = join(FOLDER, "ensemble");
interface Results {
  readonly date: string;
  readonly machine: Machine;
  readonly floor: Floor;
  goals?: GoalsResult[];
  setData?: SetDataResult[];
  outage?: OutageResult[];
  idle?: IdleResult[];
  attacks?: AttackResult[];
}

/** The parts that run by default. */
const DEFAULT_PARTS = ["goals", "set-data", "outage", "idle"];
const PARTS = [...DEFAULT_PARTS, "attacks"];

const HELP = `usage: npm run bench -- [parts] [options]

Measures and prints tables; all parts unless some are named: ${PARTS.join(", ")}. bench/METHOD.md says how.
Without --quick the figures are written to bench/results/DATE.json.

  --quick          one short run of each, to see that it works; writes no file
  --help           print this`;

const bench = async (): Promise<void> => {
  const { values, positionals } = readOptions({
    options: { quick: { type: "boolean" } },
    allowPositionals: true,
  });
  const quick = values.quick ?? false;
  const parts = positionals.length === 0 ? DEFAULT_PARTS : positionals;
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new UsageError(`there is no part "${unknown}", only ${PARTS.join(", ")}`);

  const machine = describeMachine(FOLDER);
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  say(`# ZooWeeper, ${today()}\n`);
  for (const [key, value] of Object.entries(machine)) say(`- ${key}: ${value}`);
  const floor = await measureFloor(join(FOLDER, "floor"));
  say(
    `- floor: a call ${floor.callMs} ms, a row on 3 objects ${floor.commitOn3Ms} ms, on 5 objects ${floor.commitOn5Ms} ms`,
  );
  const results: Results = { date: new Date().toISOString(), machine, floor };

  if (parts.includes("goals")) {
    const goals = await benchGoals(quick ? [3] : [3, 5, 7, 9], quick ? 1 : 5, STATE);
    results.goals = goals;
    say(`\n## Sequential goals through /addScore\n\n${goalsTable(goals)}`);
  }
  if (parts.includes("set-data")) {
    const setData = await benchSetData({
      sizes: quick ? [3] : [3, 5],
      outstanding: [1, 64, 1024],
      runs: quick ? 1 : 5,
      measuredMs: quick ? 1_000 : 4_000,
      stateDir: STATE,
    });
    results.setData = setData;
    say(`\n## setData of 100 bytes over /v1/ws, one session\n\n${setDataTable(setData)}`);
  }
  if (parts.includes("outage")) {
    const outage: OutageResult[] = [];
    for (const nodes of quick ? [3] : [3, 5])
      outage.push(...(await benchOutage(nodes, quick ? 2 : 20, STATE)));
    results.outage = outage;
    say(
      `\n## From the crash or the silent partition of the leader to the next acknowledged write\n\n${outageTable(outage)}`,
    );
  }
  if (parts.includes("idle")) {
    const options = { nodes: 5, brokers: 4, quietS: quick ? 5 : 60, wakes: quick ? 1 : 10 };
    results.idle = [await benchIdle(options, STATE)];
    say(`\n## Asleep, and the first write after it\n\n${idleTable(results.idle)}`);
  }
  if (parts.includes("attacks")) {
    results.attacks = await benchAttacks(quick ? 5_000 : 15_000, STATE);
    say(`\n## Attacks beside a lone writer\n\n${attacksTable(results.attacks)}`);
  }
  if (quick) return;
  say(`\n${publish(today(), { json: `${JSON.stringify(results, null, 2)}\n` })}`);
};

await main("bench", bench, HELP);
