/** The machine on which figures are measured; without it a figure means nothing. */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { arch, cpus, loadavg, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { ROOT } from "../scripts/local/build.ts";
import { median } from "./statistics.ts";

/** The machine, its disk, and its load before the benchmark. */
export interface Machine {
  readonly system: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  /** file system of the folder with the state */
  readonly fileSystem: string;
  /** writing 4 KiB and making it durable, ms, median */
  readonly fsyncMs: number;
  /** load before the benchmark: runnable processes, average of one minute */
  readonly loadAtStart: number;
  readonly node: string;
  readonly workerd: string;
  readonly commit: string;
}

const FSYNC_RUNS = 200;
const GIB = 2 ** 30;

/** @param dir folder with the state of the benchmarks */
export function describeMachine(dir: string): Machine {
  mkdirSync(dir, { recursive: true });
  const packages = (name: string): string =>
    (
      JSON.parse(readFileSync(join(ROOT, "node_modules", name, "package.json"), "utf8")) as {
        version: string;
      }
    ).version;
  return {
    system: `${type()} ${release()} ${arch()}`,
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / GIB),
    fileSystem: FILE_SYSTEMS[statfsSync(dir).type] ?? `0x${statfsSync(dir).type.toString(16)}`,
    fsyncMs: fsyncMs(dir),
    loadAtStart: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    node: process.versions.node,
    workerd: packages("workerd"),
    commit: commit(),
  };
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: "ext4",
  16914836: "tmpfs (nothing is durable here)",
  2435016766: "btrfs",
  1481003842: "xfs",
  2035054128: "overlayfs",
  26: "apfs",
};

function fsyncMs(dir: string): number {
  const file = join(dir, "fsync-probe");
  const descriptor = openSync(file, "w");
  const block = Buffer.alloc(4096, 1);
  const times: number[] = [];
  for (let i = 0; i < FSYNC_RUNS; i++) {
    const start = performance.now();
    writeSync(descriptor, block);
    fsyncSync(descriptor);
    times.push(performance.now() - start);
  }
  closeSync(descriptor);
  rmSync(file);
  return Math.round(median(times) * 1000) / 1000;
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();
  try {
    return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain") === "" ? "" : " with changes"}`;
  } catch {
    return "unknown";
  }
}
