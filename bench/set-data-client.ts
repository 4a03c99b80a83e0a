/**
 * The load of (b), in a process of its own: one session keeps `outstanding` setData outstanding, each with its own
 * promise, and issues the next when that promise resolves. Started as `set-data-client.ts <url> <outstanding>
 * <warm-up ms> <measured ms>`; tells its parent when it begins and ends to count, and then sends the counts.
 */
import { connect } from "../client/sdk/node.ts";
import { percentile, round } from "./statistics.ts";

/** What one run counted. */
export interface SetDataReport {
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** operations counted */
  readonly count: number;
}

/** Messages of the client to its parent. */
export type SetDataMessage = "begin" | "end" | SetDataReport;

const tell = (message: SetDataMessage): void => void process.send?.(message);

const DATA_BYTES = 100;
const ZNODES = 16;
const SAMPLES_MAX = 1 << 20;

const [url = "", outstandingText, warmUpText, measuredText] = process.argv.slice(2);
const outstanding = Number(outstandingText);
const session = await connect(url, { timeoutMs: 20_000 });
const data = new Uint8Array(DATA_BYTES).fill(0x61);
const paths = Array.from({ length: ZNODES }, (_, i) => `/bench-${i}`);
await Promise.all(paths.map((path) => session.create(path, data).catch(() => {})));

const latencies = new Float64Array(SAMPLES_MAX);
let count = 0;
let measuring = false;
let done = false;

async function keepOneUnderWay(slot: number): Promise<void> {
  for (let i = slot; !done; i++) {
    const start = performance.now();
    await session.set(paths[i % ZNODES] ?? "", data);
    if (measuring) latencies[count++ % SAMPLES_MAX] = performance.now() - start;
  }
}

const loops = Array.from({ length: outstanding }, (_, slot) => keepOneUnderWay(slot));
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
await wait(Number(warmUpText));
tell("begin");
measuring = true;
const start = performance.now();
await wait(Number(measuredText));
const seconds = (performance.now() - start) / 1000;
measuring = false;
tell("end");
const counted = count;
done = true;
await Promise.all(loops);
await session.close();
const sorted = latencies.subarray(0, Math.min(counted, SAMPLES_MAX)).toSorted();
tell({
  opsPerSecond: Math.round(counted / seconds),
  p50Ms: round(percentile(sorted, 0.5), 2),
  p99Ms: round(percentile(sorted, 0.99), 2),
  count: counted,
});
process.disconnect?.();
