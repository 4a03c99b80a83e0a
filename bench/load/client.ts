/** The client process of a benchmark: SDK sessions that do what their parent orders (`commands.ts`). */
import { connect, type Session, ZooError } from "../../client/sdk/node.ts";
import { must } from "../../core/assert.ts";
import { median, percentile, round } from "../statistics.ts";
import type { Answers, Command, LoadReport, Outcome, Znodes } from "./commands.ts";
import { openTcpSocket } from "./tcp-socket.ts";
import { parentsOf, pathOf, TOP } from "./tree.ts";

const DATA = new Uint8Array(100).fill(0x61);
const SESSION_TIMEOUT_MS = 30_000;
/** Znodes of one session. */
const OWN = 16;
/** Latencies that are kept of one measurement. */
const SAMPLES_MAX = 1 << 20;
const OUTSTANDING_OF_REMOVAL = 256;

/** Counts of a measurement; latencies beyond {@link SAMPLES_MAX} replace the oldest. */
class Tally {
  readonly #latencies = new Float64Array(SAMPLES_MAX);
  #count = 0;
  #failed = 0;
  #error: string | undefined;
  #since = performance.now();

  reset(): void {
    this.#count = 0;
    this.#failed = 0;
    this.#error = undefined;
    this.#since = performance.now();
  }

  success(ms: number): void {
    this.#latencies[this.#count++ % SAMPLES_MAX] = ms;
  }

  failure(error: unknown): void {
    this.#failed += 1;
    this.#error ??= (error as Error).message;
  }

