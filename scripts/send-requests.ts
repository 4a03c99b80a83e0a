/**
 * `npm run send-requests -- <count> [broker port] ["<broker ports>"] [node port]`, or `./send_requests.sh …`:
 * posts goals to one broker, one after the other, with the metadata of its clients, and prints each answer and the total time.
 * Options: --retry SECONDS keeps trying a goal under its key · --host NAME (localhost)
 */
import { main } from "./local/command.ts";
import { goalOf, sendGoal } from "./local/goals.ts";
import { hostName, portNumber, readOptions, wholeNumber } from "./local/options.ts";
import { UsageError } from "./local.ts";

const OPTIONS = { retry: { type: "string" }, host: { type: "string" } } as const;
const GOALS_MAX = 1_000_000;
/** Unless given: one of these brokers takes the goals, all of them list them, and for each goal one of these nodes the metadata. */
const BROKERS = [9090, 9091, 9092];
const NODES = [8080, 8081, 8082];

const HELP = `usage: npm run send-requests -- <count> [broker port] ["<broker ports>"] [node port] [options]

Posts goals to one broker, one after the other, and prints each answer and the total time. The broker ports name the brokers
that list these goals. For example: 10 9090 "9090,9091,9092". Unless given, a broker of 9090 to 9092 takes the goals, all three
list them, and the metadata of each goes to a node of 8080 to 8082; these are drawn at random.

  --retry SECONDS  keep trying a goal under its key
  --host NAME      where the broker is (localhost)
  --help           print this`;

const sendRequests = async (): Promise<void> => {
  const { values, positionals } = readOptions({ options: OPTIONS, allowPositionals: true });
  const [countText, portText = String(oneOf(BROKERS)), clients = BROKERS.join(","), named] = positionals;
  if (countText === undefined || positionals.length > 4) {
    throw new UsageError(
      'usage: send-requests <count> [broker port] ["<broker ports>"] [node port], for example 10 9090 "9090,9091,9092"',
    );
  }
  const count = wholeNumber(countText, "<count>", GOALS_MAX);
  const port = portNumber(portText, "[broker port]");
  if (!/^\d+(,\d+)*$/.test(clients))
    throw new UsageError(`"<broker ports>" must be a list such as "9090,9091", not "${clients}"`);
  for (const each of clients.split(",")) portNumber(each, `each of "${clients}"`);
  if (named !== undefined) portNumber(named, "[node port]");
  const retryMs = wholeNumber(values.retry ?? "0", "--retry", 3600) * 1000;

  const base = `http://${hostName(values.host ?? "localhost", "--host")}:${port}`;
  const run = crypto.randomUUID();
  const start = performance.now();
  let refused = 0;
  let unanswered = 0;
  for (let i = 0; i < count; i++) {
    const sent = performance.now();
    const receiver = named ?? String(oneOf(NODES));
    const answer = await sendGoal(base, goalOf(i), {
      key: `${run}-${i}`,
      clients,
      receiver,
      retryMs,
    });
    if (answer.status !== 200) refused++;
    if (answer.status === 0) unanswered++;
    const elsewhere = answer.receiver !== undefined && answer.receiver !== receiver;
    const receivedBy = elsewhere ? ` (metadata to ${answer.receiver})` : "";
    process.stdout.write(
      `${i + 1}: ${answer.text}${receivedBy} ${(performance.now() - sent).toFixed(1)} ms\n`,
    );
  }
  process.stdout.write(`total time: ${((performance.now() - start) / 1000).toFixed(3)} s\n`);
  if (unanswered === count && count > 0) {
    process.stderr.write(`nothing answers at ${base}; npm run deployment -- 5 4 3 starts the brokers\n`);
  }
  if (refused > 0) process.exitCode = 1;
};

const oneOf = (ports: readonly number[]): number => ports[Math.floor(Math.random() * ports.length)] ?? 0;

await main("send-requests", sendRequests, HELP);
