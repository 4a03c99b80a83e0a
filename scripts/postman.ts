/**
 * `npm run postman`: runs the collections of postman/ against a running deployment and checks their tests.
 * Options: --node URL (http://localhost:8080) · --broker URL (http://localhost:9090)
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./local/build.ts";
import { main } from "./local/command.ts";
import { httpUrl, readOptions } from "./local/options.ts";
import { type Collection, runCollection } from "./local/postman.ts";

const FOLDER = join(ROOT, "postman");

const HELP = `usage: npm run postman -- [options]

Runs the collections of postman/ against a running deployment and checks their tests.

  --node URL       a node (http://localhost:8080)
  --broker URL     a broker (http://localhost:9090)
  --help           print this`;

const postman = async (): Promise<void> => {
  const { values } = readOptions({ options: { node: { type: "string" }, broker: { type: "string" } } });
  const variables = {
    goBaseUrl: httpUrl(values.node ?? "http://localhost:8080", "--node"),
    expressBaseUrl: httpUrl(values.broker ?? "http://localhost:9090", "--broker"),
  };
  for (const url of Object.values(variables)) {
    const isThere = await fetch(`${url}/`).then(
      () => true,
      () => false,
    );
    if (isThere) continue;
    process.stderr.write(
      `postman: nothing answers at ${url}; npm run deployment -- 5 4 3 starts nodes and brokers\n`,
    );
    process.exitCode = 1;
    return;
  }
  let failures = 0;
  let count = 0;
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".postman_collection.json"))) {
    const collection = JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as Collection;
    process.stdout.write(`${collection.info.name}\n`);
    for (const { request, test, failure } of await runCollection(collection, variables)) {
      count++;
      if (failure !== undefined) failures++;
      process.stdout.write(
        `  ${failure === undefined ? "ok  " : "FAIL"} ${request}: ${test}${failure === undefined ? "" : ` — ${failure}`}\n`,
      );
    }
  }
  process.stdout.write(`${count - failures} of ${count} tests passed\n`);
  if (failures > 0 || count === 0) process.exitCode = 1;
};

await main("postman", postman, HELP);
