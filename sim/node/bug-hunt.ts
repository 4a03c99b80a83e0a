/**
 * `bug-hunt.ts FIRST COUNT [PROFILE]`: runs seeds one after the other until one fails, and prints it as JSON. See
 * `seeded-bugs.ts`.
 */
import { drawBrokerOptions } from "../broker/options.ts";
import { runBrokerSeed } from "../broker/run.ts";
import { runSeed } from "../run.ts";
import { drawOptions } from "../swarm.ts";

const [first = 1, count = 1] = process.argv.slice(2, 4).map(Number);
const isBroker = process.argv[4] === "broker";
let found: { seed: number; failure: string } | null = null;
let tried = 0;
for (; tried < count && found === null; tried++) {
  const seed = first + tried;
  const { failure } = isBroker ? runBrokerSeed(drawBrokerOptions(seed)) : runSeed(drawOptions(seed));
  if (failure !== null) found = { seed, failure };
}
console.log(JSON.stringify({ tried, found }));
