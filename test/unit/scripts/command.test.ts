/** Output of commands to a pipe. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../../import-graph.ts";

it("ends in silence when the reader of its output ends first", { timeout: 20_000 }, async () => {
  const command = spawn(process.execPath, [join(ROOT, "scripts/deploy.ts"), "--help"]);
  command.stdout.destroy();
  let errors = "";
  command.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  expect(await once(command, "close")).toEqual([0, null]);
  expect(errors).toBe("");
});
