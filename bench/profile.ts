/**
 * `node bench/profile.ts [outstanding] [nodes]`: a profile of the runtime under setData, by Linux `perf`. Prints
 * functions with their own time and the time of all that they call, the Worker's own (JS) and those of the runtime.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { ROOT } from "../scripts/local/build.ts";
import { main, readOptions, wholeNumber } from "../scripts/local/command.ts";
import { startLocal } from "../scripts/local.ts";
import { Load } from "./load/load.ts";
import { round } from "./statistics.ts";

const STATE = join(ROOT, ".zooweeper/profile");
const DATA = join(STATE, "perf.data");
const RECORD_SECONDS = 4;
const WARM_UP_MS = 3_000;
const LINES_MAX = 60;
/** Share of the samples below which a function is not printed. */
const PERCENT_MIN = 1;

const HELP = `usage: npm run profile -- [outstanding] [nodes]

Where the runtime's time goes under setData, by Linux perf: functions with what they and all that they call cost, in percent.
64 requests outstanding and 3 nodes unless given. Needs perf (Debian: linux-perf).

  --help           print this`;

const profile = async (): Promise<void> => {
  const { positionals } = readOptions({ options: {}, allowPositionals: true });
  const [outstanding = "64", nodes = "3"] = positionals;
  wholeNumber(outstanding, "[outstanding]", 100_000);
  const local = await startLocal({
    nodes: wholeNumber(nodes, "[nodes]", 9),
    brokers: 1,
    stateDir: STATE,
    fresh: true,
    // names of compiled functions, and frames that perf can follow
    v8Flags: ["--perf-basic-prof", "--interpreted-frames-native-stack"],
  });
  const load = new Load();
  try {
    await load.order({ type: "open", urls: [local.urls.api], count: 1 });
    await load.order({
      ...{ type: "begin", op: "set", znodes: { of: "session" } },
      outstanding: Number(outstanding),
    });
    await wait(WARM_UP_MS);
    perf([
      "record",
      "-F",
      "1999",
      "-g",
      "-p",
      String(local.runtimePid),
      "-o",
      DATA,
      "--",
      "sleep",
      String(RECORD_SECONDS),
    ]);
    await load.order({ type: "end" });
    const report = perf([
      "report",
      "-i",
      DATA,
      "--children",
      "-g",
      "none",
      "--percent-limit",
      String(PERCENT_MIN),
    ]);
    process.stdout.write("  all   self  function\n");
    for (const { all, self, name } of functionsOf(report).slice(0, LINES_MAX)) {
      process.stdout.write(`${String(all).padStart(5)}  ${String(self).padStart(5)}  ${name}\n`);
    }
  } finally {
    load.end();
    await local.stop();
  }
};

function perf(args: readonly string[]): string {
  return execFileSync("perf", args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 2 ** 28,
  });
}

/** Functions of the Worker, of SQLite and of the kernel; the runtime's long template names say little. */
function functionsOf(report: string): { all: number; self: number; name: string }[] {
  return report.split("\n").flatMap((line) => {
    const match = /^\s*([\d.]+)%\s+([\d.]+)%\s+\S.*?\[[.k]\]\s+(.*)$/.exec(line);
    const name = match?.[3]?.trim() ?? "";
    if (match === null || /kj::|workerd::|capnp::|^0x|^_Z/.test(name)) return [];
    return [{ all: round(Number(match[1]), 1), self: round(Number(match[2]), 1), name }];
  });
}

await main("profile", profile, HELP);
