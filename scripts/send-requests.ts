/**
 * `npm run send-requests -- <count> <broker port> "<broker ports>" [node port]`, or `./send_requests.sh …`:
 * posts goals to one broker, one after the other, with the metadata of its clients, and prints each answer and the total time.
 * Options: --retry SECONDS keeps trying a goal under its key · --host NAME (localhost)
 */
import { parseArgs } from "node:util";
import { main, wholeNumber } from "./local/command.ts";
import { goalOf, sendGoal } from "./local/goals.ts";
import { UsageError } from "./local.ts";

const GOALS_MAX = 1_000_000;
const PORT_MAX = 65_535;
/** The node that gets the metadata, unless said otherwise. */
const RECEIVER = "8081";

const HELP = `usage: npm run send-requests -- <count> <broker port> "<broker ports>" [node port] [options]

Posts goals to one broker, one after the other, with the metadata of its clients (the broker ports), and prints each answer
and the total time. The node of [node port] gets the metadata (8081). For example: 10 9090 "9090,9091,9092"

  --retry SECONDS  keep trying a goal under its key
  --host NAME      where the broker is (localhost)
  --help           print this`;

const sendRequests = async (): Promise<void> => {
  const { values, positionals } = readArgs();
  const [countText, portText, clients, receiver = RECEIVER] = positionals;
  if (countText === undefined || portText === undefined || clients === undefined) {
    throw new UsageError(
      'usage: send-requests <count> <broker port> "<broker ports>", for example 10 9090 "9090,9091,9092"',
    );
  }
  const count = wholeNumber(countText, "<count>", GOALS_MAX);
  const port = wholeNumber(portText, "<broker port>", PORT_MAX);
  if (!/^\d{1,5}(,\d{1,5})*$/.test(clients))
    throw new UsageError(`"${clients}" is no list of ports like 9090,9091`);
  wholeNumber(receiver, "[node port]", PORT_MAX);
  const retryMs = wholeNumber(values.retry ?? "0", "--retry", 3600) * 1000;

  const base = `http://${values.host ?? "localhost"}:${port}`;
  const run = crypto.randomUUID();
  const start = performance.now();
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const sent = performance.now();
    const answer = await sendGoal(base, goalOf(i), {
      key: `${run}-${i}`,
      clients,
      receiver,
      retryMs,
    });
    if (answer.status !== 200) refused++;
    const elsewhere = answer.receiver !== undefined && answer.receiver !== receiver;
    const receivedBy = elsewhere ? ` (metadata to ${answer.receiver})` : "";
    process.stdout.write(
      `${i + 1}: ${answer.text}${receivedBy} ${(performance.now() - sent).toFixed(1)} ms\n`,
    );
  }
  process.stdout.write(`total time: ${((performance.now() - start) / 1000).toFixed(3)} s\n`);
  if (refused > 0) process.exitCode = 1;
};

function readArgs() {
  try {
    return parseArgs({
      options: { retry: { type: "string" }, host: { type: "string" } },
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError((error as Error).message.split(". ")[0] ?? "");
  }
}

await main("send-requests", sendRequests, HELP);
