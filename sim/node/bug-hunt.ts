/** `bug-hunt.ts FIRST COUNT`: runs seeds one after the other until one fails, and says which, as JSON. See `seeded-bugs.ts`. */
import { runSeed } from "../run.ts";
import { drawOptions } from "../swarm.ts";

const [first = 1, count = 1] = process.argv.slice(2).map(Number);
let found: { seed: number; failure: string } | null = null;
let tried = 0;
for (; tried < count && found === null; tried++) {
  const seed = first + tried;
  const { failure } = runSeed(drawOptions(seed));
  if (failure !== null) found = { seed, failure };
}
console.log(JSON.stringify({ tried, found }));
