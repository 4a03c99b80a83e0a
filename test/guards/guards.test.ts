/**
 * Each guard works: if it is violated in a copy of the repository, CI's command fails with a line that names the
 * rule.
 */
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { type Outcome, Scratch } from "./scratch.ts";

const scratch = new Scratch();
afterEach(() => scratch.restore());
afterAll(() => scratch.remove());

const lint = (): Outcome => scratch.npm("run", "--silent", "lint");
const lintTypes = (): Outcome => scratch.npm("run", "--silent", "lint:types");
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
    refusal(scratch.npm("run", "--silent", "check:commits"), "TIDY-8");
  });

  it("[TIDY-8] begins with a verb, not with a noun", () => {
    scratch.commit("fix(zab): bug in the election");
    const { output } = scratch.npm("run", "--silent", "check:commits");
    expect(output).toContain("added to VERBS in scripts/local/commit-subject.ts");
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
  it("[TIDY-2] the core takes no clock and no randomness, by whatever syntax", () => {
    scratch.append(
      "core/units.ts",
      "const { now } = Date;\nconst { random } = Math;\n" +
        'export function* load() {\n  yield import("./ids.ts");\n  return now() + random();\n}\n',
    );
    const lines = refusal(tidy(), "[TIDY-2]").join("\n");
    for (const what of ["Date", "Math without a member", "import()"])
      expect(lines).toContain(`core/units.ts: ${what}`);
  });

  it("[TIDY-19] the simulator's engine takes nothing of Node", () => {
    scratch.append("sim/engine.ts", 'export const started = process.hrtime();\nimport "node:fs";\n');
    expect(refusal(typecheck(), "sim/engine.ts").join("\n")).toContain("process");
    expect(refusal(tidy(), "TIDY-19").join("\n")).toContain("sim/engine.ts → node:fs");
  });

  it("[TIDY-1] an outward import of a type counts", () => {
    scratch.append(
      "core/units.ts",
      'export type { NodeEnv } from "../durable-objects/zooweeper-node/config.ts";\n',
    );
    expect(refusal(tidy(), "TIDY-1").join("\n")).toContain("core/units.ts → durable-objects/");
  });

  it("[TIDY-3] the page runs no code of the Worker", () => {
    scratch.append(
      "web/src/api/types.ts",
      'export { statJson } from "../../../workers/api/znodes/answers.ts";\n',
    );
    refusal(tidy(), "TIDY-3");
  });

  it("[TIDY-10] two files that import types of each other are a circle", () => {
    scratch.append("core/server/ids.ts", 'export type { ServerEffect } from "./effects.ts";\n');
    expect(refusal(tidy(), "TIDY-10").join("\n")).toContain("core/server/effects.ts, core/server/ids.ts");
  });

  it("[TIDY-11] zab knows nothing of the tree", () => {
    scratch.append("core/zab/membership.ts", 'export type { ZnodeRow } from "../znode/stat.ts";\n');
    expect(refusal(tidy(), "TIDY-11").join("\n")).toContain(
      "zab: core/zab/membership.ts → core/znode/stat.ts",
    );
  });
});

describe("exports", () => {
  it("[TIDY-12] that no code uses are refused", () => {
    scratch.append("core/units.ts", "export const FOR_A_TEST = 1;\n");
    expect(refusal(tidy(), "TIDY-12").join("\n")).toContain("core/units.ts: FOR_A_TEST");
  });

  it("[TIDY-12] that only they themselves use are refused", () => {
    scratch.append(
      "core/units.ts",
      "export const dead = (n: number): number => (n > 0 ? dead(n - 1) : 0);\n",
    );
    expect(refusal(tidy(), "TIDY-12").join("\n")).toContain("core/units.ts: dead");
  });
});

