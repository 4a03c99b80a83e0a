import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pageFiles } from "../../../scripts/local/page-files.ts";

let dir: string;
let server: Server;
let url: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "zooweeper-page-"));
  writeFileSync(join(dir, "index.html"), "the page");
  writeFileSync(join(dir, "404.html"), "nothing here");
  writeFileSync(join(dir, "theme.js"), "code");
  writeFileSync(join(dir, "_headers"), "/*\n  X-Kind: page\n");
  writeFileSync(join(dir, "_redirects"), readFileSync("web/public/_redirects"));
  server = createServer(pageFiles(dir)).listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true });
});

describe("the files of the page", () => {
  it("have their type, their ETag and the headers of _headers", async () => {
    const page = await fetch(`${url}/`);
    expect([page.status, await page.text()]).toEqual([200, "the page"]);
    expect(page.headers.get("content-type")).toContain("text/html");
    expect(page.headers.get("x-kind")).toBe("page");
    const again = await fetch(`${url}/`, { headers: { "if-none-match": page.headers.get("etag") ?? "" } });
    expect(again.status).toBe(304);
    expect((await fetch(`${url}/theme.js`)).headers.get("content-type")).toContain("text/javascript");
  });

  it("are compressed for a client that accepts gzip", async () => {
    const encodingFor = async (accepted: string): Promise<string | null> => {
      const answer = await fetch(`${url}/theme.js`, { headers: { "accept-encoding": accepted } });
      expect(await answer.text()).toBe("code");
      expect(answer.headers.get("vary")).toBe("accept-encoding");
      return answer.headers.get("content-encoding");
    };
    for (const accepted of ["gzip", "br, gzip;q=0.5", "*"]) expect(await encodingFor(accepted)).toBe("gzip");
    for (const accepted of ["identity", "gzip;q=0", "x-gzipped"])
      expect(await encodingFor(accepted)).toBeNull();
  });

  it("[PAGE-15] do not include the path of an ensemble, which leads to the page that shows it", async () => {
    const answer = await fetch(`${url}/e/my-zoo`, { redirect: "manual" });
    expect([answer.status, answer.headers.get("location")]).toEqual([302, "/#/e/my-zoo"]);
    const odd = await fetch(`${url}/e/%22%0D%0Ax: y`, { redirect: "manual" });
    expect([odd.status, odd.headers.get("x")]).toEqual([302, null]);
    expect((await fetch(`${url}/e/`, { redirect: "manual" })).status).toBe(404);
  });

  it.each([
    "/v1/ensemble",
    "/nothing",
    "/_headers",
    "/_redirects",
    "/../package.json",
    "/%2e%2e/package.json",
  ])("%s is not one of them", async (path) => {
    const missing = await fetch(`${url}${path}`, { headers: { "if-none-match": "*" } });
    expect([missing.status, await missing.text()]).toEqual([404, "nothing here"]);
  });
});
