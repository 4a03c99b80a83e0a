/** The demo clients, each a process that can be ended and started again. */
import { type ChildProcess, fork } from "node:child_process";
import type { RequestListener } from "node:http";
import { join } from "node:path";
import { UsageError, waiting } from "./listen.ts";

/** The processes of the demo clients. */
export interface ClientPorts {
  /** ports in order of the clients */
  readonly ports: readonly number[];
  /** Answers `POST /clients/{k}/end`, `POST /clients/{k}/start` and `GET /clients`. */
  readonly control: RequestListener;
  stop(): Promise<void>;
}

interface Client {
  readonly port: number;
  process: ChildProcess | undefined;
}

/** Starts one process per port (0: any free one). @throws UsageError if a port is busy */
export async function startClients(
  wanted: readonly number[],
  webPort: number,
  host?: string,
): Promise<ClientPorts> {
  const clients: Client[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(clients.map(end));
  };
  try {
    for (const port of wanted) clients.push(await start(port, webPort, host));
  } catch (error) {
    await stop();
    throw error;
  }
  const control = waiting(async (request, response) => {
    const reply = (status: number, body: object): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    // only the runtime calls this server, under this host; a browser cannot
    if (request.headers.host !== "gateway") return reply(403, { detail: "this port is the runtime's" });
    const url = request.url ?? "";
    if (request.method === "GET" && url === "/clients") {
      return reply(
        200,
        clients.map(({ port, process }, client) => ({ client, port, up: process !== undefined })),
      );
    }
    const match = /^\/clients\/(\d{1,3})\/(end|start)$/.exec(url);
    const client = match === null ? undefined : clients[Number(match[1])];
    if (match === null || client === undefined) return reply(404, { detail: "there is no such client" });
    if (request.method !== "POST") return reply(405, { detail: "POST ends or starts a client" });
    try {
      if (match[2] === "end") await end(client);
      else client.process ??= (await start(client.port, webPort, host)).process;
      reply(200, { client: Number(match[1]), port: client.port, up: client.process !== undefined });
    } catch (error) {
      reply(503, { detail: (error as Error).message });
    }
  });
  return { ports: clients.map(({ port }) => port), control, stop };
}

function start(port: number, webPort: number, host?: string): Promise<Client> {
  const args = [String(port), String(webPort), ...(host === undefined ? [] : [host])];
  const child = fork(join(import.meta.dirname, "client-process.ts"), args, {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  return new Promise((done, fail) => {
    child.once("message", (message: { port: number } | { error: string; usage: boolean }) => {
      if ("error" in message)
        return fail(message.usage ? new UsageError(message.error) : new Error(message.error));
      const client: Client = { port: message.port, process: child };
      // it may also be ended from outside
      child.once("exit", () => {
        if (client.process === child) client.process = undefined;
      });
      done(client);
    });
    child.once("exit", (code) => fail(new Error(`the client on port ${port} ended with ${code}`)));
    child.once("error", fail);
  });
}

function end(client: Client): Promise<void> {
  const child = client.process;
  client.process = undefined;
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((done) => {
    child.once("exit", () => done());
    child.kill("SIGKILL");
  });
}
