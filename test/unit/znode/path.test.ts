import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  hasPathShape,
  isBuiltIn,
  nameOf,
  parentOf,
  sequenceSuffix,
  validatePath,
} from "../../../core/znode/path.ts";

/** Any UTF-16, slashes and dots more often than the rest. */
const unit = fc.oneof(fc.constantFrom(0x2f, 0x2f, 0x2e, 0x61), fc.nat(0xffff));
const anyText = fc.array(unit, { maxLength: 20 }).map((units) => String.fromCharCode(...units));

describe("validatePath", () => {
  test.each([
    "/",
    "/a",
    "/a/b",
    "/a.b",
    "/...",
    "/.a",
    "/a..",
    "/ a",
    "/ü/日本",
    "/a/b/c/d/e",
    "/zookeeper/config",
    "/\u00a0",
    "/\uf900",
    "/\uffef",
  ])("[ZNODE-1] %j names a znode", (path) => {
    expect(validatePath(path)).toBeUndefined();
  });

  test.each([
    ["", "not empty"],
    ["a", "begins with /"],
    ["a/b", "begins with /"],
    ["/a/", "does not end"],
    ["//", "does not end"],
    ["//a", "empty component"],
    ["/a//b", "empty component"],
    ["/.", ". or .."],
    ["/..", ". or .."],
    ["/a/./b", ". or .."],
    ["/a/../b", ". or .."],
    ["/a/..", ". or .."],
    ["/a\0", "U+0000"],
    ["/a\u0001b", "U+0001"],
    ["/\u001f", "U+001f"],
    ["/\u007f", "U+007f"],
    ["/\u009f", "U+009f"],
    ["/\ud800", "U+d800"],
    ["/\ud83d\ude00", "U+d83d"],
    ["/\uf8ff", "U+f8ff"],
    ["/\ufff0", "U+fff0"],
    ["/\uffff", "U+ffff"],
  ])("[ZNODE-1] %j does not: %s", (path, reason) => {
    expect(validatePath(path)).toContain(reason);
  });

  test("[ZNODE-1] a sequential path is checked together with its digits", () => {
    expect(validatePath("/a/", true)).toBeUndefined();
    expect(validatePath("/", true)).toBeUndefined();
    expect(validatePath("/a/.", true)).toBeUndefined();
    expect(validatePath("/a//", true)).toContain("empty component");
    expect(validatePath("", true)).toContain("begins with /");
    expect(validatePath("/a\0", true)).toContain("U+0000");
  });

  test("[ZNODE-1] a legal path is its parent's child, up to the root", () => {
    const name = fc
      .string({ minLength: 1, maxLength: 8 })
      .filter((text) => validatePath(`/${text}`) === undefined && !text.includes("/"));
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 5 }), (names) => {
        const path = `/${names.join("/")}`;
        expect(validatePath(path)).toBeUndefined();
        expect(names.length === 1 ? `/${nameOf(path)}` : `${parentOf(path)}/${nameOf(path)}`).toBe(path);
        expect(validatePath(parentOf(path))).toBeUndefined();
        expect(nameOf(path)).toBe(names.at(-1));
      }),
    );
  });

  test("[ZNODE-1] no text makes it throw, and an accepted path has no forbidden part", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        if (validatePath(text) !== undefined) return;
        expect(text === "/" || /^(\/[^/]+)+$/.test(text)).toBe(true);
        expect(text.split("/")).not.toContain("..");
        expect(hasPathShape(text)).toBe(true);
      }),
    );
  });
});

describe("parts of a path", () => {
  test("[ZNODE-1] the root has neither parent nor name", () => {
    expect([parentOf("/"), nameOf("/")]).toEqual(["", ""]);
    expect([parentOf("/a"), parentOf("/a/b"), parentOf("a")]).toEqual(["/", "/a", ""]);
  });

  test("[ZNODE-8] four znodes are built in", () => {
    for (const path of ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"])
      expect(isBuiltIn(path)).toBe(true);
    for (const path of ["/a", "/zookeeper/quota/a", "/zookeeper/"]) expect(isBuiltIn(path)).toBe(false);
  });

  test("[ZNODE-3] a sequence number has ten digits and overflows as a signed 32-bit number", () => {
    expect([0, 1, 42, 2 ** 31 - 1, -(2 ** 31), -1].map(sequenceSuffix)).toEqual([
      "0000000000",
      "0000000001",
      "0000000042",
      "2147483647",
      "-2147483648",
      "-000000001",
    ]);
  });
});
