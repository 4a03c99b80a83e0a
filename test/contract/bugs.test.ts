import { execFile } from "node:child_process";
import { describe, expect, it } from "vitest";
import { STORE_BUGS } from "../../sim/node/bugs/store.ts";
import { commandWithBug } from "../../sim/node/patch-core.ts";

const HUNT = new URL("./hunt.ts", import.meta.url).pathname;

/** @returns what the first history prints that fails with this bug in the core; "": none fails */
const hunt = (bug?: string): Promise<string> => {
  const { args, env } = bug === undefined ? { args: [], env: process.env } : commandWithBug(bug);
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [...args, HUNT], { env }, (error, stdout, stderr) => {
      if (error !== null && stdout === "") reject(new Error(stderr));
      else resolve(stdout);
    });
  });
};

describe("the contract of tree and store", () => {
  it("[ZNODE-42] passes with the core as it is", async () => {
    expect(await hunt()).toBe("");
  });

  for (const { name, what } of STORE_BUGS) {
    it(`[ZNODE-42] finds the seeded bug ${name}: ${what}`, async () => {
      expect(await hunt(name)).toMatch(/^seed \d+: /);
    });
  }
});
