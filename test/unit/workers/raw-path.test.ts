import { describe, expect, it } from "vitest";
import { ApiError } from "../../../workers/api/http/errors.ts";
import { checkRawPath, decodeOnce, rawPathOf, routedPathOf } from "../../../workers/api/http/raw-path.ts";

const HOST = "http://zoo.test:8787";

/** Code of what `checkRawPath` throws; undefined when it lets the path pass. */
function refusalOf(path: string): string | undefined {
  try {
    checkRawPath(`${HOST}${path}`);
    return undefined;
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
}

describe("the path of a URL", () => {
  it("[HTTP-6] is the path as it was sent, without query and fragment", () => {
    expect(rawPathOf(`${HOST}/a/../b?c=/d#/e`)).toBe("/a/../b");
    expect(rawPathOf(`${HOST}//a//`)).toBe("//a//");
    expect(rawPathOf(`${HOST}/%2e%2E/%00`)).toBe("/%2e%2E/%00");
    expect(rawPathOf(HOST)).toBe("/");
    expect(rawPathOf(`${HOST}?x`)).toBe("/");
    expect(rawPathOf("https://user@zoo.test/x")).toBe("/x");
  });

  it("[HTTP-16] loses the ensemble's prefix before routing", () => {
    expect(routedPathOf(`${HOST}/e/five/v1/znodes/e/x`)).toEqual({
      ensemble: "five",
      path: "/v1/znodes/e/x",
    });
    expect(routedPathOf(`${HOST}/e/five`)).toEqual({ ensemble: "five", path: "/" });
    expect(routedPathOf(`${HOST}/e/`)).toEqual({ ensemble: "", path: "/" });
    expect(routedPathOf(`${HOST}/e/%ff/v1`)).toEqual({ ensemble: "", path: "/v1" });
    expect(routedPathOf(`${HOST}/e/a/e/b/x`)).toEqual({ ensemble: "a", path: "/e/b/x" });
    expect(routedPathOf(`${HOST}/events`)).toEqual({ ensemble: undefined, path: "/events" });
  });

  it("[HTTP-6] is refused if it is ambiguous", () => {
    const bad = [
      "/v1/znodes/a/../b",
      "/v1/znodes/..",
      "/v1/znodes/./a",
      "/v1/znodes/%2e%2e/a",
      "/v1/znodes/.%2E",
      "/v1/znodes/%2e",
      "/v1/znodes/a%2fb",
      "/v1/znodes/a%5Cb",
      "/v1/znodes/%00",
      "/v1/znodes/a%0ab",
      "/v1/znodes/%7f",
      "/v1/znodes/%",
      "/v1/znodes/%c3%28",
      "/e/../v1/ensemble",
      "/e/%2e%2e/v1/ensemble",
    ];
    for (const path of bad) expect([path, refusalOf(path)]).toEqual([path, "BAD_ARGUMENTS"]);
    const good = [
      "/",
      "/v1/znodes/...",
      "/v1/znodes/.a",
      "/v1/znodes/%252e%252e",
      "/v1/znodes/%E2%82%AC",
      "/v1/znodes//",
    ];
    for (const path of good) expect([path, refusalOf(path)]).toEqual([path, undefined]);
  });

  it("[HTTP-6] is decoded once", () => {
    expect(decodeOnce("%252e")).toBe("%2e");
    expect(decodeOnce("%e2%82%ac")).toBe("€");
    expect(decodeOnce("%e2%82")).toBeUndefined();
    expect(decodeOnce("%zz")).toBeUndefined();
  });
});
