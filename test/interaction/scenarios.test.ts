import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseScenario, runScenario } from "./runner.ts";

const FOLDER = join(import.meta.dirname, "scenarios");
const { RECORD } = process.env;
const files = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));

describe("scenarios", () => {
  for (const file of files) {
    it(`[SIM-4] ${file.replace(".txt", "")}`, () => {
      const path = join(FOLDER, file);
      const before = readFileSync(path, "utf8");
      const after = runScenario(before);
      // Record again with RECORD=1, and commit a changed trace only when every line can be explained.
      if (RECORD === "1") writeFileSync(path, after);
      else expect(after).toBe(before);
    });
  }

  it("[SIM-4] are there", () => {
    expect(files.length).toBeGreaterThan(5);
  });

  it("[SIM-4] of which one line is changed are not the same", () => {
    const path = join(FOLDER, "election-three-peers.txt");
    const text = readFileSync(path, "utf8");
    expect(parseScenario(text).length).toBeGreaterThan(3);
    const changed = text.replace("LEADERINFO e1", "LEADERINFO e2");
    expect(changed).not.toBe(text);
    expect(runScenario(changed)).toBe(text);
  });

  it("[SIM-4] with an unknown command are refused", () => {
    expect(() => runScenario("cluster size=3\n----\n\ndance\n----\n")).toThrow("no command");
    expect(() => runScenario("settle\n----\n")).toThrow("begins with");
  });
});
