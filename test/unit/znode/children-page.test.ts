import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { asEpoch, zxid } from "../../../core/zab/zxid.ts";
import { isTooLarge, pageOf } from "../../../core/znode/children-page.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import { NO_SESSION } from "../../../core/znode/types.ts";

describe("pages of children", () => {
  it("[ZNODE-21] together form the whole list, in order, each name once, whatever their size", () => {
    const name = fc.oneof(
      fc.string({ minLength: 1, maxLength: 8 }),
      fc.string({ unit: "grapheme", minLength: 1 }),
    );
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { maxLength: 40 }),
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 0, max: 1500 }),
        (unsorted, limit, bytesMax) => {
          const names = unsorted.sort();
          const seen: string[] = [];
          for (let after = ""; ; ) {
            const page = pageOf(names, { limit, after }, bytesMax);
            expect(page.children.length).toBeLessThanOrEqual(limit);
            seen.push(...page.children);
            if (!page.more) break;
            expect(page.children.length).toBeGreaterThan(0);
            if (page.children.length > 1) expect(isTooLarge(page.children, 0, bytesMax)).toBe(false);
            after = page.children.at(-1) ?? "";
          }
          expect(seen).toEqual(names);
        },
      ),
    );
  });

  it("[ZNODE-21] may begin after a deleted name", () => {
    const page = pageOf(["a", "c", "d"], { limit: 1, after: "b" }, 1e6);
    expect(page).toEqual({ children: ["c"], more: true });
    expect(pageOf(["a"], { limit: 5, after: "z" }, 1e6)).toEqual({ children: [], more: false });
    expect(pageOf([], { limit: 5, after: "" }, 1e6)).toEqual({ children: [], more: false });
  });

  it("[ZNODE-21] a whole list that does not fit is refused, one that does is not", () => {
    const tree = new ZnodeTree();
    let counter = 0;
    const create = (path: string): void => {
      const header = { session: NO_SESSION, xid: 0, zxid: zxid(asEpoch(1), ++counter), timeMs: 0 };
      tree.apply(header, {
        type: "create",
        path,
        data: null,
        ephemeral: false,
        parentCversion: counter,
        withStat: false,
      });
    };
    create("/many");
    for (let i = 0; i < 100; i++) create(`/many/${String(i).padStart(100, "n")}`);
    const request = { type: "getChildren", path: "/many", watch: false, withStat: true } as const;
    const bytes = 100 * 108 + 1024;
    expect(tree.read(NO_SESSION, { ...request, bytesMax: bytes })).toMatchObject({
      children: { length: 100 },
    });
    expect(tree.read(NO_SESSION, { ...request, bytesMax: bytes - 1 })).toEqual({
      type: "error",
      code: "ANSWER_TOO_LARGE",
    });
    expect(tree.read(NO_SESSION, request)).toMatchObject({ children: { length: 100 } });
    const page = { limit: 1000, after: "" };
    expect(tree.read(NO_SESSION, { ...request, page, bytesMax: bytes - 1 })).toMatchObject({
      children: { length: 99 },
      more: true,
    });
    expect(tree.read(NO_SESSION, { ...request, page, bytesMax: 0 })).toMatchObject({
      children: { length: 1 },
      more: true,
    });
    // two bytes for each code unit as soon as one is not Latin-1
    create(`/many/${"й".repeat(100)}`);
    expect(tree.read(NO_SESSION, { ...request, bytesMax: bytes + 207 })).toMatchObject({
      code: "ANSWER_TOO_LARGE",
    });
    expect(tree.read(NO_SESSION, { ...request, bytesMax: bytes + 208 })).toMatchObject({
      children: { length: 101 },
    });
    // a packet of ZooKeeper holds UTF-8, which takes three bytes for these and two for é
    create(`/many/${"語".repeat(10)}${"é".repeat(10)}`);
    const utf8 = 10 * (3 + 2) + 8;
    expect(tree.read(NO_SESSION, { ...request, bytesMax: bytes + 208 + utf8 - 1 })).toMatchObject({
      type: "error",
    });
    expect(tree.read(NO_SESSION, { ...request, bytesMax: bytes + 208 + utf8 })).toMatchObject({
      children: { length: 102 },
    });
    create(`/many/${"é".repeat(10)}`);
    expect(tree.read(NO_SESSION, { ...request, bytesMax: bytes + 208 + utf8 + 27 })).toMatchObject({
      type: "error",
    });
    expect(tree.read(NO_SESSION, { ...request, bytesMax: bytes + 208 + utf8 + 28 })).toMatchObject({
      children: { length: 103 },
    });
  });
});
