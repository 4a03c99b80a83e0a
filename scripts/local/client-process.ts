/**
 * One demo client: a process of its own that answers on one port with the page and its API.
 * Started by client-ports.ts as `client-process.ts <port> <runtime port> [host]`; ends with its parent.
 */

import { openGateway } from "./gateway.ts";
import { UsageError } from "./listen.ts";

const [port, target, host] = process.argv.slice(2);
process.once("disconnect", () => process.exit(0));
// Ctrl-C reaches the whole group; the parent ends this process in its own order
process.on("SIGINT", () => {});
try {
  const listener = await openGateway({ port: Number(port), host, target: () => Number(target) });
  process.send?.({ port: listener.port });
} catch (error) {
  process.send?.({ error: (error as Error).message, usage: error instanceof UsageError });
  process.exitCode = 1;
  process.disconnect?.();
}
