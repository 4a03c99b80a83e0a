/** Processes of this machine, distinguished from later ones with the same pid. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

/** Whether the process runs; false for a process that has ended and was not collected by its parent. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // a process of another user runs, and may not be signalled
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const stat = `/proc/${pid}/stat`;
  try {
    return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, "utf8"));
  } catch {
    return false;
  }
}

/**
 * Start of a process, as text that no other process with the same pid has: the boot of the machine and the clock
 * tick, or the output of `ps`. Undefined if neither is known.
 */
export function startOf(pid: number): string | undefined {
  try {
    // pid (name) state ppid …: the 22nd field is the start, in clock ticks since the boot
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${fields[19]}`;
  } catch {
    // there is no /proc
  }
  try {
    const said = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: "pipe",
    });
    return said.trim() || undefined;
  } catch {
    return undefined;
  }
}

/** A process, as it is stored in a file. */
export interface ProcessId {
  readonly pid: number;
  /** absent if it is not known */
  readonly start?: string;
}

/** Identifies the process `pid`, which runs now. */
export function processId(pid: number): ProcessId {
  const start = startOf(pid);
  return start === undefined ? { pid } : { pid, start };
}

/** Whether exactly that process runs. If its start is not known, any process with its pid counts. */
export function runs({ pid, start }: ProcessId): boolean {
  if (!isAlive(pid)) return false;
  const now = start === undefined ? undefined : startOf(pid);
  return now === undefined || now === start;
}
