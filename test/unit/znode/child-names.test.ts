import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EncodedNames, writeNames } from "../../../core/wire/jute/encoded-names.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { ChildNames } from "../../../core/znode/child-names.ts";

describe("names of children", () => {
  test("[ZNODE-40] the sorted list is the names in code unit order, whatever was created and deleted in between", () => {
    const change = fc.record({
      op: fc.constantFrom("add", "delete", "list"),
      name: fc.oneof(
        fc.integer({ min: 0, max: 40 }).map((n) => `n${n}`),
        fc.constantFrom("é", "\u{1f600}", "￿", "Z", "a"),
      ),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), fc.constantFrom(0, 30, 300), (changes, size) => {
        const names = new ChildNames();
        const model = new Set<string>();
        for (let i = 0; i < size; i++) {
          names.add(`m${i}`);
          model.add(`m${i}`);
        }
        for (const { op, name } of changes) {
          if (op === "add") {
            names.add(name);
            model.add(name);
          } else if (op === "delete") {
            names.delete(name);
            model.delete(name);
          } else expect(names.sorted()).toEqual([...model].sort());
        }
        expect(names.sorted()).toEqual([...model].sort());
        expect(names.sorted()).toBe(names.sorted());
        expect(names.size).toBe(model.size);
        expect(names.length).toBe([...model].join("").length);
      }),
    );
  });

  test("[ZNODE-40] a returned list does not change", () => {
    const names = new ChildNames();
    for (const name of ["b", "d", "a", "c", "e", "f", "g", "h"]) names.add(name);
    const before = names.sorted();
    names.delete("d");
    names.add("bb");
    expect(before.join("")).toBe("abcdefgh");
    expect(names.sorted().join("")).toBe("abbbcefgh");
  });
});

describe("encoded lists", () => {
  const plain = (names: readonly string[]): string => {
    const writer = new ByteWriter();
    writeNames(writer, names);
    return Buffer.from(writer.view()).toString("hex");
  };

  test("[NODE-41] a list always has the same bytes, and the cache is bounded", () => {
    const encoded = new EncodedNames();
    for (let size = 250; size < 200_000; size *= 3) {
      const names = Array.from({ length: size }, (_, i) => `ñ${i}`);
      for (let time = 0; time < 2; time++) {
        const writer = new ByteWriter();
        writer.i32(7);
        encoded.write(writer, names);
        expect(Buffer.from(writer.view().subarray(4)).toString("hex") === plain(names), `${size}`).toBe(true);
        expect(encoded.bytes).toBeLessThan(12 * 1024 * 1024);
      }
    }
  });
});
