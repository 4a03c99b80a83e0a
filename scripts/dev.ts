/**
 * `npm run dev`: the Worker under `wrangler dev` (Miniflare) and the page under Vite, both reloading what changes.
 * The page on http://localhost:5173, the Worker's API on http://localhost:8787.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { ROOT, WRANGLER_ENV } from "./local/build.ts";
import { main, readOptions } from "./local/command.ts";
import { guard } from "./local/guard.ts";
import { listen, UsageError } from "./local/listen.ts";

/** As wrangler.toml and web/vite.config.ts have them. */
const PORTS = [
  { port: 5173, what: "the page", file: "web/vite.config.ts" },
  { port: 8787, what: "the Worker", file: "wrangler.toml" },
] as const;

const HELP = `usage: npm run dev

The Worker under wrangler dev (Miniflare) and the page under Vite, both reloading what changes. The page answers on
http://localhost:5173, the Worker's API on http://localhost:8787. Ctrl-C ends both; the state stays in .wrangler.

  --help           print this`;

/** Where wrangler dev keeps the objects' databases. */
const OBJECTS_DIR = join(ROOT, ".wrangler/state/v3/do");
const vars = [
  "ENSEMBLE_SIZE:3",
  "BROKER_COUNT:3",
  "FAULTS:on",
  "LOCAL:on",
  `LOCAL_OBJECTS_DIR:${OBJECTS_DIR}`,
];
const worker = ["node_modules/wrangler/bin/wrangler.js", "dev", ...vars.flatMap((value) => ["--var", value])];
const page = ["node_modules/vite/bin/vite.js", "dev", "-c", "web/vite.config.ts"];

const WORKER_URL = "http://localhost:8787/healthz";
/** Pause between two checks whether the Worker answers, ms. */
const POLL_MS = 200;

const children: ChildProcess[] = [];
let ending = false;
function end(code: number): void {
  if (ending) return;
  ending = true;
  process.exitCode = code;
  for (const child of children) child.kill("SIGTERM");
}

/**
 * If their port is busy, both tools take another one or fail with a stack trace: this is reported before they start.
 */
async function requireFreePorts(): Promise<void> {
  for (const { port, what, file } of PORTS) {
    try {
      (await listen(port, () => {})).close();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(
        `${error.message}, and ${what} needs it; end what uses it, or change it in ${file}`,
      );
    }
  }
}

const dev = async (): Promise<void> => {
  readOptions({ options: {} });
  await requireFreePorts();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => end(0));
  run(worker);
  await workerAnswers();
  if (!ending) run(page);
};

/**
 * Waits for the Worker: otherwise a page that is open from an earlier run makes Vite print a stack trace for every
 * request.
 */
async function workerAnswers(): Promise<void> {
  while (!ending) {
    const answer = await fetch(WORKER_URL).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function run(command: readonly string[]): void {
  const child = spawn(
    process.execPath,
    command.map((part, i) => (i === 0 ? join(ROOT, part) : part)),
    {
      cwd: ROOT,
      env: { ...process.env, ...WRANGLER_ENV },
      // outside the terminal's process group: wrangler ends its own children when it gets a signal, once
      detached: true,
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  children.push(child);
  const guardian = child.pid === undefined ? undefined : guard(child.pid, "TERM");
  child.once("exit", (code) => {
    guardian?.kill("SIGKILL");
    end(code ?? 1);
  });
}

await main("dev", dev, HELP);
