/**
 * `npm run deployment -- <nodes> [<brokers> <clients>]`, or `./deployment.sh 5 4 3`: the original demo on its ports.
 * Node i answers on 8080+i, broker j on 9090+j, client k (a process of its own) on 3000+k. When everything answers it
 * prints one line `ready {json of all URLs}` for programs, and a list for people on stderr; stays until Ctrl-C or SIGTERM. The state stays on disk.
 * Options: --fresh · --node-port, --broker-port, --client-port N (first of the range; 0: free ones) · --host ADDRESS · --state DIR
 */

import { COMMON_HELP, commandLine, main, runUntilEnded, wholeNumber } from "./local/command.ts";
import type { LocalUrls } from "./local/urls.ts";
import { startLocal, stateDirOf, UsageError } from "./local.ts";

const COUNT_MAX = 99;

const BROKERS = 3;
const CLIENTS = 2;

const HELP = `usage: npm run deployment -- <nodes> [<brokers> <clients>] [options]

The original demo on its ports: node i on 8080+i, broker j on 9090+j, client k, the page, on 3000+k. There are ${BROKERS} brokers and
${CLIENTS} clients unless given; an ensemble has 1, 3, 5, 7 or 9 nodes. When everything answers it prints one line
"ready {json of all URLs}", and a list of them on stderr. Ctrl-C ends it; the state stays.

  --node-port N    first port of the nodes (8080; 0: free ones); in the metadata they stay 8080+i
  --broker-port N  first port of the brokers (9090); in Clients and the metadata they stay 9090+j
  --client-port N  first port of the clients (3000)
${COMMON_HELP}`;

const deployment = async (): Promise<void> => {
  const line = commandLine(["node", "broker", "client"]);
  if (line.positionals.length !== 1 && line.positionals.length !== 3) {
    throw new UsageError("usage: deployment <nodes> [<brokers> <clients>], for example 5 4 3");
  }
  const [nodes = 0, brokers = BROKERS, clients = CLIENTS] = line.positionals.map((text, i) =>
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
    ({ urls, runtimePid }) => {
      process.stdout.write(`ready ${JSON.stringify({ ...urls, pid: process.pid, runtimePid })}\n`);
      process.stderr.write(listOf(urls));
    },
  );
};

/** The addresses, as a list for people. */
function listOf({ nodes, brokers, clients }: LocalUrls): string {
  const row = (name: string, urls: readonly string[], what: string): string =>
    `  ${name.padEnd(8)} ${urls.join("  ")}\n${" ".repeat(11)}${what}\n`;
  return (
    row("page", clients, "the console: open it in a browser") +
    row("nodes", nodes, "GET / is pong, GET /metadata the cluster's metadata, and the whole API") +
    row("brokers", brokers, "POST /addScore takes a goal, GET /data lists the goals") +
    "  Ctrl-C ends it; the state stays\n"
  );
}

await main("deployment", deployment, HELP);