describe("a reader", () => {
  it("[TIDY-16] finds a rule in the file of its namespace", () => {
    scratch.append("docs/spec/hash.md", "| WIRE-99 | Strings are short. |\n");
    expect(refusal(tidy(), "TIDY-16").join("\n")).toContain("docs/spec/hash.md: WIRE-99");
  });

  it("[TIDY-17] finds a comment at most exports", () => {
    const names = Array.from({ length: 60 }, (_, i) => `export const GUESS_${i} = ${i};\n`);
    scratch.append("bench/statistics.ts", names.join(""));
    expect(refusal(tidy(), "TIDY-17").join("\n")).toContain("bench/statistics.ts: GUESS_59");
  });

  it("[TIDY-18] finds no long class and no long file", () => {
    scratch.append("core/units.ts", `/** Long. */\nexport class Long {\n${"  // …\n".repeat(600)}}\n`);
    const lines = refusal(tidy(), "TIDY-18").join("\n");
    expect(lines).toContain("core/units.ts: Long has 602 lines");
    expect(lines).toMatch(/core\/units\.ts has \d+ lines/);
  });

  it("[TIDY-18] finds no long class in an expression", () => {
    scratch.append("core/units.ts", `export const Long = class {\n${"  // …\n".repeat(563)}};\n`);
    expect(refusal(tidy(), "TIDY-18").join("\n")).toContain("core/units.ts: Long has 565 lines");
  });

  it("[TIDY-4] finds a rule in a test's title, not in a comment", () => {
    scratch.append("docs/spec/tidy.md", "| TIDY-99 | Nobody checks this. |\n");
    scratch.append("test/source.test.ts", "// [TIDY-99]\n");
    expect(refusal(tidy(), "TIDY-99").join("\n")).toContain('"TIDY-99"');
  });

  it("[TIDY-14] finds no set of the names of messages", () => {
    scratch.append("core/server/quiet.ts", 'export const LIVE = new Set(["PING", "TOUCH"]);\n');
    expect(refusal(tidy(), "[TIDY-14]").join("\n")).toContain("core/server/quiet.ts: a set of PING, TOUCH");
  });

  it("[TIDY-20] finds what a link names, and one comment at a declaration", () => {
    scratch.append("core/units.ts", "/** Old. */\n/** See {@link Gone}. */\nexport const GONE = 1;\n");
    const lines = refusal(tidy(), "[TIDY-20]").join("\n");
    expect(lines).toContain("core/units.ts: {@link Gone}");
    expect(lines).toContain("core/units.ts: Old.");
  });
});

describe("stubs", () => {
  it("[TIDY-21] are opened in files that limit the depth of calls only", () => {
    scratch.append(
      "durable-objects/shared/timeout.ts",
      'export const stubOf = (all: DurableObjectNamespace) => all.get(all.idFromName("default/1"));\n',
    );
    expect(refusal(tidy(), "[TIDY-21]").join("\n")).toContain(
      "durable-objects/shared/timeout.ts opens a stub",
    );
  });
});

describe("promises", () => {
  it("[TIDY-13] are awaited, and not given to a caller that does not await", () => {
    scratch.append(
      "durable-objects/shared/timeout.ts",
      "export const lose = (storage: DurableObjectStorage): void => {\n  storage.sync();\n};\n" +
        "export const loseAll = (all: readonly number[]): void => {\n  all.forEach(async (ms) => pause(ms));\n};\n",
    );
    const outcome = lintTypes();
    for (const rule of ["no-floating-promises", "no-misused-promises"])
      expect(refusal(outcome, rule).join("\n")).toContain("durable-objects/shared/timeout.ts");
  });
});

describe("a new member of a union", () => {
  it("[TIDY-14] is handled: an effect of the server, a durable write", () => {
    scratch.replace(
      "core/server/effects.ts",
      "export type ServerEffect =\n",
      'export type ServerEffect =\n  | { readonly type: "unheard" }\n',
    );
    scratch.replace(
      "core/zab/effects.ts",
      "export type DurableWrite =\n",
      'export type DurableWrite =\n  | { readonly type: "unheard" }\n',
    );
    const lines = refusal(lintTypes(), "switch-exhaustiveness-check").join("\n");
    expect(lines).toContain("durable-objects/zooweeper-node/run-effects.ts");
    expect(lines).toContain("core/server/storage.ts");
    expect(refusal(typecheck(), "error TS").join("\n")).toContain("core/server/storage.ts");
  });

  it("[TIDY-14] has a place in each table: a message of Zab", () => {
    scratch.replace(
      "core/zab/messages.ts",
      "export type ZabMessage = ",
      'export type ZabMessage = { readonly type: "UNHEARD" } | ',
    );
    const lines = refusal(typecheck(), "error TS").join("\n");
    expect(lines).toContain("core/zab/dispatch.ts");
    expect(lines).toContain("core/server/quiet.ts");
  });

  it("[TIDY-14] has a place in each table: an opcode, a txn, a read", () => {
    scratch.replace("core/wire/jute/opcodes.ts", "  WHO_AM_I: 107,\n", "  WHO_AM_I: 107,\n  UNHEARD: 108,\n");
    for (const union of ["Txn", "ReadRequest"]) {
      scratch.replace(
        "core/znode/types.ts",
        `export type ${union} =\n`,
        `export type ${union} =\n  | { readonly type: "unheard${union}" }\n`,
      );
    }
    const lines = refusal(typecheck(), "error TS");
    const tables = ["core/wire/jute/ops/table.ts", "core/wire/txn-body.ts", "core/znode/ops/table.ts"];
    for (const table of tables) expect(lines.some((line) => line.startsWith(table))).toBe(true);
  });
});
