/**
 * Builds the Worker, the Pages Function and the page for the local runtime. A build is in a folder named by the hash
 * of its sources, so it is made once and never changes, and several runtimes can start at the same time without
 * interfering.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { join, relative, resolve } from "node:path";

/** The repository. */
export const ROOT = resolve(import.meta.dirname, "../..");

/** Content of the two wrangler.toml files that the runtime needs. */
export interface WorkerManifest {
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  readonly vars: Readonly<Record<string, string>>;
  /** binding → class */
  readonly durableObjects: Readonly<Record<string, string>>;
}

/** A finished build. */
export interface Build {
  /** holds worker/, functions/ and page/ */
  readonly dir: string;
  readonly worker: WorkerManifest;
  readonly web: WorkerManifest;
}

/** Settings under which wrangler stays quiet, offline and fast. */
export const WRANGLER_ENV = {
  X_LOCAL_OBSERVABILITY: "false",
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
};

/** Everything that a build depends on, relative to the repository. */
const SOURCES = ["core", "durable-objects", "workers", "client", "web", "wrangler.toml", "package-lock.json"];
const NOT_SOURCES = new Set(["node_modules", "dist", ".wrangler", "coverage"]);
/** Builds that are kept besides the newest: they may still be in use. */
const BUILDS_KEPT = 4;
/** Age at which an unfinished build counts as failed, ms. */
const BUILD_MS_MAX = 600_000;

/** Returns the build of the current sources, and makes it first if there is none. */
export async function build(root: string = ROOT, say: (line: string) => void = () => {}): Promise<Build> {
  const all = join(root, "dist/local");
  const dir = join(all, hashOf(root));
  if (!existsSync(dir)) {
    say("building the Worker and the page …");
    const work = join(all, `.${process.pid}-${Date.now()}`);
    mkdirSync(work, { recursive: true });
    try {
      await buildInto(root, work);
      if (!existsSync(dir)) renameSync(work, dir);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  const now = new Date();
  utimesSync(dir, now, now);
  prune(all);
  return { dir, ...readManifest(dir) };
}

/** The three build steps, in parallel. @throws Error with the output of the step that failed */
async function buildInto(root: string, out: string): Promise<void> {
  const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js");
  await Promise.all([
    run(root, [wrangler, "deploy", "--dry-run", "--outdir", join(out, "worker")]),
    run(join(root, "web"), [
      ...[join(root, "node_modules/vite/bin/vite.js"), "build", "-c", "vite.config.ts"],
      ...["--logLevel", "warn", "--outDir", join(out, "page"), "--emptyOutDir"],
    ]),
    run(join(root, "web"), [
      ...[wrangler, "pages", "functions", "build", "functions", "--outdir", join(out, "functions")],
      ...["--compatibility-date", compatibilityDateOf(join(root, "web/wrangler.toml"))],
    ]),
  ]);
  const manifest = {
    worker: await manifestOf(root, "wrangler.toml"),
    web: await manifestOf(root, "web/wrangler.toml"),
  };
  writeFileSync(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Runs Node with `args`; resolves when it exits with 0. */
export function run(cwd: string, args: readonly string[], output: "keep" | "show" = "keep"): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, args, {
      cwd,
      // a test runner sets NODE_ENV, which would build a development page that is several times slower
      env: { ...process.env, ...WRANGLER_ENV, NODE_ENV: "production" },
      // a group of its own: wrangler has children
      detached: true,
      stdio: ["ignore", output === "show" ? "inherit" : "pipe", output === "show" ? "inherit" : "pipe"],
    });
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    // a signal that ends this process ends the build too
    const end = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // it has ended meanwhile
      }
    };
    process.once("exit", end);
    child.once("error", fail);
    child.once("close", (code) => {
      process.off("exit", end);
      const command = args.map((arg) => relative(cwd, arg) || arg).join(" ");
      if (code === 0) done();
      else fail(new Error(`${command} ended with ${code}\n${text.trim()}`));
    });
  });
}

function compatibilityDateOf(toml: string): string {
  const found = /^compatibility_date\s*=\s*"([^"]+)"/m.exec(readFileSync(toml, "utf8"))?.[1];
  if (found === undefined) throw new Error(`${toml} has no compatibility_date`);
  return found;
}

/** The fields of wrangler's configuration that are used. */
interface WranglerConfig {
  readonly compatibility_date?: string;
  readonly compatibility_flags?: readonly string[];
  readonly vars?: Readonly<Record<string, unknown>>;
  readonly durable_objects?: {
    readonly bindings: readonly { readonly name: string; readonly class_name: string }[];
  };
}

async function manifestOf(root: string, config: string): Promise<WorkerManifest> {
  const module = createRequire(join(root, "package.json")).resolve("wrangler");
  const wrangler = (await import(module)) as {
    unstable_readConfig(args: { config: string }, options: { hideWarnings: boolean }): WranglerConfig;
  };
  const read = wrangler.unstable_readConfig({ config: join(root, config) }, { hideWarnings: true });
  return {
    compatibilityDate: read.compatibility_date ?? compatibilityDateOf(join(root, config)),
    compatibilityFlags: read.compatibility_flags ?? [],
    vars: Object.fromEntries(Object.entries(read.vars ?? {}).map(([name, value]) => [name, String(value)])),
    durableObjects: Object.fromEntries(
      (read.durable_objects?.bindings ?? []).map((b) => [b.name, b.class_name]),
    ),
  };
}

function readManifest(dir: string): { worker: WorkerManifest; web: WorkerManifest } {
  return JSON.parse(readFileSync(join(dir, "manifest.json"), "utf8")) as {
    worker: WorkerManifest;
    web: WorkerManifest;
  };
}

/** A hash of the content of every source file. */
function hashOf(root: string): string {
  const hash = createHash("sha256");
  for (const source of SOURCES) {
    for (const file of filesOf(join(root, source))) {
      hash
        .update(`${relative(root, file)}\0`)
        .update(readFileSync(file))
        .update("\0");
    }
  }
  hash.update(readFileSync(import.meta.filename));
  return hash.digest("hex").slice(0, 16);
}

/** The files at or under `path`, sorted; empty if there is no such path. */
export function filesOf(path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (!stat.isDirectory()) return [path];
  return readdirSync(path)
    .filter((name) => !NOT_SOURCES.has(name))
    .sort()
    .flatMap((name) => filesOf(join(path, name)));
}

function prune(all: string): void {
  const builds = readdirSync(all)
    .filter((name) => !name.startsWith("."))
    .map((name) => join(all, name))
    .map((dir) => ({ dir, used: statSync(dir, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.used - a.used);
  for (const { dir } of builds.slice(1 + BUILDS_KEPT)) rmSync(dir, { recursive: true, force: true });
  for (const name of readdirSync(all).filter((entry) => entry.startsWith("."))) {
    const dir = join(all, name);
    const started = statSync(dir, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - started > BUILD_MS_MAX) rmSync(dir, { recursive: true, force: true });
  }
}
