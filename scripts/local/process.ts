/** Processes of this machine, told apart from later ones that got the same pid. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

/** Does the process run? One that has ended but was not yet collected by its parent does not. */
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
 * When a process started, as text that no other process with the same pid has: the boot of the machine and the clock tick,
 * or what `ps` says. Undefined where neither is known.
 */
export function startOf(pid: number): string | undefined {
  try {
    // pid (name) state ppid …: the 22nd field is the start, in clock ticks since the boot
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${fields[19]}`;
  } catch {
    // no /proc
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

/** A process as a file can keep it. */
export interface ProcessId {
  readonly pid: number;
  /** absent: not known */
  readonly start?: string;
}

export function processId(pid: number): ProcessId {
  const start = startOf(pid);
  return start === undefined ? { pid } : { pid, start };
}

/** Does that very process run? Where its start is not known, any process with its pid counts as the one. */
export function runs({ pid, start }: ProcessId): boolean {
  if (!isAlive(pid)) return false;
  const now = start === undefined ? undefined : startOf(pid);
  return now === undefined || now === start;
}
