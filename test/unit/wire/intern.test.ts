import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { internUtf8 } from "../../../core/wire/intern.ts";

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

describe("the memo of short strings", () => {
  test("[WIRE-12] returns the decoded string, the second time too", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 120 }), fc.nat(5), (text, offset) => {
        const bytes = Uint8Array.from([...new Uint8Array(offset), ...encoder.encode(text)]);
        for (let i = 0; i < 2; i++) expect(internUtf8(bytes, offset, bytes.length)).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  test("[WIRE-12] distinguishes strings with the same slot: more strings than slots, twice", () => {
    const texts = Array.from({ length: 20_000 }, (_, i) => `/bench/node-${i}`);
    for (let round = 0; round < 2; round++) {
      for (const text of texts) {
        const bytes = encoder.encode(text);
        if (internUtf8(bytes, 0, bytes.length) !== text) expect.fail(text);
      }
    }
  });

  test("[WIRE-12] does not take bytes for characters: é in UTF-8 is not é in Latin-1", () => {
    const utf8 = encoder.encode("é");
    expect(internUtf8(utf8, 0, 2)).toBe("é");
    expect(internUtf8(Uint8Array.of(0xe9), 0, 1)).toBeUndefined();
    expect(internUtf8(utf8, 0, 2)).toBe("é");
  });

  test("[WIRE-3] refuses exactly what is not UTF-8", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        let expected: string | undefined;
        try {
          expected = strict.decode(bytes);
        } catch {
          expected = undefined;
        }
        expect(internUtf8(bytes, 0, bytes.length)).toBe(expected);
      }),
      { numRuns: 3000 },
    );
  });

  test("[WIRE-12] caches the empty string too", () => {
    expect(internUtf8(new Uint8Array(0), 0, 0)).toBe("");
  });
});
