/**
 * A complete ZooWeeper on this machine: the built Worker and page in workerd, with the demo's ports in front of it.
 * Used by the commands `start` and `deployment`, the benchmarks and the end-to-end tests.
 */
import { join, resolve } from "node:path";
import { build, ROOT } from "./local/build.ts";
import { type ClientPorts, startClients } from "./local/client-ports.ts";
import { openGateway, type Rewrite } from "./local/gateway.ts";
import { type Listener, listen, UsageError } from "./local/listen.ts";
import { openToOthers, ownHosts, reachableAt } from "./local/own-hosts.ts";
import { pageFiles } from "./local/page-files.ts";
import { untilReady } from "./local/readiness.ts";
import { takeStateDir } from "./local/state-dir.ts";
import type { LocalUrls } from "./local/urls.ts";
import { startWorkerd, type Workerd } from "./local/workerd.ts";

export { UsageError } from "./local/listen.ts";

/** What to run, where, and on which ports. */
export interface LocalOptions {
  /** members of the ensemble: 1, 3, 5, 7 or 9 */
  readonly nodes: number;
  readonly brokers: number;
  /** folder of the state, which survives the run */
  readonly stateDir: string;
  /** discard the state of earlier runs */
  readonly fresh?: boolean;
  /** port of the page, without a client process; 0: any free one; absent: none */
  readonly consolePort?: number;
  /** first port of the nodes, 0: free ones; absent: none */
  readonly nodePort?: number;
  /** first port of the brokers, 0: free ones; absent: none */
  readonly brokerPort?: number;
  readonly clients?: { readonly count: number /** first port, 0: free ones */; readonly port: number };
  /** address to listen on; absent: this machine only */
  readonly host?: string;
  /** variables of the Worker in addition to those of wrangler.toml */
  readonly vars?: Readonly<Record<string, string>>;
  /** flags of V8, for profiles */
  readonly v8Flags?: readonly string[];
  /** resolve as soon as the runtime listens, before any object has started; benchmarks only */
  readonly unready?: boolean;
  /** the repository to build; tests only */
  readonly root?: string;
  /** called with messages about steps that take long */
  readonly say?: (line: string) => void;
}

/** A local run. */
export interface Local {
  readonly urls: LocalUrls;
  readonly runtimePid: number;
  /**
   * warnings: other machines that may write, and what did not answer as expected when the run became ready, such as a
   * node that was killed in an earlier run
   */
  readonly warnings: readonly string[];
  /** resolves with a sentence if the runtime ends by itself */
  readonly gone: Promise<string>;
  /** Ends everything. The state stays. */
  stop(): Promise<void>;
}

const ENSEMBLE_SIZES = [1, 3, 5, 7, 9];
const BROKERS_MAX = 10;
const CLIENTS_MAX = 50;

/** Folder of the state of a run of this size: other sizes have their own. */
export const stateDirOf = (command: string, nodes: number, brokers: number): string =>
  join(ROOT, ".zooweeper", `${command}-${nodes}-${brokers}`);

/**
 * Starts everything and resolves when everything answers.
 * @throws UsageError if a port is busy, a number is out of range or the state is in use
 */
