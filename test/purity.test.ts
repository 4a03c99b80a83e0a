/** The check of TIDY-2 and TIDY-19 on small source texts. */
import { describe, expect, it } from "vitest";
import { impuritiesIn } from "./purity.ts";
import { parse } from "./syntax.ts";

const impurities = (text: string): string[] => impuritiesIn(parse("core/x.ts", text));

describe("a pure file", () => {
  it.each([
    ["const { now } = Date;", "Date"],
    ["const { random } = Math;", "Math without a member"],
    ["const x = Math.random();", "Math.random"],
    ['const x = Math["random"]();', "Math without a member"],
    ["const m = Math;", "Math without a member"],
    ["const x = new Date().getTime();", "Date"],
    ["function f(Date: { now(): number }) { return Date.now(); }", "Date"],
    ["const x = performance.now();", "performance"],
    ["const x = crypto.randomUUID();", "crypto"],
    ["setTimeout(() => {}, 1);", "setTimeout"],
    ["const x = globalThis;", "globalThis"],
    ["const x = navigator;", "navigator"],
    ["declare const clock: () => number; const x = clock();", "declare"],
    ["declare function clock(): number;", "declare"],
    ['function* f() { yield import("./ids.ts"); }', "import()"],
    ["const x = import.meta.url;", "import.meta"],
    ["const f = async () => 1;", "async"],
    ["class A { async f() {} }", "async"],
    ["let x: Promise<number> | undefined;", "Promise"],
    ["const x = Array.fromAsync([]);", ".fromAsync"],
    ['const f = (() => 1).constructor("return 1");', ".constructor"],
    ["const { constructor } = () => 1;", ".constructor"],
    ['const f = (() => 1)["constructor"];', ".constructor"],
  ])("[TIDY-2] has no %s", (text, found) => {
    expect(impurities(text)).toContain(found);
  });

  it.each([
    "const x = Math.max(1, Math.floor(2.5));",
    "const x = { now: 1, Date: 2, random: 3 }; x.Date;",
    "interface Clock { readonly performance: number; random(): number }",
    "declare const brand: unique symbol; type Sid = number & { readonly [brand]: 1 };",
    'class A { constructor() {} } const x = "Date.now()"; // new Date()',
    "const f = (map: ReadonlyMap<string, number>): Uint8Array => new Uint8Array(map.size);",
  ])("[TIDY-2] may be %s", (text) => {
    expect(impurities(text)).toEqual([]);
  });
});
