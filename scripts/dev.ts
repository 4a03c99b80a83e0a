/**
 * `npm run dev`: the Worker under `wrangler dev` (Miniflare) and the page under Vite, both reloading what changes.
 * The page on http://localhost:5173, the Worker's API on http://localhost:8787.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { ROOT, WRANGLER_ENV } from "./local/build.ts";
import { guard } from "./local/guard.ts";

const vars = ["ENSEMBLE_SIZE:3", "BROKER_COUNT:3", "FAULTS:on", "LOCAL:on"];
const commands = [
  ["node_modules/wrangler/bin/wrangler.js", "dev", ...vars.flatMap((value) => ["--var", value])],
  ["node_modules/vite/bin/vite.js", "dev", "-c", "web/vite.config.ts"],
];

const children: ChildProcess[] = [];
let ending = false;
function end(code: number): void {
  if (ending) return;
  ending = true;
  process.exitCode = code;
  for (const child of children) child.kill("SIGTERM");
}

for (const command of commands) {
  const child = spawn(
    process.execPath,
    command.map((part, i) => (i === 0 ? join(ROOT, part) : part)),
    {
      cwd: ROOT,
      env: { ...process.env, ...WRANGLER_ENV },
      // out of the terminal's group: wrangler ends its own children when it is asked to, once
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
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => end(0));
