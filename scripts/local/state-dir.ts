/** The folder that keeps the state of one local run, used by one runtime at a time. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { UsageError } from "./listen.ts";

export interface StateDir {
  readonly path: string;
  /** Notes the runtime's process, so that the next start can wait for its end. */
  note(runtimePid: number): void;
  release(): void;
}

/** After a `kill -9` of the launcher its guard ends the runtime within milliseconds; more than this means trouble. */
const ENDING_MS_MAX = 5_000;

/**
 * Takes the folder, creating it. `fresh` discards what it holds.
 * @param nodes members of the ensemble, which its state cannot change
 * @throws UsageError when another run uses it, or when it holds an ensemble of another size
 */
export async function takeStateDir(path: string, nodes: number, fresh: boolean): Promise<StateDir> {
  const lock = join(path, "lock.json");
  const held = existsSync(lock) ? readLock(lock) : undefined;
  if (held !== undefined && held.pid !== process.pid && isAlive(held.pid)) {
    throw new UsageError(`${path} is in use by process ${held.pid}`);
  }
  if (held?.runtime !== undefined) await untilGone(held.runtime);
  if (fresh) rmSync(path, { recursive: true, force: true });
  mkdirSync(join(path, "objects"), { recursive: true });
  const sizeFile = join(path, "nodes");
  const size = existsSync(sizeFile) ? Number(readFileSync(sizeFile, "utf8")) : nodes;
  if (size !== nodes)
    throw new UsageError(
      `${path} holds an ensemble of ${size} node${size === 1 ? "" : "s"}; --fresh discards it`,
    );
  writeFileSync(sizeFile, String(nodes));
  writeFileSync(lock, JSON.stringify({ pid: process.pid }));
  return {
    path,
    note: (runtime) => writeFileSync(lock, JSON.stringify({ pid: process.pid, runtime })),
    release: () => rmSync(lock, { force: true }),
  };
}

function readLock(file: string): { pid: number; runtime?: number } | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as { pid: number; runtime?: number };
  } catch {
    return undefined; // killed while writing it
  }
}

/** Does the process run? One that has ended but was not yet collected by its parent does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  try {
    return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, "utf8"));
  } catch {
    return false;
  }
}

async function untilGone(pid: number): Promise<void> {
  const deadline = Date.now() + ENDING_MS_MAX;
  while (isAlive(pid)) {
    if (Date.now() > deadline)
      throw new UsageError(`the runtime of the last run, process ${pid}, does not end`);
    await wait(20);
  }
}
