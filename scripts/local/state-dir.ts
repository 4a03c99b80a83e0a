/** The folder with the state of one local run, used by one runtime at a time. */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { UsageError } from "./listen.ts";
import { type ProcessId, processId, runs } from "./process.ts";

/** A folder that this process holds. */
export interface StateDir {
  readonly path: string;
  /** Stores the runtime's process, so that the next start can wait for its end. */
  note(runtimePid: number): void;
  release(): void;
}

/** Longest wait for the end of an earlier runtime, ms: after `kill -9` of the launcher its guard needs milliseconds. */
const ENDING_MS_MAX = 5_000;

/**
 * Locks the folder, and creates it if necessary. `fresh` deletes its content.
 * @param nodes members of the ensemble, which cannot change
 * @throws UsageError if another run uses it, or if it holds an ensemble of another size
 */
export async function takeStateDir(path: string, nodes: number, fresh: boolean): Promise<StateDir> {
  refuseOtherFolder(path);
  const lock = join(path, "lock.json");
  const held = existsSync(lock) ? readLock(lock) : undefined;
  if (held !== undefined && held.pid !== process.pid && runs(held)) {
    throw new UsageError(
      `${path} is in use by process ${held.pid}; end it, or if it is another program, delete ${lock}`,
    );
  }
  if (held?.runtime !== undefined) {
    await untilGone(typeof held.runtime === "number" ? { pid: held.runtime } : held.runtime, lock);
  }
  if (fresh) rmSync(path, { recursive: true, force: true });
  try {
    mkdirSync(join(path, "objects"), { recursive: true });
    accessSync(path, constants.W_OK);
  } catch (error) {
    throw new UsageError(`the state cannot be kept in ${path}: ${(error as NodeJS.ErrnoException).code}`);
  }
  const sizeFile = join(path, "nodes");
  const size = existsSync(sizeFile) ? Number(readFileSync(sizeFile, "utf8")) : nodes;
  if (size !== nodes)
    throw new UsageError(
      `${path} holds an ensemble of ${size} node${size === 1 ? "" : "s"}; --fresh discards it`,
    );
  writeFileSync(sizeFile, String(nodes));
  const own = processId(process.pid);
  writeFileSync(lock, JSON.stringify(own));
  return {
    path,
    note: (runtime) => writeFileSync(lock, JSON.stringify({ ...own, runtime: processId(runtime) })),
    release: () => rmSync(lock, { force: true }),
  };
}

/** Refuses a folder with other files, which `--fresh` would delete. @throws UsageError */
function refuseOtherFolder(path: string): void {
  let names: readonly string[];
  try {
    names = readdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return;
    throw new UsageError(`the state cannot be kept in ${path}: ${code}`);
  }
  if (
    names.length > 0 &&
    !names.some((name) => name === "nodes" || name === "lock.json" || name === "objects")
  )
    throw new UsageError(`${path} holds other files and no state; name a folder that is empty or new`);
}

/** The processes that use the folder: the launcher, and the runtime once it runs. Earlier versions stored pids only. */
interface Lock extends ProcessId {
  readonly runtime?: ProcessId | number;
}

function readLock(file: string): Lock | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Lock;
  } catch {
    return undefined; // the process was killed while it wrote the file
  }
}

async function untilGone(runtime: ProcessId, lock: string): Promise<void> {
  const deadline = Date.now() + ENDING_MS_MAX;
  while (runs(runtime)) {
    if (Date.now() > deadline) {
      throw new UsageError(
        `the runtime of the last run, process ${runtime.pid}, does not end; end it, or if it is another program, delete ${lock}`,
      );
    }
    await wait(20);
  }
}