export async function startLocal(options: LocalOptions): Promise<Local> {
  validate(options);
  const closers: (() => void | Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return await start(options, closers, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

const PORT_MAX = 65_535;

function validate(options: LocalOptions): void {
  const { nodes, brokers, clients } = options;
  if (!ENSEMBLE_SIZES.includes(nodes)) {
    throw new UsageError(`an ensemble has ${ENSEMBLE_SIZES.join(", ")} nodes, not ${nodes}`);
  }
  const inRange = (count: number, max: number): boolean =>
    Number.isInteger(count) && count >= 1 && count <= max;
  if (!inRange(brokers, BROKERS_MAX))
    throw new UsageError(`there are 1 to ${BROKERS_MAX} brokers, not ${brokers}`);
  if (clients !== undefined && !inRange(clients.count, CLIENTS_MAX)) {
    throw new UsageError(`there are 1 to ${CLIENTS_MAX} clients, not ${clients.count}`);
  }
  for (const [option, first = 0, count] of [
    ["node-port", options.nodePort, nodes],
    ["broker-port", options.brokerPort, brokers],
    ["client-port", clients?.port, clients?.count ?? 1],
  ] as const) {
    const most = PORT_MAX - count + 1;
    if (first > most)
      throw new UsageError(`--${option} must be at most ${most}, since ${count} ports are taken from it on`);
  }
}

async function start(
  options: LocalOptions,
  closers: (() => void | Promise<void>)[],
  stop: () => Promise<void>,
): Promise<Local> {
  let workerd: Workerd | undefined;
  let doing = "looking for the state of earlier runs";
  const opened = (listener: Listener): Listener => {
    closers.push(() => listener.close());
    return listener;
  };
  const open = async (
    option: PortOption,
    port: number,
    target: () => number | undefined,
    rewrite?: (path: string) => Rewrite,
  ) =>
    opened(
      await orSayOption(
        option,
        openGateway({
          port,
          host: options.host,
          target,
          doing: () => doing,
          ...(rewrite && { rewrite }),
        }),
      ),
    );
  const range = (count: number, first: number | undefined): number[] =>
    first === undefined ? [] : Array.from({ length: count }, (_, i) => (first === 0 ? 0 : first + i));
  const api = (): number | undefined => workerd?.apiPort;
  const web = (): number | undefined => workerd?.webPort;

  // the ports first: a busy one is reported before anything is built or written
  const nodePorts: number[] = [];
  for (const [i, port] of range(options.nodes, options.nodePort).entries()) {
    nodePorts.push((await open("node-port", port, api, nodeRewrite(i))).port);
  }
  const brokerPorts: number[] = [];
  for (const [j, port] of range(options.brokers, options.brokerPort).entries()) {
    brokerPorts.push((await open("broker-port", port, api, brokerRewrite(j))).port);
  }
  const consolePort =
    options.consolePort === undefined
      ? undefined
      : (await open("console-port", options.consolePort, web)).port;
  const clientPorts = range(options.clients?.count ?? 0, options.clients?.port);
  // until the clients run, their ports answer that the run is starting
  const waiting: Listener[] = [];
  for (const port of clientPorts) {
    if (port !== 0) waiting.push(await open("client-port", port, () => undefined));
  }

  const state = await takeStateDir(resolve(options.stateDir), options.nodes, options.fresh ?? false);
  closers.push(() => state.release());
  doing = "looking for a build of the Worker and the page";
  const built = await build(options.root, (line) => {
    doing = "building the Worker and the page, which takes about ten seconds the first time";
    options.say?.(line);
  });
  doing = "starting the runtime";
  let clients: ClientPorts | undefined;
  const control = opened(
    await listen(0, (request, response) => {
      if (clients === undefined) response.writeHead(503).end();
      else clients.control(request, response);
    }),
  );
  const page = opened(await listen(0, pageFiles(join(built.dir, "page"))));

  workerd = await startWorkerd({
    build: built,
    stateDir: state.path,
    vars: {
      ENSEMBLE_SIZE: String(options.nodes),
      BROKER_COUNT: String(options.brokers),
      FAULTS: "on",
      LOCAL: "on",
      LOCAL_HOSTS: ownHosts(options.host).join(),
      LOCAL_OBJECTS_DIR: join(state.path, "objects"),
      ...options.vars,
    },
    v8Flags: options.v8Flags,
    controlPort: control.port,
    pagePort: page.port,
  });
  const { pid, gone, stop: stopRuntime } = workerd;
  closers.push(stopRuntime);
  state.note(pid);
  for (const listener of waiting) listener.close();
  clients = await startClients(clientPorts, workerd.webPort, options.host);
  closers.push(clients.stop);

  const url = (port: number): string => `http://${reachableAt(options.host)}:${port}`;
  const urls: LocalUrls = {
    api: `http://127.0.0.1:${workerd.apiPort}`,
    web: `http://127.0.0.1:${workerd.webPort}`,
    ...(consolePort !== undefined && { console: url(consolePort) }),
    nodes: nodePorts.map(url),
    brokers: brokerPorts.map(url),
    clients: clients.ports.map(url),
  };
  const ready = options.unready === true ? Promise.resolve([]) : untilReady(urls);
  const warnings = await Promise.race([ready, gone.then((why) => Promise.reject(new Error(why)))]);
  const exposed = openToOthers(options.host);
  return {
    urls,
    runtimePid: pid,
    warnings: exposed === undefined ? warnings : [exposed, ...warnings],
    gone,
    stop,
  };
}

type PortOption = "console-port" | "node-port" | "broker-port" | "client-port";

/** The error for a busy port: it names the option that selects another. */
async function orSayOption<T>(option: PortOption, taken: Promise<T>): Promise<T> {
  try {
    return await taken;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${error.message}; --${option} N takes another, 0 any free one`);
  }
}

/** Routes of the original demo, which pages of any site may read. */
const NODE_ROUTES = /^\/(metadata)?(\?|$)/;
const BROKER_ROUTES = /^\/(addScore|updateScore|data)?(\?|$)/;

/** Port 8080+i: the demo's routes of node i; every other route is the API's, answered by node i. */
const nodeRewrite =
  (i: number) =>
  (path: string): Rewrite =>
    NODE_ROUTES.test(path)
      ? { path: `/demo/nodes/${i}${path}`, public: true }
      : { path, headers: { "zoo-node": String(i + 1) } };

/** Port 9090+j: the demo's routes of broker j; every other route is the API's. */
const brokerRewrite =
  (j: number) =>
  (path: string): Rewrite =>
    BROKER_ROUTES.test(path) ? { path: `/demo/brokers/${j}${path}`, public: true } : { path };
