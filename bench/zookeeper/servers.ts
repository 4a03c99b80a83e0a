/** Apache ZooKeeper servers on this machine, as Debian's package installs them, with their default settings. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { guard } from "../../scripts/local/guard.ts";
import { UsageError } from "../../scripts/local.ts";

const JAR = "/usr/share/java/zookeeper.jar";
const MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
const STARTING_MS_MAX = 60_000;
const POLL_MS = 100;

/** A running ensemble of ZooKeeper servers. */
export interface ZooKeeper {
  /** as it names itself */
  readonly version: string;
  /** addresses of the servers, the leader's first */
  readonly urls: readonly string[];
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

interface Server {
  readonly port: number;
  readonly process: ChildProcess;
  readonly log: string;
}

/**
 * Starts `count` servers with an empty state in `dir`.
 * @throws UsageError if ZooKeeper is not installed; Error with the end of a server's log if it does not start
 */
export async function startZooKeeper(count: number, dir: string): Promise<ZooKeeper> {
  if (!existsSync(JAR)) throw new UsageError(`${JAR} does not exist; on Debian: apt-get install zookeeper`);
  rmSync(dir, { recursive: true, force: true });
  const ports = await freePorts(3 * count);
  const members = Array.from(
    { length: count },
    (_, i) => `server.${i + 1}=127.0.0.1:${ports[3 * i]}:${ports[3 * i + 1]}`,
  );
  const servers = Array.from({ length: count }, (_, i) =>
    startServer(join(dir, String(i + 1)), i + 1, ports[3 * i + 2] ?? 0, members),
  );
  const stop = async (): Promise<void> => {
    for (const { process } of servers) process.kill("SIGKILL");
    await Promise.all(servers.map(({ process }) => ended(process)));
  };
  try {
    const states = await Promise.all(servers.map(serving));
    const leaderFirst = servers.toSorted((a, b) => rank(states, servers, a) - rank(states, servers, b));
    return {
      version: /Zookeeper version: ([\d.]+)/i.exec(states[0] ?? "")?.[1] ?? "unknown",
      urls: leaderFirst.map(({ port }) => `ws://127.0.0.1:${port}`),
      pids: servers.map(({ process }) => process.pid ?? 0),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const rank = (states: readonly string[], servers: readonly Server[], server: Server): number =>
  /Mode: leader/.test(states[servers.indexOf(server)] ?? "") ? 0 : 1;

function startServer(dir: string, id: number, port: number, members: readonly string[]): Server {
  const data = join(dir, "data");
  const config = join(dir, "zoo.cfg");
  const log = join(dir, "log");
  mkdirSync(data, { recursive: true });
  writeFileSync(join(data, "myid"), String(id));
  const settings = [
    // those of zoo_sample.cfg
    "tickTime=2000",
    "initLimit=10",
    "syncLimit=5",
    `dataDir=${data}`,
    `clientPort=${port}`,
    "clientPortAddress=127.0.0.1",
    // 64 sessions come from one address, where 60 are the default
    "maxClientCnxns=0",
    "admin.enableServer=false",
    "4lw.commands.whitelist=srvr",
  ];
  writeFileSync(config, `${[...settings, ...members].join("\n")}\n`);
  const file = openSync(log, "a");
  // -Xmx as zkServer.sh sets it
  const child = spawn("java", ["-Xmx1000m", "-cp", JAR, MAIN, config], { stdio: ["ignore", file, file] });
  closeSync(file);
  if (child.pid !== undefined) {
    const guardian = guard(child.pid, "KILL");
    child.once("exit", () => guardian.kill("SIGKILL"));
  }
  return { port, process: child, log };
}

function ended(process: ChildProcess): Promise<unknown> {
  if (process.exitCode !== null || process.signalCode !== null || process.pid === undefined)
    return Promise.resolve();
  return new Promise((resolve) => process.once("exit", resolve));
}

/** What a server says of itself, once it serves. */
async function serving({ port, process, log }: Server): Promise<string> {
  const deadline = performance.now() + STARTING_MS_MAX;
  for (;;) {
    const state = await ask(port).catch(() => "");
    if (/Mode: (leader|follower)/.test(state)) return state;
    if (performance.now() > deadline || process.exitCode !== null)
      throw new Error(`ZooKeeper does not start:\n${readFileSync(log, "utf8").slice(-2000)}`);
    await wait(POLL_MS);
  }
}

/** Sends the four letters `srvr`. */
function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("end", () => resolve(text)).on("error", reject);
    socket.write("srvr");
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
