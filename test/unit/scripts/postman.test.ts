/** The Postman runner: above all, assertions that do not hold fail. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waiting } from "../../../scripts/local/listen.ts";
import { type Collection, runCollection } from "../../../scripts/local/postman.ts";

let server: Server;
let base: string;

beforeAll(async () => {
  server = createServer(
    waiting(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      response.writeHead(request.url === "/missing" ? 404 : 200, { "x-kind": "echo" });
      response.end(
        JSON.stringify({ url: request.url, header: request.headers["x-header"], body, list: [1, 2] }),
      );
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => void server.close());

/** Runs one request with one test script; resolves with the failures. */
async function failures(
  path: string,
  exec: readonly string[],
  rest: object = {},
): Promise<(string | undefined)[]> {
  const collection: Collection = {
    info: { name: "one" },
    variable: [{ key: "base", value: "http://replaced.invalid" }],
    item: [
      {
        name: "request",
        request: { method: "GET", url: { raw: `{{base}}${path}` }, ...rest },
        event: exec.length === 0 ? [] : [{ listen: "test", script: { exec } }],
      },
    ],
  };
  return (await runCollection(collection, { base })).map(({ failure }) => failure);
}

describe("assertions", () => {
  it.each([
    ["status", 'pm.test("t", () => pm.response.to.have.status(201));'],
    ["equal", 'pm.test("t", () => pm.expect(pm.response.json().url).to.equal("/other"));'],
    ["eql", 'pm.test("t", () => pm.expect(pm.response.json().list).to.eql([2, 1]));'],
    ["include", 'pm.test("t", () => pm.expect(pm.response.text()).to.include("nothing of it"));'],
    ["match", 'pm.test("t", () => pm.expect(pm.response.json().url).to.match(/^y/));'],
    ["above", 'pm.test("t", () => pm.expect(1).to.be.above(1));'],
    ["oneOf", 'pm.test("t", () => pm.expect(pm.response.code).to.be.oneOf([400, 422]));'],
    ["lengthOf", 'pm.test("t", () => pm.expect(pm.response.json().list).to.have.lengthOf(3));'],
    ["property", 'pm.test("t", () => pm.expect(pm.response.json()).to.have.property("none"));'],
    ["an assertion that we do not have", 'pm.test("t", () => pm.expect(1).to.be.NaNish());'],
    ["a script that does not run", "pm.nothing.at.all();"],
  ])("%s fails where it does not hold", async (_, script) => {
    expect(await failures("/x", [script])).toEqual([expect.any(String)]);
  });

  it("pass if they are true", async () => {
    const script = [
      'pm.test("a", () => pm.response.to.have.status(200));',
      'pm.test("b", () => pm.expect(pm.response.json().list).to.eql([1, 2]));',
      'pm.test("c", () => pm.expect(pm.response.headers.get("x-kind")).to.equal("echo"));',
    ];
    expect(await failures("/x", script)).toEqual([undefined, undefined, undefined]);
  });

  it("without a script the status decides", async () => {
    expect(await failures("/x", [])).toEqual([undefined]);
    expect(await failures("/missing", [])).toEqual([expect.stringContaining("404")]);
  });

  it("a server that does not answer is a failure", async () => {
    const [failure] = await failures("/x", [], { url: "http://127.0.0.1:1/" });
    expect(failure).toMatch(/./);
  });
});

describe("variables", () => {
  it("are replaced everywhere, and passed from one request to the next", async () => {
    const request = {
      method: "POST",
      url: "{{base}}/{{word}}",
      header: [{ key: "x-header", value: "{{word}}" }],
      body: { mode: "raw", raw: "<{{word}}>" },
    };
    const check = (word: string) =>
      `pm.test("t", () => pm.expect([pm.response.json().url, pm.response.json().header, pm.response.json().body]).to.eql(["/${word}", "${word}", "<${word}>"]));`;
    const event = (...exec: string[]) => [{ listen: "test", script: { exec } }];
    const results = await runCollection(
      {
        info: { name: "two" },
        variable: [{ key: "word", value: "first" }],
        item: [
          {
            name: "one",
            request,
            event: event(check("first"), 'pm.collectionVariables.set("word", "second");'),
          },
          { name: "folder", item: [{ name: "two", request, event: event(check("second")) }] },
        ],
      },
      { base },
    );
    expect(results).toEqual([
      { request: "one", test: "t", failure: undefined },
      { request: "folder / two", test: "t", failure: undefined },
    ]);
  });
});
