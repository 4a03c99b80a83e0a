/**
 * Rules of the source: imports point inward only, the core is pure, every rule of the specification has a test, and
 * so on (`docs/spec/tidy.md`).
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { RULES } from "../sim/checkers/rules.ts";
import { BUGS } from "../sim/node/bugs.ts";
import { FAULT_KINDS } from "../sim/swarm.ts";
import { unreachedFiles, unusedExports } from "./exports.ts";
import { circlesOf, codeOf, filesUnder, importGraph, importsOf, ROOT } from "./import-graph.ts";
import { impuritiesIn } from "./purity.ts";
import {
  citedIn,
  classesIn,
  exportsIn,
  linesOf,
  linksToNothing,
  searchedNames,
  setsOfNames,
  strayComments,
  typeNamesIn,
} from "./source.ts";
import { syntaxOf } from "./syntax.ts";

const SOURCE = /\.tsx?$/;

/** Parts of the shell that simulated members run as they are: none of them uses the platform. */
const SIMULATED_SHELL = ["call-order", "deadline-alarm", "guarded"].map(
  (name) => `durable-objects/shared/${name}`,
);

/** *map ring → what it may import from*, by the first part of the path. A type counts as any other import. */
const RINGS: Readonly<Record<string, readonly string[]>> = {
  core: ["core"],
  "durable-objects": ["core", "durable-objects"],
  workers: ["core", "durable-objects", "workers"],
  sim: ["core", "sim", ...SIMULATED_SHELL, "scripts/local/options"],
  client: ["core", "client"],
  web: ["web", "workers/api/schema"],
  scripts: ["core", "durable-objects", "workers", "scripts"],
  bench: ["core", "client", "scripts", "bench"],
};

/**
 * The rooms of the core, innermost first: a room imports from itself and from earlier ones. Those of one line do not know
 * each other.
 */
