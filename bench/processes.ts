/** Processor time and memory of processes, from Linux's /proc. */
import { readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second. */
const TICK_MS = 10;
const MIB_KIB = 1_024;

/** Processor time of a process so far, ms; NaN off Linux and once it is gone. */
export function cpuMsOf(pid: number): number {
  try {
    // after "pid (name) ": state is field 0, user and system time are 11 and 12
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return Number.NaN;
  }
}

/** Resident memory of a process, MiB; 0 off Linux and once it is gone. */
export function rssMiBOf(pid: number): number {
  try {
    const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Math.round(Number(kib ?? 0) / MIB_KIB);
  } catch {
    return 0;
  }
}
