/** `npm run check:types`: checks that `worker-configuration.d.ts` is the output of `npm run types`. */
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./local/build.ts";
import { main } from "./local/command.ts";

const FILE = "worker-configuration.d.ts";
/** beside FILE, because the types name the Worker relative to their own folder; ignored by git */
const FRESH = "worker-configuration.fresh.d.ts";

/** `wrangler types --check` compares hashes of its input only, and so misses an edit of the file itself. */
const check = async (): Promise<void> => {
  const fresh = join(ROOT, FRESH);
  try {
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    execFileSync(npm, ["run", "--silent", "types", "--", FRESH], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    // its first lines contain the command
    const text = readFileSync(fresh, "utf8").replace(` ${FRESH}`, "");
    if (text !== readFileSync(join(ROOT, FILE), "utf8"))
      throw new Error(`[TIDY-9] ${FILE} is not what its generator writes: run npm run types`);
  } finally {
    rmSync(fresh, { force: true });
  }
};

await main("check-types", check);