const ROOMS: readonly (readonly { readonly name: string; readonly files: RegExp }[])[] = [
  [{ name: "shared values", files: /^core\/[^/]+\.ts$/ }],
  [{ name: "hash", files: /^core\/hash\// }],
  [{ name: "wire primitives", files: /^core\/wire\/(reader|writer|utf8|intern|data-pool)\.ts$/ }],
  [{ name: "zab", files: /^core\/zab\// }],
  [{ name: "znode", files: /^core\/znode\// }],
  [{ name: "codecs", files: /^core\/wire\// }],
  [
    { name: "server", files: /^core\/server\// },
    { name: "broker", files: /^core\/broker\// },
  ],
  [{ name: "demo", files: /^core\/demo\// }],
];

/** Level and name of the room of a file: the first that matches. */
function roomOf(file: string): { readonly level: number; readonly name: string } {
  for (const [level, rooms] of ROOMS.entries())
    for (const { name, files } of rooms) if (files.test(file)) return { level, name };
  throw new Error(`${file} is in no room of the core`);
}

describe("the rings", () => {
  for (const [ring, allowed] of Object.entries(RINGS)) {
    it(`[TIDY-1] ${ring} imports from ${allowed.join(", ")} only`, () => {
      const files = filesUnder(ring, SOURCE);
      expect(files.length).toBeGreaterThan(0);
      const wrong = files.flatMap((file) =>
        importsOf(file)
          .filter(
            ({ target, isPackage }) =>
              !isPackage && !allowed.some((each) => target.startsWith(`${each}/`) || target === `${each}.ts`),
          )
          .map(({ target }) => `[TIDY-1] ${file} → ${target}`),
      );
      expect(wrong).toEqual([]);
    });
  }

  it("[TIDY-2] the core has no dependency, clock, randomness, promise or platform", () => {
    const wrong: string[] = [];
    for (const file of filesUnder("core", SOURCE)) {
      for (const { target, isPackage } of importsOf(file))
        if (isPackage) wrong.push(`[TIDY-2] ${file} → ${target}`);
      for (const what of impuritiesIn(syntaxOf(file))) wrong.push(`[TIDY-2] ${file}: ${what}`);
    }
    expect(wrong).toEqual([]);
  });

  it("[TIDY-19] the simulator uses a platform in sim/node only", () => {
    const wrong: string[] = [];
    for (const file of filesUnder("sim", SOURCE)) {
      if (file.startsWith("sim/node/")) continue;
      for (const { target, isPackage } of importsOf(file))
        if (isPackage || target.startsWith("sim/node/") || target.startsWith("scripts/"))
          wrong.push(`[TIDY-19] ${file} → ${target}`);
      for (const what of impuritiesIn(syntaxOf(file), ["Promise"])) wrong.push(`[TIDY-19] ${file}: ${what}`);
    }
    expect(wrong).toEqual([]);
  });

  it("[TIDY-3] the page takes types from the API's schema and nothing else of the Worker", () => {
    const wrong = filesUnder("web", SOURCE).flatMap((file) =>
      importsOf(file)
        .filter(({ target, isPackage, isType }) => !isPackage && !isType && !target.startsWith("web/"))
        .map(({ target }) => `[TIDY-3] ${file} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it("[TIDY-10] no files import each other in a circle, types included", () => {
    const circles = circlesOf(importGraph([...Object.keys(RINGS), "test"]));
    expect(circles.map((files) => `[TIDY-10] ${files.join(", ")}`)).toEqual([]);
  });

  it("[TIDY-11] a room of the core imports from itself and from rooms further in only", () => {
    const wrong = [...importGraph(["core"])].flatMap(([file, targets]) => {
      const from = roomOf(file);
      return targets
        .filter((target) => {
          const to = roomOf(target);
          return to.level > from.level || (to.level === from.level && to.name !== from.name);
        })
        .map((target) => `[TIDY-11] ${from.name}: ${file} → ${target}`);
    });
    expect(wrong).toEqual([]);
  });
});

/** Files that open stubs of other objects, with the reason why the depth of their calls stays limited (decision 0017). */
const STUB_OPENERS: Readonly<Record<string, string>> = {
  "durable-objects/broker/broker.ts": "its programs open stubs in root events",
  "durable-objects/topic-partition/topic-partition.ts":
    "the broker opens no stub in the event that is called",
  "durable-objects/zooweeper-node/fault-orders.ts": "in a root event, or while no deep call is under way",
  "durable-objects/zooweeper-node/sleep.ts": "in a root event, or while no deep call is under way",
  "durable-objects/zooweeper-node/zooweeper-node.ts":
    "a link opens its stub in a root event, or while no deep call is under way",
};

describe("the objects", () => {
  it("[TIDY-21] open stubs of other objects only in files that limit the depth of calls", () => {
    // a stub needs an id, or a name
    const opens = /\b(idFromName|idFromString|newUniqueId|getByName)\b/;
    const openers = filesUnder("durable-objects", SOURCE).filter((file) => opens.test(codeOf(file)));
    const unknown = openers.filter((file) => !(file in STUB_OPENERS));
    expect(unknown.map((file) => `[TIDY-21] ${file} opens a stub`)).toEqual([]);
    expect(Object.keys(STUB_OPENERS).filter((file) => !openers.includes(file))).toEqual([]);
  });
});

/** What is started by a platform, a bundler, a command or a user of the SDK. */
const ENTRY =
  /^(workers\/index|client\/sdk\/(index|node)|web\/(src\/(main|live-worker)|functions\/_middleware|vite\.config)|scripts\/([^/]+|local\/client-process)|bench\/(run|profile|attacker|load\/client|growth\/run|zookeeper\/run)|sim\/(index|node\/(cli|proof|seeded-bugs|run-mutants|check-history|bug-hunt|with-bug|worker|search\/(main|proof))))\.tsx?$/;

/** Lanes that are programs, not tests: they use the simulator. */
const PROGRAMS = ["test/nemesis", "test/soak"];

/** What only tests use, with what ends it; their number only falls. */
const TESTS_ONLY: Readonly<Record<string, string>> = {};

describe("code that ships", () => {
  const isEntry = (file: string): boolean => ENTRY.test(file);

  it("[TIDY-12] uses every file and export, not tests alone", () => {
    const folders = Object.keys(RINGS);
    const unused = [...unreachedFiles(folders, isEntry), ...unusedExports(folders, isEntry, PROGRAMS)];
    expect(unused.filter((each) => !(each in TESTS_ONLY)).map((each) => `[TIDY-12] ${each}`)).toEqual([]);
    expect(Object.keys(TESTS_ONLY).filter((known) => !unused.includes(known))).toEqual([]);
  });
});

/** Least part of the exports of a ring that has a doc comment. */
const DOCUMENTED = 0.9;
const CLASS_LINES_MAX = 450;
const FILE_LINES_MAX = 600;
/** *map file, or file and class → the lines that it may have until it is cut*: they only fall. */
const LONG: Readonly<Record<string, number>> = {};

describe("a reader", () => {
  it("[TIDY-18] finds no class of more than 450 lines and no file of more than 600", () => {
    const sizes = Object.keys(RINGS)
      .flatMap((ring) => filesUnder(ring, SOURCE))
      .flatMap((file) => [
        { name: file, lines: linesOf(file).length, most: FILE_LINES_MAX },
        ...classesIn(syntaxOf(file)).map(({ name, lines }) => ({
          name: `${file}: ${name}`,
          lines,
          most: CLASS_LINES_MAX,
        })),
      ]);
    const long = sizes.filter(({ lines, most }) => lines > most);
    const unknown = long.filter(({ name, lines }) => lines > (LONG[name] ?? 0));
    expect(unknown.map(({ name, lines }) => `[TIDY-18] ${name} has ${lines} lines`)).toEqual([]);
    expect(Object.keys(LONG).filter((known) => !long.some(({ name }) => name === known))).toEqual([]);
  });

  const sources = Object.keys(RINGS).flatMap((ring) => filesUnder(ring, SOURCE));

  it("[TIDY-14] finds no set of the names of messages, effects, events or faults", () => {
    const unions = ["core", "durable-objects", "sim"].flatMap((ring) => filesUnder(ring, SOURCE));
    const names = new Set([...FAULT_KINDS, ...unions.flatMap((file) => typeNamesIn(syntaxOf(file)))]);
    expect(names).toContain("TOUCH");
    // The simulator may choose a few of its kinds of faults from a list.
    const searched = (file: string) => (file.startsWith("sim/") ? [] : searchedNames(syntaxOf(file), names));
    const wrong = sources.flatMap((file) =>
      [...setsOfNames(syntaxOf(file), names), ...searched(file)].map(
        (set) => `[TIDY-14] ${file}: a set of ${set.join(", ")}`,
      ),
    );
    expect(wrong).toEqual([]);
  });

  it("[TIDY-20] finds what a link in a comment names, and one doc comment at a declaration", () => {
    const wrong = [...sources, ...filesUnder("test", SOURCE)].flatMap((file) => [
      ...linksToNothing(syntaxOf(file)).map((name) => `[TIDY-20] ${file}: {@link ${name}}`),
      ...strayComments(syntaxOf(file)).map((comment) => `[TIDY-20] ${file}: ${comment}`),
    ]);
    expect(wrong).toEqual([]);
  });

  for (const ring of Object.keys(RINGS)) {
    it(`[TIDY-17] finds doc comments at 90 % of the exports of ${ring}`, () => {
      const exports = filesUnder(ring, SOURCE).flatMap((file) =>
        exportsIn(file).map((each) => ({ ...each, file })),
      );
      const missing = exports.filter(({ isDocumented }) => !isDocumented);
      const part = 1 - missing.length / exports.length;
      const names = missing.map(({ file, name }) => `[TIDY-17] ${file}: ${name}`);
      expect(part < DOCUMENTED ? names : []).toEqual([]);
    });
  }
});

describe("the specification", () => {
  /** ids of the rules, in order, by section of a file: every section is one table */
  const sections = filesUnder("docs/spec", /\.md$/).flatMap((file) =>
    readFileSync(join(ROOT, file), "utf8")
      .split(/^## /m)
      .map((text) => ({
        file,
        ids: [...text.matchAll(/^\W*([A-Z]+-\d+)\b/gm)].map((match) => match[1] ?? ""),
      })),
  );
  const ids = sections.flatMap((section) => section.ids);
  const rules = new Set(ids);
  const tests = filesUnder("test", /\.ts$/).filter((file) => /\.test\.ts$|^test\/contract\//.test(file));
  const cited = new Set(tests.flatMap((file) => citedIn(syntaxOf(file))));

  it("[TIDY-7] no two rules have one id", () => {
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  it("[TIDY-16] a rule is in the file of its namespace, in the order of the ids, and the index names the file", () => {
    const index = readFileSync(join(ROOT, "docs/SPEC.md"), "utf8");
    const numberOf = (id: string): number => Number(id.slice(id.indexOf("-") + 1));
    const wrong = sections.flatMap(({ file, ids: inSection }) => {
      const namespace = basename(file, ".md").toUpperCase();
      const strangers = inSection.filter((id) => !id.startsWith(`${namespace}-`));
      const late = inSection.filter((id, i) => i > 0 && numberOf(id) < numberOf(inSection[i - 1] ?? id));
      const entry = `[${namespace}](spec/${basename(file)})`;
      return [...strangers, ...late, ...(index.includes(entry) ? [] : [entry])].map(
        (each) => `[TIDY-16] ${file}: ${each}`,
      );
    });
    expect(wrong).toEqual([]);
  });

  it("[TIDY-16] a decision has a number of its own, and the same one in its title", () => {
    const files = filesUnder("docs/decisions", /\.md$/);
    const numbers = files.map((file) => basename(file).slice(0, 4));
    expect(numbers.filter((number, i) => numbers.indexOf(number) !== i)).toEqual([]);
    const titled = (file: string): boolean =>
      readFileSync(join(ROOT, file), "utf8").startsWith(`# ${basename(file).slice(0, 4)} `);
    expect(files.filter((file) => !titled(file))).toEqual([]);
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

  it("[TIDY-15] the README counts the faults, invariants and seeded bugs that there are", () => {
    const readme = readFileSync(join(ROOT, "README.md"), "utf8");
    expect(readme).toContain(`${FAULT_KINDS.length} kinds of faults, ${RULES.length} invariants`);
    expect(readme).toContain(`${BUGS.length} bugs`);
  });
});
