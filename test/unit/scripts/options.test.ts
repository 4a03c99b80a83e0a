/** Command line options, and the errors for invalid ones. */
import { describe, expect, it } from "vitest";
import { hostName, httpUrl, portNumber, readOptions, wholeNumber } from "../../../scripts/local/options.ts";

/** The line that a refusal is. */
function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect((error as Error).name).toBe("UsageError");
    return (error as Error).message;
  }
  throw new Error("it was not refused");
}

describe("a URL", () => {
  it.each([
    ["localhost:8788", "http://localhost:8788"],
    ["8788", "http://localhost:8788"],
    [":8788", "http://localhost:8788"],
    ["127.0.0.1:80", "http://127.0.0.1"],
    ["[::1]:8788", "http://[::1]:8788"],
    ["http://localhost:8788/", "http://localhost:8788"],
    ["HTTP://Localhost:8788/api/", "http://localhost:8788/api"],
    ["https://zoo.example/api", "https://zoo.example/api"],
    ["zoo.example", "http://zoo.example"],
  ])("%s is %s", (typed, url) => {
    expect(httpUrl(typed, "--url")).toBe(url);
  });

  it.each([
    ...[
      "",
      " ",
      "localhost:99999",
      "99999",
      ":0",
      "localhost:abc",
      "http://",
      "http:///x",
      "ftp://localhost",
    ],
    ...["ws://localhost:8788", "http://a b", "http://user:secret@localhost", "localhost:8788?x=1", "a#b"],
  ])("%o is refused with an example", (typed) => {
    expect(refusal(() => httpUrl(typed, "--url"))).toBe(
      `--url must be a URL such as http://localhost:8788, not "${typed}"`,
    );
  });
});

describe("a host", () => {
  it.each([
    ["localhost", "localhost"],
    ["my-machine.local", "my-machine.local"],
    ["0.0.0.0", "0.0.0.0"],
    ["::1", "[::1]"],
    ["[::1]", "[::1]"],
  ])("%s is %s", (typed, host) => {
    expect(hostName(typed, "--host")).toBe(host);
  });

  it.each(["", "http://localhost", "localhost:9090", "a b", "localhost/", "999.1.1.1"])(
    "%o is refused",
    (typed) => {
      expect(refusal(() => hostName(typed, "--host"))).toMatch(
        /^--host must be a name .*such as localhost.* not "/,
      );
    },
  );
});

describe("a number", () => {
  it.each(["", "-1", "1.5", "1e3", "0x10", "65536", "9999999999", "four", " 7"])(
    "%o is refused with its range",
    (typed) => {
      expect(refusal(() => wholeNumber(typed, "--node-port", 65_535))).toBe(
        `--node-port must be a number from 0 to 65535, not "${typed}"`,
      );
    },
  );

  it("of a port that is asked is not 0", () => {
    expect(portNumber("65535", "[broker port]")).toBe(65_535);
    expect(refusal(() => portNumber("0", "[broker port]"))).toMatch(/from 1 to 65535/);
  });
});

describe("options", () => {
  const options = { url: { type: "string" }, fresh: { type: "boolean" } } as const;
  const read = (...args: string[]) => readOptions({ args, options, allowPositionals: false });

  it.each([
    [["--frsh"], "unknown option '--frsh'; --help lists what there is"],
    [["-x"], "unknown option '-x'; --help lists what there is"],
    [["--url"], "--url needs a value: --url VALUE, or --url=VALUE if it begins with a dash"],
    [["--url", "--fresh"], "--url needs a value: --url VALUE, or --url=VALUE if it begins with a dash"],
    [["--fresh=1"], "--fresh takes no value"],
    [["five"], "unexpected argument 'five'; --help lists what there is"],
  ])("%j are refused in one line", (args, line) => {
    expect(refusal(() => read(...args))).toBe(line);
  });
});
