import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  canonicalText,
  isExactNumber,
  JsonProblem,
  jsonTextOf,
  readJson,
} from "../../../workers/api/http/strict-json.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
/** Reads a body in which every third level's `value` is opaque. @returns also *map path → text* of these */
function readKeeping(text: string): { readonly value: unknown; readonly texts: ReadonlyMap<string, string> } {
  const texts = new Map<string, string>();
  const value = readJson(bytesOf(text), {
    is: ([, , member]) => member === "value",
    keep: (path, kept) => texts.set(path.join("."), kept),
  });
  return { value, texts };
}

/** The kind of problem that a body has, and its words. */
function problemOf(body: string | Uint8Array): string {
  try {
    readJson(typeof body === "string" ? bytesOf(body) : body);
  } catch (error) {
    if (error instanceof JsonProblem) return `${error.kind}: ${error.message}`;
    throw error;
  }
  return "none";
}

describe("a JSON body", () => {
  it("[HTTP-35] is parsed as by JSON.parse, whatever it contains", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.constantFrom("", " ", "\ufeff", "\n\t"), (text, before) => {
        expect(readJson(bytesOf(`${before}${text}${before === "\ufeff" ? "" : before}`))).toEqual(
          JSON.parse(text),
        );
      }),
    );
  });

  it("[HTTP-35] keeps the text of opaque values unchanged", () => {
    fc.assert(
      fc.property(fc.array(fc.json({ maxDepth: 6 })), fc.constantFrom("", "  ", "\r\n"), (values, space) => {
        const records = values.map(
          (value) => `{"a":[1,"]"],${space}"value"${space}:${space}${value}${space}}`,
        );
        const { value, texts } = readKeeping(`{"records":[${records.join(`${space},`)}]}`);
        expect(values.map((_, i) => texts.get(`records.${i}.value`))).toEqual(values);
        expect(value).toEqual({ records: values.map((each) => ({ a: [1, "]"], value: JSON.parse(each) })) });
      }),
    );
    const odd =
      '{"id":12345678901234567890,"far":1e400,"a":-0,"a":1.0,"s":"\\ud800\\u0041","d":[[{"}":"\\""}]]}';
    expect(readKeeping(`[[{"value":${odd}}]]`).texts.get("0.0.value")).toBe(odd);
  });

  it("[HTTP-35] is refused if JSON.parse would lose information", () => {
    for (const number of [
      "9007199254740993",
      "1e400",
      "-1e999",
      "0.1234567890123456789",
      "18446744073709551615",
    ])
      expect(problemOf(`{"a":[1,${number}]}`)).toMatch(
        /^content: a\.1: the number .* cannot be kept exactly$/,
      );
    for (const number of [
      "9007199254740992",
      "-0",
      "1.0",
      "0.1",
      "1E3",
      "120e-1",
      "5e-324",
      "1.7976931348623157e308",
    ])
      expect(problemOf(`[${number}]`)).toBe("none");
    expect(problemOf('{"a":{"b":1,"\\u0062":2}}')).toBe("content: a.b: is given twice");
    const names = Array.from({ length: 40 }, (_, i) => `"n${i}":${i}`);
    expect(problemOf(`{${names.join()}}`)).toBe("none");
    for (const i of [0, 15, 16, 17, 39])
      expect(problemOf(`{${names.join()},"n${i}":1}`)).toBe(`content: n${i}: is given twice`);
    expect(problemOf(Uint8Array.of(0x22, 0xff, 0x22))).toBe("syntax: the body is not UTF-8");
    expect(problemOf("\ufeff\ufeff{}")).toBe("syntax: the body is not JSON");
    expect(problemOf(`${"[".repeat(65)}${"]".repeat(65)}`)).toMatch(/64 levels deep/);
  });

  it("[HTTP-35] takes time in proportion to its length", () => {
    const size = 1 << 20;
    const bodies = [
      `${"[".repeat(size / 2)}${"]".repeat(size / 2)}`,
      `[1.${"0".repeat(size)}1]`,
      `[1${"0".repeat(size)}]`,
      `["${"\\\\".repeat(size / 2)}"]`,
      `{"records":[${"1,".repeat(size / 2)}1]}`,
      `{"records":[{"value":${"[".repeat(size / 2)}${"]".repeat(size / 2)}}]}`,
      `{${Array.from({ length: size / 16 }, (_, i) => `"name ${i}":0`).join()}}`,
      `["${'\\\\\\"'.repeat(size / 4)}"]`,
      " ".repeat(size),
    ];
    // each is done in milliseconds; what grows with the square of the length takes hours
    for (const body of bodies) expect(() => problemOf(body)).not.toThrow();
    expect(canonicalText(`"${"\\u0041 ".repeat(size / 8)}"`)).toHaveLength(size / 4 + 2);
    expect(jsonTextOf(bytesOf(bodies[0] ?? ""))).toBeUndefined();
  });
});

describe("numbers", () => {
  it("[HTTP-35] are exact when printing them gives the same value", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (n) =>
        isExactNumber(JSON.stringify(n)),
      ),
    );
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 69n }), (n) => {
        const printed = JSON.stringify(Number(n));
        expect(isExactNumber(`${n}`)).toBe(printed === `${n}`);
      }),
      { examples: [[2n ** 53n], [2n ** 53n + 1n], [10n ** 15n]] },
    );
  });
});

describe("a key's text", () => {
  it("[BROKER-23] is the same for equal strings, and keeps numbers", () => {
    expect(canonicalText('"\\u0061\\/"')).toBe('"a/"');
    expect(canonicalText('"a b"')).toBe('"a b"');
    expect(canonicalText('{ "b" : 1.0,\n "a" : [ -0, 9007199254740993 ] }')).toBe(
      '{"b":1.0,"a":[-0,9007199254740993]}',
    );
    expect(canonicalText('"\\uD800"')).toBe('"\\ud800"');
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(JSON.parse(canonicalText(text))).toEqual(JSON.parse(text));
      }),
    );
  });
});

describe("text to show", () => {
  it("[BROKER-23] is UTF-8 JSON of limited depth", () => {
    expect(jsonTextOf(bytesOf('{"id":12345678901234567890}'))).toBe('{"id":12345678901234567890}');
    expect(jsonTextOf(bytesOf("\ufeff1"))).toBeUndefined();
    expect(jsonTextOf(Uint8Array.of(0x22, 0xff, 0x22))).toBeUndefined();
    const nested = (levels: number) =>
      bytesOf(`${"[".repeat(levels)}"${"[".repeat(600)}"${"]".repeat(levels)}`);
    expect(jsonTextOf(nested(500))).toBeDefined();
    expect(jsonTextOf(nested(501))).toBeUndefined();
  });
});
