/** Each guard bites: broken in a copy of the repository, it makes the command of CI fail with a line that names the rule. */
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { type Outcome, Scratch } from "./scratch.ts";

const scratch = new Scratch();
afterEach(() => scratch.restore());
afterAll(() => scratch.remove());

const lint = (): Outcome => scratch.npm("run", "--silent", "lint");
const typecheck = (): Outcome => scratch.npm("run", "--silent", "typecheck");
const tidy = (): Outcome =>
  scratch.npm("exec", "--", "vitest", "run", "--project", "unit", "test/tidy.test.ts");

/** The lines of a failed command that name the rule. */
function refusal({ code, output }: Outcome, rule: string): string[] {
  expect(code, output).not.toBe(0);
  const lines = output.split("\n").filter((line) => line.includes(rule));
  expect(lines, output).not.toEqual([]);
  return lines;
}

describe("without a break", () => {
  it.each([
    ["lint", lint],
    ["typecheck", typecheck],
    ["test/tidy.test.ts", tidy],
  ])("%s passes", (_, command) => {
    const { code, output } = command();
    expect(code, output).toBe(0);
  });
});

describe("the subject of a commit", () => {
  it("[TIDY-8] has at most 60 characters", () => {
    const subject = `fix(zab): keep ${"x".repeat(55)}`;
    scratch.commit(subject);
    expect(refusal(lint(), "TIDY-8").join("\n")).toContain(subject);
  });

  it("[TIDY-8] begins with an imperative", () => {
    scratch.commit("fix(zab): a late answer goes to its request");
    refusal(lint(), "TIDY-8");
  });
});

describe("generated types", () => {
  it("[TIDY-9] are what their generator writes", () => {
    scratch.replace("worker-configuration.d.ts", "LOCAL: string;", "LOCAL: boolean;");
    refusal(typecheck(), "TIDY-9");
  });

  it("[TIDY-9] follow wrangler.toml", () => {
    scratch.replace("wrangler.toml", 'LOCAL = "off"', 'LOCALS = "off"');
    refusal(typecheck(), "TIDY-9");
  });
});

describe("imports", () => {
  it("[TIDY-1] an outward import of a type counts", () => {
    scratch.append(
      "core/units.ts",
      'export type { NodeEnv } from "../durable-objects/zooweeper-node/zooweeper-node.ts";\n',
    );
    expect(refusal(tidy(), "TIDY-1").join("\n")).toContain("core/units.ts → durable-objects/");
  });

  it("[TIDY-3] the page runs no code of the Worker", () => {
    scratch.append(
      "web/src/api/types.ts",
      'export { statJson } from "../../../workers/api/schema/answers.ts";\n',
    );
    refusal(tidy(), "TIDY-3");
  });

  it("[TIDY-10] two files that import types of each other are a circle", () => {
    scratch.append("core/server/ids.ts", 'export type { ServerEffect } from "./effects.ts";\n');
    expect(refusal(tidy(), "TIDY-10").join("\n")).toContain("core/server/effects.ts, core/server/ids.ts");
  });

  it("[TIDY-11] zab knows nothing of the tree", () => {
    scratch.append("core/zab/quorum.ts", 'export type { ZnodeRow } from "../znode/stat.ts";\n');
    expect(refusal(tidy(), "TIDY-11").join("\n")).toContain("zab: core/zab/quorum.ts → core/znode/stat.ts");
  });
});

describe("exports", () => {
  it("[TIDY-12] that no code uses are refused", () => {
    scratch.append("core/units.ts", "export const FOR_A_TEST = 1;\n");
    expect(refusal(tidy(), "TIDY-12").join("\n")).toContain("core/units.ts: FOR_A_TEST");
  });
});
