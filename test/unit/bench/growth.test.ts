/** The tables and the curve of the growth benchmark. */
import { describe, expect, it } from "vitest";
import { growthCurve } from "../../../bench/growth/curve.ts";
import { failuresOf, type GrowthRow, growthTable } from "../../../bench/growth/report.ts";
import { parentsOf, pathOf, SHAPES } from "../../../bench/load/tree.ts";

const report = (opsPerSecond: number, failed = 0) => ({
  ...{ opsPerSecond, p50Ms: 1, p99Ms: 2, count: 10, failed },
  ...(failed > 0 && { error: "UNKNOWN_OUTCOME: lost" }),
});

const ROWS: readonly GrowthRow[] = [
  {
    ...{ shape: "parents", znodes: 1_000, failed: {} },
    measures: { creates: report(12_345), wake: { medianMs: 90.5, ms: [90.5] } },
  },
  {
    ...{ shape: "parents", znodes: 100_000, failed: { wake: "not within 120 s" } },
    measures: { creates: report(3_069, 2) },
  },
];

describe("the table", () => {
  it("has a line per figure and a column per size, and reports what failed", () => {
    const text = growthTable(ROWS);
    expect(text).toContain("| znodes | 1,000 | 100,000 |");
    expect(text).toContain("| creates/s | 12,345 | 3,069 |");
    expect(text).toContain("| wake ms | 90.5 | failed |");
    // what nobody measured is left out
    expect(text).not.toContain("SNAP");
    for (const line of failuresOf(ROWS)) expect(text).toContain(line);
  });

  it("names failed measurements, and failed operations of those that succeeded", () => {
    expect(failuresOf(ROWS)).toEqual([
      "parents, 100,000 znodes: wake failed: not within 120 s",
      "parents, 100,000 znodes: 2 operations of creates failed: UNKNOWN_OUTCOME: lost",
    ]);
  });
});

describe("the curve", () => {
  it("draws each figure that has two points, and no other", () => {
    const svg = growthCurve(ROWS, "a title");
    expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    expect(svg.match(/class="title" x="56"/g)).toHaveLength(1);
    expect(svg).toContain(">creates/s</text>");
    expect(svg.match(/<circle class="parents"/g)).toHaveLength(2);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("draws nothing of a single size", () => {
    expect(growthCurve(ROWS.slice(0, 1), "one")).not.toContain("<circle");
  });
});

describe("a tree", () => {
  it("puts each znode under a parent that is created before", () => {
    for (const shape of SHAPES) {
      const parents = parentsOf(shape);
      const paths = [0, 1, 999, 1_000, 123_456].map((i) => pathOf(shape, i));
      expect(new Set(paths).size).toBe(paths.length);
      for (const path of paths) expect(parents).toContain(path.slice(0, path.lastIndexOf("/")));
    }
  });
});