  report(): LoadReport {
    const seconds = (performance.now() - this.#since) / 1000;
    const sorted = this.#latencies.subarray(0, Math.min(this.#count, SAMPLES_MAX)).toSorted();
    return {
      opsPerSecond: Math.round(this.#count / seconds),
      p50Ms: round(percentile(sorted, 0.5), 2),
      p99Ms: round(percentile(sorted, 0.99), 2),
      count: this.#count,
      failed: this.#failed,
      ...(this.#error !== undefined && { error: this.#error }),
    };
  }
}

const tally = new Tally();
let sessions: Session[] = [];
let load: { stopped: boolean; readonly loops: Promise<unknown> } | undefined;
/** numbers of the znodes that `create` loads make */
let created = 0;
let removed = 0;

const createdPath = (n: number): string => `/bench-created/${n % OWN}/n${n}`;

/** A function that gives the next path for one operation of a session. */
function chooser(znodes: Znodes, sessionIndex: number): () => string {
  if (znodes.of === "session") {
    let next = 0;
    return () => `/bench-own/${sessionIndex}-${next++ % OWN}`;
  }
  const { shape, size, hot = size } = znodes;
  const step = Math.max(1, Math.floor(size / hot));
  return () => pathOf(shape, Math.floor(Math.random() * Math.min(hot, size)) * step);
}

/** Creates a znode that may exist. */
const ensure = (session: Session, path: string): Promise<unknown> =>
  session.create(path, DATA).catch((error) => {
    if (!ZooError.is(error, "NODE_EXISTS")) throw error;
  });

async function prepare({ op, znodes }: Extract<Command, { type: "begin" }>): Promise<void> {
  const session = must(sessions[0], "sessions are open");
  if (op === "create") {
    await ensure(session, "/bench-created");
    await Promise.all(Array.from({ length: OWN }, (_, i) => ensure(session, `/bench-created/${i}`)));
  } else if (znodes.of === "session") {
    await ensure(session, "/bench-own");
    for (const [i, each] of sessions.entries())
      await Promise.all(Array.from({ length: OWN }, (_, j) => ensure(each, `/bench-own/${i}-${j}`)));
  }
  // a get through one server must find what was created through another
  await Promise.all(sessions.map((each) => each.sync()));
}

function begin({ op, znodes, outstanding }: Extract<Command, { type: "begin" }>): void {
  const state = { stopped: false };
  const loops: Promise<void>[] = [];
  for (const [i, session] of sessions.entries()) {
    const next = chooser(znodes, i);
    const issue = {
      set: () => session.set(next(), DATA),
      get: () => session.get(next()),
      create: () => session.create(createdPath(created++), DATA),
    }[op];
    const loop = async (): Promise<void> => {
      while (!state.stopped) {
        const start = performance.now();
        try {
          await issue();
          tally.success(performance.now() - start);
        } catch (error) {
          tally.failure(error);
          if (session.state === "closed" || session.state === "expired") return;
        }
      }
    };
    for (let n = 0; n < outstanding; n++) loops.push(loop());
  }
  load = Object.assign(state, { loops: Promise.all(loops) });
  tally.reset();
}

/** Runs `issue` for each number, `outstanding` at a time. */
async function each(
  from: number,
  to: number,
  outstanding: number,
  issue: (n: number) => Promise<unknown>,
): Promise<void> {
  let next = from;
  const loop = async (): Promise<void> => {
    while (next < to) await issue(next++);
  };
  await Promise.all(Array.from({ length: outstanding }, loop));
}

async function fill({
  shape,
  from,
  to,
  outstanding,
  counted,
}: Extract<Command, { type: "fill" }>): Promise<LoadReport> {
  const session = must(sessions[0], "a session is open");
  if (from === 0) for (const path of parentsOf(shape)) await ensure(session, path);
  const create = async (n: number): Promise<void> => {
    const start = performance.now();
    await session.create(pathOf(shape, n), DATA);
    tally.success(performance.now() - start);
  };
  await each(from, to - counted, outstanding, create);
  tally.reset();
  await each(Math.max(from, to - counted), to, outstanding, create);
  return tally.report();
}

async function single({ shape, ms }: Extract<Command, { type: "single" }>): Promise<Answers["single"]> {
  const session = must(sessions[0], "a session is open");
  const times: { readonly create: number[]; readonly exists: number[]; readonly delete: number[] } = {
    create: [],
    exists: [],
    delete: [],
  };
  const path = `${shape === "flat" ? TOP : `${TOP}/p0`}/single`;
  const timed = async (into: number[], work: () => Promise<unknown>): Promise<void> => {
    const start = performance.now();
    await work();
    into.push(performance.now() - start);
  };
  for (const end = performance.now() + ms; performance.now() < end; ) {
    await timed(times.create, () => session.create(path, DATA));
    await timed(times.exists, () => session.exists(path));
    await timed(times.delete, () => session.delete(path));
  }
  const of = (values: readonly number[]): number => round(median(values), 3);
  return { createMs: of(times.create), existsMs: of(times.exists), deleteMs: of(times.delete) };
}

async function end(): Promise<void> {
  if (load === undefined) return;
  load.stopped = true;
  await load.loops;
  load = undefined;
}

async function children(path: string): Promise<Answers["children"]> {
  const start = performance.now();
  const { children: names } = await must(sessions[0], "a session is open").children(path);
  return { ms: round(performance.now() - start, 1), count: names.length };
}

async function carryOut(command: Command): Promise<Answers[Command["type"]]> {
  switch (command.type) {
    case "open":
      for (let i = 0; i < command.count; i++) {
        const url = must(command.urls[i % command.urls.length], "there is a URL");
        const openSocket = command.tcp === true ? { openSocket: openTcpSocket } : {};
        sessions.push(await connect(url, { timeoutMs: SESSION_TIMEOUT_MS, ...openSocket }));
      }
      return null;
    case "fill":
      return await fill(command);
    case "begin":
      await prepare(command);
      begin(command);
      return null;
    case "mark": {
      const report = tally.report();
      tally.reset();
      return report;
    }
    case "end":
      await end();
      return null;
    case "remove": {
      const session = must(sessions[0], "a session is open");
      const first = removed;
      removed = created;
      await each(first, created, OUTSTANDING_OF_REMOVAL, (n) =>
        // one that failed to be created
        session.delete(createdPath(n)).catch(() => undefined),
      );
      return null;
    }
    case "single":
      return await single(command);
    case "children":
      return await children(command.path);
    case "close":
      await Promise.all(sessions.map((session) => session.close()));
      sessions = [];
      return null;
  }
}

let queue = Promise.resolve();
process.on("message", (command: Command) => {
  queue = queue.then(async () => {
    const outcome: Outcome<unknown> = await carryOut(command).then(
      (value) => ({ ok: true as const, value }),
      (error: Error) => ({ ok: false as const, why: error.message }),
    );
    process.send?.(outcome);
  });
});
process.once("disconnect", () => process.exit(0));
