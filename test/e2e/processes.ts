/** Runs the commands of scripts/ like a user: as processes in a process group of their own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { ROOT } from "../../scripts/local/build.ts";
import { guard } from "../../scripts/local/guard.ts";
import { isAlive } from "../../scripts/local/process.ts";
import type { LocalUrls } from "../../scripts/local/urls.ts";

/** What a finished command left. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running deployment. */
export interface Running extends Process {
  readonly urls: LocalUrls;
  readonly runtimePid: number;
}

/** A command that stays in the foreground. */
export interface Process {
  readonly pid: number;
  /** from the start of the command to its `ready`, ms */
  readonly readyMs: number;
  /** Sends a signal to the command alone and waits until it and everything that it started is gone. */
  end(signal: NodeJS.Signals): Promise<Finished>;
  /** `kill -9` of every process of the group at once, as a power cut would. */
  killAll(): Promise<void>;
}

// both end only what never will: a slow machine takes a while
const READY_MS_MAX = 120_000;
const UNTIL_MS_MAX = 90_000;

/** Starts a command of scripts/ and resolves when it has ended. */
export function command(script: string, args: readonly string[]): Promise<Finished> {
  return finished(start(script, args));
}

/** Runs `scripts/deployment.ts` and resolves with its URLs. @throws Error when it ends before it is ready */
export async function deployment(args: readonly string[]): Promise<Running> {
  const { line, ...running } = await longRunning("deployment.ts", args, /^ready (.*)\n/m);
  const { runtimePid, ...urls } = JSON.parse(line) as LocalUrls & { runtimePid: number };
  return { ...running, urls, runtimePid };
}

/** Runs `scripts/start.ts` and resolves with the URL of the page. */
export async function startPage(args: readonly string[]): Promise<Process & { readonly url: string }> {
  const { line, ...running } = await longRunning("start.ts", args, /^ZooWeeper: (.*)\n/m);
  return { ...running, url: line };
}

async function longRunning(
  script: string,
  args: readonly string[],
  sign: RegExp,
): Promise<Process & { line: string }> {
  const started = performance.now();
  const child = start(script, args);
  const end = finished(child);
  const ready = new Promise<string>((resolve) => {
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk;
      const line = sign.exec(text)?.[1];
      if (line !== undefined) resolve(line);
    });
  });
  const late = wait(READY_MS_MAX, undefined, { ref: false }).then(() =>
    Promise.reject(new Error("not ready in time")),
  );
  const early = end.then((result) =>
    Promise.reject(new Error(`ended before it was ready: ${JSON.stringify(result)}`)),
  );
  const line = await Promise.race([ready, early, late]).catch(async (error) => {
    kill(child, "SIGKILL");
    throw error;
  });
  early.catch(() => {});
  const pid = child.pid ?? 0;
  const family = [pid, ...descendantsOf(pid)];
  return {
    line,
    pid,
    readyMs: performance.now() - started,
    async end(signal) {
      process.kill(pid, signal);
      const result = await end;
      await untilGone(family);
      return result;
    },
    async killAll() {
      kill(child, "SIGKILL");
      await end;
      await untilGone(family);
    },
  };
}

/** A folder that is deleted when the test file ends. */
export function temporaryDir(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "zooweeper-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 3 }) };
}

function start(script: string, args: readonly string[]): ChildProcess {
  const { npm_lifecycle_event: _, ...env } = process.env;
  const child = spawn(process.execPath, [join(ROOT, "scripts", script), ...args], {
    cwd: ROOT,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (child.pid !== undefined) {
    // a test that is cut short must leave nothing behind
    const guardian = guard(child.pid, "TERM");
    child.once("exit", () => guardian.kill("SIGKILL"));
  }
  return child;
}

function finished(child: ChildProcess): Promise<Finished> {
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk;
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stdout, stderr })));
}

function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal);
}

/** Every process below `pid`, from /proc. */
export function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const parent = Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, "utf8"))?.[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // ended meanwhile
    }
  }
  const below = (parent: number): number[] =>
    (children.get(parent) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(pid);
}

/** @throws Error naming the processes that stay */
async function untilGone(pids: readonly number[]): Promise<void> {
  await until(
    () => pids.filter(isAlive),
    (alive) => alive.length === 0,
    "processes stay",
  );
}

/** Polls until `holds`, and returns what was seen then. @throws Error `what` is wrong, with the last thing seen */
export async function until<T>(
  look: () => T | Promise<T>,
  holds: (seen: T) => boolean,
  what: string,
): Promise<T> {
  const deadline = performance.now() + UNTIL_MS_MAX;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`${what}: ${JSON.stringify(seen)}`);
    await wait(20);
  }
}
