/** The checks of `test/tidy.test.ts` on small source texts. */
import { describe, expect, it } from "vitest";
import { unusedIn } from "./exports.ts";
import {
  citedIn,
  classesIn,
  linksToNothing,
  searchedNames,
  setsOfNames,
  strayComments,
  typeNamesIn,
} from "./source.ts";
import { parse } from "./syntax.ts";

const source = (text: string) => parse("core/x.ts", text);

describe("the length of a class", () => {
  const body = `{\n${"  x() {}\n".repeat(3)}}`;
  it.each([
    `export class Long ${body}`,
    `export const Long = class ${body};`,
    `export default class Long ${body}`,
    `export const f = () => {\n  const Long = class extends Map ${body};\n};`,
    `export abstract class Long ${body}`,
  ])("[TIDY-18] is that of its text: %s", (text) => {
    expect(classesIn(source(text))).toEqual([{ name: "Long", lines: 5 }]);
  });

  it("[TIDY-18] is measured of a class without a name too", () => {
    expect(classesIn(source(`export default class ${body}`))).toEqual([
      { name: "a class without a name", lines: 5 },
    ]);
  });
});

describe("an export", () => {
  const unused = (text: string, ...elsewhere: string[]): string[] => {
    const names = [...text.matchAll(/export (?:function|const|type|class) (\w+)/g)].map(
      (match) => match[1] ?? "",
    );
    return unusedIn(source(text), names, (name) => elsewhere.includes(name));
  };

  it.each([
    ["calls itself", "export function dead(n: number): number { return n < 1 ? 0 : dead(n - 1); }", ["dead"]],
    ["makes itself", "export class Dead { copy() { return new Dead(); } }", ["Dead"]],
    ["has a type of itself", "export type Dead = { next: Dead } | null;", ["Dead"]],
    ["is a member's name elsewhere", "export const dead = 1; call({ dead: 2 }.dead);", ["dead"]],
    ["calls one that calls it", "export const a = () => b(); export const b = () => a();", ["a", "b"]],
    ["is used by what is unused", "const help = () => dead; export const dead = () => help();", ["dead"]],
  ])("[TIDY-12] is unused, if it %s", (_, text, names) => {
    expect(unused(text)).toEqual(names);
  });

  it("[TIDY-12] is used by what another file uses, and by what is run", () => {
    expect(unused("export const a = 1; export const b = () => a;", "b")).toEqual([]);
    expect(unused("export const a = 1; const c = () => a; c();")).toEqual([]);
    expect(unused("export type A = 1; export function f(a: A): void {}", "f")).toEqual([]);
  });
});

describe("a rule", () => {
  it.each([
    'it("[ZAB-1] holds", () => {});',
    "it(`[ZAB-1] holds`, () => {});",
    'it.each([1])("[ZAB-1] holds for %s", () => {});',
    'it.skipIf(isSlow)("[ZAB-1] holds", () => {});',
    'test("[ZAB-1] holds", { timeout: 1 }, () => {});',
  ])("[TIDY-4] is cited by a title: %s", (text) => {
    expect(citedIn(source(text))).toEqual(["ZAB-1"]);
  });

  it.each([
    "// [ZAB-1] holds",
    '/** [ZAB-1] */ it("holds", () => { /* [ZAB-1] */ });',
    'it("holds", () => expect("[ZAB-1]").toBe("[ZAB-1]"));',
    'describe("[ZAB-1]", () => {});',
    'it.skip("[ZAB-1] holds", () => {});',
    'it.todo("[ZAB-1] holds");',
    'it.skip.each([1])("[ZAB-1] holds", () => {});',
    'const what = "[ZAB-1]";',
  ])("[TIDY-4] is not cited by another text: %s", (text) => {
    expect(citedIn(source(text))).toEqual([]);
  });
});

describe("a table by type", () => {
  const names = new Set(
    typeNamesIn(source('type M = { readonly type: "PING" } | { type: "TOUCH" | "ACK"; at: "x" };')),
  );

  it("[TIDY-14] knows the names of a union", () => {
    expect([...names]).toEqual(["PING", "TOUCH", "ACK"]);
  });

  it.each([
    'const T = new Set(["PING", "TOUCH"]);',
    'const T: ReadonlySet<string> = new Set<string>(["PING", "TOUCH"] as const);',
    'const names = ["PING", "TOUCH"]; const T = new Set(names);',
    'const names = ["PING", "TOUCH"] as const; const T = new Set(names as readonly string[]);',
  ])("[TIDY-14] is no set of texts: %s", (text) => {
    expect(setsOfNames(source(text), names)).toEqual([["PING", "TOUCH"]]);
  });

  it.each([
    'const isLive = ["PING", "TOUCH"].includes(type);',
    'const names = ["PING", "TOUCH"]; const isLive = names.includes(type);',
    'const isLive = (["PING", "TOUCH"] as readonly string[]).indexOf(type) >= 0;',
  ])("[TIDY-14] is no array that is searched: %s", (text) => {
    expect(searchedNames(source(text), names)).toEqual([["PING", "TOUCH"]]);
  });

  it.each([
    '["GET", "PING"].includes(x);',
    '["PING"].map(send);',
    'new Set(["GET", "PING"]);',
    "new Set([ping]);",
    "new Set();",
    "new Set([]);",
    "new Set(other);",
  ])("[TIDY-14] is not what has other members: %s", (text) => {
    expect(setsOfNames(source(text), names)).toEqual([]);
    expect(searchedNames(source(text), names)).toEqual([]);
  });
});

describe("a comment", () => {
  it.each(["{@link Gone}", "{@link Gone.step}", "{@link gone | the other}", "{@linkcode Gone}"])(
    "[TIDY-20] links to nothing by %s",
    (link) => {
      expect(linksToNothing(source(`/** See ${link}. */\nexport const x = 1;`))).toEqual([
        expect.stringMatching(/^gone$/i),
      ]);
    },
  );

  it("[TIDY-20] links to what the file imports or declares, and to addresses", () => {
    const links = ["Links.admitAt", "step", "#held", "x", "Options", "sid", "https://zookeeper.apache.org"];
    const text =
      `import type { Links } from "./links.ts"; interface Options { readonly sid: number }\n` +
      `/** ${links.map((link) => `{@link ${link}}`).join(" ")} */\n` +
      `export const x = class { #held = 1; step() { return this.#held; } };`;
    expect(linksToNothing(source(text))).toEqual([]);
  });

  it("[TIDY-20] stands alone at its declaration", () => {
    expect(strayComments(source("/** Old. */\n/** New. */\nexport const x = 1;"))).toEqual(["Old."]);
    expect(strayComments(source("/** File. */\n\n/** New. */\nexport const x = 1;"))).toEqual([]);
    expect(strayComments(source("/** New. */\nexport const x = 1;\n/** Next. */\nconst y = 2;"))).toEqual([]);
  });
});
