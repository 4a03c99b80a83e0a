/**
 * `npm run deployment -- <nodes> <brokers> <clients>`, or `./deployment.sh 5 4 3`: the demo on its ports.
 * Node i answers on 8080+i, broker j on 9090+j, client k (a process of its own) on 3000+k. Prints one line
 * `ready {json of all URLs}` when everything answers; stays until Ctrl-C or SIGTERM. The state stays on disk.
 * Options: --fresh · --node-port, --broker-port, --client-port N (first of the range; 0: free ones) · --host ADDRESS · --state DIR
 */

import { COMMON_HELP, commandLine, main, runUntilEnded, wholeNumber } from "./local/command.ts";
import { startLocal, stateDirOf, UsageError } from "./local.ts";

const COUNT_MAX = 99;

const HELP = `usage: npm run deployment -- <nodes> <brokers> <clients> [options]

The demo on its ports: node i on 8080+i, broker j on 9090+j, client k on 3000+k. Prints one line "ready {json of all URLs}"
when everything answers. Ctrl-C ends it; the state stays. An ensemble has 1, 3, 5, 7 or 9 nodes.

  --node-port N    first port of the nodes (8080; 0: free ones)
  --broker-port N  first port of the brokers (9090)
  --client-port N  first port of the clients (3000)
${COMMON_HELP}`;

const deployment = async (): Promise<void> => {
  const line = commandLine();
  if (line.positionals.length !== 3) {
    throw new UsageError("usage: deployment <nodes> <brokers> <clients>, for example 5 4 3");
  }
  const [nodes = 0, brokers = 0, clients = 0] = line.positionals.map((text, i) =>
    wholeNumber(text, ["<nodes>", "<brokers>", "<clients>"][i] ?? "", COUNT_MAX),
  );
  const options = {
    nodes,
    brokers,
    stateDir: line.state ?? stateDirOf("deployment", nodes, brokers),
    fresh: line.fresh,
    nodePort: line.port("node", 8080),
    brokerPort: line.port("broker", 9090),
    clients: { count: clients, port: line.port("client", 3000) },
    say: (text: string) => process.stderr.write(`${text}\n`),
    ...(line.host !== undefined && { host: line.host }),
  };
  await runUntilEnded(
    () => startLocal(options),
    ({ urls, runtimePid }) =>
      process.stdout.write(`ready ${JSON.stringify({ ...urls, pid: process.pid, runtimePid })}\n`),
  );
};

await main("deployment", deployment, HELP);
