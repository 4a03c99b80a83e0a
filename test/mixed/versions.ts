/**
 * One Worker that contains several versions of this repository: each member runs one of them, and may change it when
 * it restarts.
 */
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Build, build, ROOT, run } from "../../scripts/local/build.ts";

/** What a version of the Worker is built from. */
const SOURCES = ["core", "durable-objects", "workers", "wrangler.toml", "package.json", "tsconfig.json"];

/** A version: the name of its folder in the Worker. */
export type Label = "first" | "old" | "before" | "new" | "next";

const LABELS: readonly Label[] = ["first", "old", "before", "new", "next"];

/** A change of a source text, as a later version may make it. `from` must be in the file once. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Does this clone hold the commit? One that is shallow may not. */
const holds = (commit: string): boolean => {
  try {
    execFileSync("git", ["cat-file", "-e", `${commit}^{tree}`], { cwd: ROOT, stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

/**
 * The commit of an earlier version as the file `base` records it, else the commit before this one; undefined: the clone holds
 * neither. `first` wrote the oldest state that is still read; `old` is the last commit of the version before this one, to which
 * a deploy can be taken back. Brokers can be taken back to `before`: `old` cannot write to rows that have a checksum.
 */
export function baseCommit(label: "first" | "old" | "before"): string | undefined {
  const lines = readFileSync(join(import.meta.dirname, "base"), "utf8").split("\n");
  const recorded = lines.find((line) => line.startsWith(`${label} `))?.slice(label.length + 1);
  return [recorded ?? "", "HEAD~1"].find(holds);
}

/** The Worker of an earlier version has its objects only: the API needs packages that may not be installed any more. */
const OBJECTS = `
export { ZooWeeperNode } from "../durable-objects/zooweeper-node/zooweeper-node.ts";
export { Broker } from "../durable-objects/broker/broker.ts";
export { TopicPartition } from "../durable-objects/topic-partition/topic-partition.ts";
export default {};
`;

/** The objects of a commit. */
function checkOut(commit: string, to: string): void {
  const archive = execFileSync("git", ["archive", commit, ...SOURCES], {
    cwd: ROOT,
    maxBuffer: 256 * 1024 * 1024,
  });
  execFileSync("tar", ["-x", "-C", to], { input: archive });
  writeFileSync(join(to, "workers/index.ts"), OBJECTS);
}

/** The source as it is here, with some changes. */
function copy(to: string, edits: readonly Edit[]): void {
  for (const source of SOURCES) cpSync(join(ROOT, source), join(to, source), { recursive: true });
  for (const { file, from, to: text } of edits) {
    const path = join(to, file);
    const parts = readFileSync(path, "utf8").split(from);
    if (parts.length !== 2) throw new Error(`${file} has ${JSON.stringify(from)} ${parts.length - 1} times`);
    writeFileSync(path, parts.join(text));
  }
}

async function bundle(root: string, out: string): Promise<void> {
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
  const wrangler = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  await run(root, [wrangler, "deploy", "--dry-run", "--outdir", out]);
}

/**
 * The Worker's entry. A member, a broker (`broker 0`) and all partitions (`partitions`) are of the version that `POST /mixed`
 * has set for them when they start, else of `START`. The API is that of this version.
 */
const entry = (labels: readonly Label[]): string => `
import { DurableObject } from "cloudflare:workers";
${labels.map((label) => `import * as ${label}_ from "./${label}/index.js";`).join("\n")}
const versions = { ${labels.map((label) => `${label}: ${label}_`).join(", ")} };
const chosen = new Map();
const count = new Map();
const add = (sid, what) => {
  const counts = count.get(sid) ?? { starts: 0, calls: 0 };
  counts[what] += 1;
  count.set(sid, counts);
};
const labelOf = (env, part) => chosen.get(String(part)) ?? JSON.parse(env.START)[part] ?? "new";
const sidOf = (env, id) => {
  for (let sid = 1; sid <= 9; sid++)
    if (env.ZOOWEEPER_NODE.idFromName("default/" + sid).toString() === id.toString()) return sid;
  throw new Error("no member of the default ensemble");
};
const counted = (Node, sid) => class extends Node {
  channel(...args) { add(sid, "calls"); return super.channel(...args); }
  park(...args) { add(sid, "calls"); return super.park(...args); }
};
export class ZooWeeperNode extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    const sid = sidOf(env, ctx.id);
    add(sid, "starts");
    return new (counted(versions[labelOf(env, sid)].ZooWeeperNode, sid))(ctx, env);
  }
}
export class Broker extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    return new versions[labelOf(env, "broker " + ctx.id.name.split("/")[1])].Broker(ctx, env);
  }
}
export class TopicPartition extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    return new versions[labelOf(env, "partitions")].TopicPartition(ctx, env);
  }
}
export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (url.pathname !== "/mixed") return versions.new.default.fetch(request, env, ctx);
    if (request.method === "POST")
      for (const [part, label] of Object.entries(await request.json())) chosen.set(part, label);
    return Response.json(Object.fromEntries(count));
  },
};
`;

/**
 * Builds the Worker. An earlier version that the clone does not hold is played by this one.
 * @param next what the version after this one changes
 */
export async function buildMixed(next: readonly Edit[]): Promise<Build> {
  const here = await build();
  const work = mkdtempSync(join(tmpdir(), "mixed-"));
  const dir = join(work, "build");
  cpSync(join(here.dir, "page"), join(dir, "page"), { recursive: true });
  cpSync(join(here.dir, "functions"), join(dir, "functions"), { recursive: true });
  const source = (label: Label): string => {
    const path = join(work, label);
    mkdirSync(path);
    return path;
  };
  for (const label of LABELS) {
    const root = source(label);
    const commit = label === "new" || label === "next" ? undefined : baseCommit(label);
    if (commit === undefined) copy(root, label === "next" ? next : []);
    else checkOut(commit, root);
    await bundle(root, join(dir, "worker", label));
    if (!existsSync(join(dir, "worker", label, "index.js"))) throw new Error(`${label} has no index.js`);
    rmSync(root, { recursive: true, force: true });
  }
  writeFileSync(join(dir, "worker/index.js"), entry(LABELS));
  return { ...here, dir };
}

export function removeBuild({ dir }: Build): void {
  rmSync(dirname(dir), { recursive: true, force: true });
}
