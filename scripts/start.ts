/**
 * `npm start`: an ensemble of three nodes, three brokers and the page, on one URL.
 * Options: --console-port N (0: any free one) · --fresh (forget earlier runs) · --host ADDRESS · --state DIR
 */

import { COMMON_HELP, commandLine, main, runUntilEnded } from "./local/command.ts";
import { startLocal, stateDirOf, UsageError } from "./local.ts";

const NODES = 3;
const BROKERS = 3;

const HELP = `usage: npm start -- [options]

An ensemble of three nodes, three brokers and the page, on one URL. Ctrl-C ends it; the state stays.

  --console-port N the port of that URL (8788; 0: any free one)
${COMMON_HELP}`;

const start = async (): Promise<void> => {
  const line = commandLine(["console"]);
  if (line.positionals.length > 0) {
    throw new UsageError(`start takes no "${line.positionals[0]}"; npm run deployment -- 5 4 3 takes sizes`);
  }
  const options = {
    nodes: NODES,
    brokers: BROKERS,
    stateDir: line.state ?? stateDirOf("start", NODES, BROKERS),
    fresh: line.fresh,
    consolePort: line.port("console", 8788),
    say: (text: string) => process.stderr.write(`${text}\n`),
    ...(line.host !== undefined && { host: line.host }),
  };
  await runUntilEnded(
    () => startLocal(options),
    ({ urls }) => process.stdout.write(`ZooWeeper: ${urls.console}\n`),
  );
};

await main("start", start, HELP);
