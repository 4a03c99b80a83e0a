/** `node sim/node/check-history.ts file.ndjson …`: checks histories that were saved. Exit code 1: a fault. */
import { readFileSync } from "node:fs";
import { checkHistory } from "../checkers/history/check.ts";
import { parseHistory } from "../history/history.ts";

const args = process.argv.slice(2);
const files = args.filter((arg) => !arg.startsWith("--"));
const wrong = args.filter((arg) => arg.startsWith("--") && arg !== "--strangers");
if (files.length === 0 || wrong.length > 0) {
  console.error("usage: node sim/node/check-history.ts [--strangers] file.ndjson …");
  process.exit(2);
}
for (const file of files) {
  const history = parseHistory(readFileSync(file, "utf8"));
  const { faults, counts } = checkHistory(history, { strangers: args.includes("--strangers") });
  const numbers = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  console.log(`${file} (${history.about}): ${faults.length === 0 ? "ok" : "FAULTS"}; ${numbers.join(", ")}`);
  for (const fault of faults) console.log(fault);
  if (faults.length > 0) process.exitCode = 1;
}
