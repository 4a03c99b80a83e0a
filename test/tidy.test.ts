/** What a reader relies on: the rings point inward only, the core is pure, and every rule of the specification has a test. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");

function filesUnder(folder: string, ending: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes("node_modules") && !path.includes("/dist/"));
}

const SOURCE = /\.tsx?$/;

/** *map ring → what it may import from*, by the first part of the path */
const RINGS: Readonly<Record<string, readonly string[]>> = {
  core: ["core"],
  "durable-objects": ["core", "durable-objects"],
  workers: ["core", "durable-objects", "workers"],
  client: ["core", "client"],
};

/** Value imports, not types: a type costs nothing at run time and may be shared outward. */
const IMPORT = /^\s*(?:import|export)\s(?!type\b)[^;]*?from\s+"([^"]+)"/gm;

function importsOf(file: string): string[] {
  return [...readFileSync(join(ROOT, file), "utf8").matchAll(IMPORT)].map((match) => match[1] ?? "");
}

describe("the rings", () => {
  for (const [ring, allowed] of Object.entries(RINGS)) {
    it(`[TIDY-1] ${ring} imports from ${allowed.join(", ")} only`, () => {
      const wrong: string[] = [];
      for (const file of filesUnder(ring, SOURCE)) {
        for (const target of importsOf(file)) {
          if (!target.startsWith(".")) continue;
          const ringOf = relative(ROOT, resolve(ROOT, dirname(file), target)).split("/")[0] ?? "";
          if (!allowed.includes(ringOf)) wrong.push(`${file} → ${target}`);
        }
      }
      expect(wrong).toEqual([]);
    });
  }

  it("[TIDY-2] the core has no dependency, clock, randomness, promise or platform", () => {
    const wrong: string[] = [];
    const impure =
      /\b(Date\.now|new Date|Math\.random|performance\.now|setTimeout|console\.|Promise|async |await |crypto\.)/;
    for (const file of filesUnder("core", SOURCE)) {
      for (const target of importsOf(file)) if (!target.startsWith(".")) wrong.push(`${file} → ${target}`);
      const code = readFileSync(join(ROOT, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      const match = impure.exec(code);
      if (match !== null) wrong.push(`${file}: ${match[0]}`);
    }
    expect(wrong).toEqual([]);
  });

  it("[TIDY-3] the page takes types from the API and nothing else of the Worker", () => {
    const wrong = filesUnder("web/src", SOURCE).flatMap((file) =>
      importsOf(file)
        .filter((target) => target.startsWith("."))
        .filter((target) => !relative(ROOT, resolve(ROOT, dirname(file), target)).startsWith("web/"))
        .map((target) => `${file} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe("the specification", () => {
  const RULE = /^(?:- \*{0,2}\[?|\| )([A-Z]+-\d+)/gm;
  const CITED = /\[([A-Z]+-\d+)\]/g;
  const spec = filesUnder("docs/spec", /\.md$/).map((file) => readFileSync(join(ROOT, file), "utf8"));
  const rules = new Set(spec.flatMap((text) => [...text.matchAll(RULE)].map((match) => match[1] ?? "")));
  const tests = filesUnder("test", /\.test\.ts$|contract\/.*\.ts$/);
  const cited = new Set(
    tests.flatMap((file) =>
      [...readFileSync(join(ROOT, file), "utf8").matchAll(CITED)].map((match) => match[1] ?? ""),
    ),
  );

  it("[TIDY-7] no two rules have one id", () => {
    const ids = spec.flatMap((text) => [...text.matchAll(RULE)].map((match) => match[1] ?? ""));
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  it("[TIDY-4] every rule has a test that cites it", () => {
    expect([...rules].filter((rule) => !cited.has(rule))).toEqual([]);
  });

  it("[TIDY-5] every rule that a test cites is written down", () => {
    expect([...cited].filter((rule) => !rules.has(rule))).toEqual([]);
  });
});

describe("the documents", () => {
  /** target of a link or an image, without its fragment */
  const LINK = /\]\(([^)\s#]+)[^)]*\)/g;
  const FOLDERS = readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !/^(\.|node_modules$|dist$)/.test(entry.name))
    .map((entry) => entry.name);
  const documents = [
    ...readdirSync(ROOT).filter((name) => name.endsWith(".md")),
    ...FOLDERS.flatMap((folder) => filesUnder(folder, /\.md$/)),
  ];

  it("[TIDY-6] every relative link and image of a document leads to a file", () => {
    const wrong = documents.flatMap((file) => {
      const text = readFileSync(join(ROOT, file), "utf8").replaceAll(/^```[\s\S]*?^```|`[^`\n]*`/gm, "");
      return [...text.matchAll(LINK)]
        .map((match) => match[1] ?? "")
        .filter((target) => !/^[a-z]+:/i.test(target))
        .filter((target) => !existsSync(join(ROOT, dirname(file), target)))
        .map((target) => `${file} → ${target}`);
    });
    expect(documents).toContain("README.md");
    expect(wrong).toEqual([]);
  });
});
