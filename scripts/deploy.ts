/**
 * `npm run deploy`: the Worker and the Pages project to Cloudflare. `--dry-run` builds both and uploads nothing.
 * The first time: `npx wrangler login`, `npx wrangler pages project create zooweeper-web --production-branch main`, and after the
 * deployment `npx wrangler secret put ZOOWEEPER_TOKEN`, without which every write is refused.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT, run } from "./local/build.ts";
import { main, readOptions } from "./local/command.ts";

const PROJECT = "zooweeper-web";
const wrangler = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
const vite = join(ROOT, "node_modules/vite/bin/vite.js");
const web = join(ROOT, "web");

const HELP = `usage: npm run deploy -- [--dry-run]

Builds the Worker and the page, and uploads both to Cloudflare. The first time:
  npx wrangler login
  npx wrangler pages project create ${PROJECT} --production-branch main
and after the deployment, since writes are refused without it:
  npx wrangler secret put ZOOWEEPER_TOKEN

  --dry-run        build both and upload nothing
  --help           print this`;

const deploy = async (): Promise<void> => {
  const { values } = readOptions({ options: { "dry-run": { type: "boolean" } } });
  const out = join(ROOT, "dist/deploy");
  rmSync(out, { recursive: true, force: true });
  // the page is built first: a page that does not build must not leave a new Worker behind
  await run(web, [vite, "build", "-c", "vite.config.ts", "--logLevel", "warn"], "show");
  const functions = [
    wrangler,
    "pages",
    "functions",
    "build",
    "functions",
    "--outdir",
    join(out, "functions"),
  ];
  await run(web, functions, "show");
  await run(ROOT, [wrangler, "deploy", "--dry-run", "--outdir", join(out, "worker")], "show");
  if (values["dry-run"] === true) {
    process.stdout.write("dry run: the Worker, the page and its Function are built; nothing was uploaded\n");
    return;
  }
  await run(ROOT, [wrangler, "deploy"], "show");
  await run(web, [wrangler, "pages", "deploy", "dist", "--project-name", PROJECT], "show");
};

await main("deploy", deploy, HELP);
