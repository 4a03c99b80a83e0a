/** Shared by the long-running commands: options, errors of one line, and an end that leaves no process behind. */
import { readFileSync } from "node:fs";
import { type Local, UsageError } from "../local.ts";
import { hostName, readOptions, wholeNumber } from "./options.ts";

export { readOptions, wholeNumber } from "./options.ts";

/** Options that every local command takes. */
const OPTIONS = {
  fresh: { type: "boolean" },
  state: { type: "string" },
  host: { type: "string" },
} as const;

/** Ports that a local command may have. Each is the first of its range; 0 takes free ones. */
type PortName = "console" | "node" | "broker" | "client";

/** A parsed command line. */
export interface CommandLine {
  readonly positionals: readonly string[];
  readonly fresh: boolean;
  readonly state: string | undefined;
  readonly host: string | undefined;
  port(name: PortName, otherwise: number): number;
}

/** Reads the command line of a local run that has these ports. @throws UsageError */
export function commandLine(ports: readonly PortName[]): CommandLine {
  const options = Object.fromEntries(ports.map((name) => [`${name}-port`, { type: "string" } as const]));
  const { values, positionals } = readOptions({
    options: { ...OPTIONS, ...options },
    allowPositionals: true,
  });
  const texts: Readonly<Record<string, string | boolean | undefined>> = values;
  return {
    positionals,
    fresh: values.fresh ?? false,
    state: values.state === undefined ? undefined : folder(values.state),
    host: values.host === undefined ? undefined : listenHost(values.host),
    port: (name, otherwise) =>
      wholeNumber(String(texts[`${name}-port`] ?? otherwise), `--${name}-port`, 65_535),
  };
}

/** @throws UsageError for an empty name, which would mean the current folder */
function folder(text: string): string {
  if (text.trim() === "") throw new UsageError("--state must name a folder, for example --state /tmp/zoo");
  return text;
}

/** An address of this machine as a server listens on it: IPv6 without brackets. @throws UsageError */
const listenHost = (text: string): string =>
  text === "*" ? "0.0.0.0" : hostName(text, "--host").replace(/^\[(.*)\]$/, "$1");

/** Options of the commands that run until they are ended, for their help. */
export const COMMON_HELP = `  --fresh          forget what earlier runs of this size have stored
  --host ADDRESS   answer on this address (0.0.0.0: on all), where everyone may write and kill nodes;
                   otherwise only this machine is answered
  --state DIR      keep the state (objects, runtime.log, …) in DIR itself; otherwise in a folder of .zooweeper
                   for each command and size, such as .zooweeper/start-3-3
  --help           print this`;

/**
 * Runs a command: a UsageError is one line and exit code 2, any other error exit code 1.
 * @param help what `--help` prints; absent: the command reads that option itself
 */
export async function main(name: string, command: () => Promise<void>, help?: string): Promise<void> {
  // The reader of a pipe may end first, as `head` does.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  if (help !== undefined && process.argv.slice(2).some((word) => word === "--help" || word === "-h")) {
    process.stdout.write(`${help}\n`);
    return;
  }
  try {
    await command();
  } catch (error) {
    const usage = error instanceof UsageError;
    const { message, cause } = error as Error & { cause?: Error };
    process.stderr.write(`${name}: ${message}${cause?.message ? ` (${cause.message})` : ""}\n`);
    process.exit(usage ? 2 : 1);
  }
}

/** Interval of the check whether the npm that started this process still exists, ms. */
const PARENT_CHECK_MS = 250;

/**
 * Starts a local run and keeps it until Ctrl-C, SIGTERM, SIGHUP, the death of the npm that started us, or its own end.
 * A signal during the start ends it too.
 */
export async function runUntilEnded(
  start: () => Promise<Local>,
  ready: (local: Local) => void,
): Promise<void> {
  let local: Local | undefined;
  let ending = false;
  const end = async (code: number): Promise<void> => {
    if (ending) return;
    ending = true;
    await local?.stop();
    process.exit(code);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end(0));
  // npm does not forward every signal, and none if it is killed
  const npm = npmPid();
  if (npm !== undefined) setInterval(() => npmPid() !== npm && void end(0), PARENT_CHECK_MS).unref();
  const started = await start();
  local = started;
  if (ending) {
    // the signal arrived before there was anything to stop
    await started.stop();
    return;
  }
  ready(started);
  for (const warning of started.warnings) process.stderr.write(`warning: ${warning}\n`);
  const why = await started.gone;
  if (ending) return new Promise(() => {}); // end() exits the process
  process.stderr.write(`the runtime is gone: ${why}\n`);
  await end(1);
}

/** The npm that started this process: its parent or, where /proc shows it, the parent of the shell between them. */
function npmPid(): number | undefined {
  if (process.env.npm_lifecycle_event === undefined) return undefined;
  try {
    // pid (name) state ppid …
    const fields = /\) \S (\d+)/.exec(readFileSync(`/proc/${process.ppid}/stat`, "utf8"));
    return Number(fields?.[1]);
  } catch {
    return process.ppid;
  }
}
