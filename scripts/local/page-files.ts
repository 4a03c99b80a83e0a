/**
 * Serves the files of the page like Pages: content types, the headers of `_headers`, 404.html for any other path, and
 * compressed text if the reader accepts gzip.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { extname, join, normalize } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { waiting } from "./listen.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};

const compress = promisify(gzip);
const COMPRESSIBLE = /^(text\/|application\/(json|manifest\+json)|image\/svg)/;

/** @param dir the built page */
export function pageFiles(dir: string): RequestListener {
  const read = (path: string): Promise<Buffer | undefined> =>
    readFile(join(dir, path)).catch(() => undefined);
  const redirects = read("_redirects").then((text) => text?.toString() ?? "");
  const rules = read("_headers").then((text) => headerRules(text?.toString() ?? ""));
  return waiting(async (request, response) => {
    const path = normalize(decodePath(request.url ?? "/"));
    const target = redirectOf(await redirects, path);
    if (target !== undefined) {
      response.writeHead(302, { location: target }).end();
      return;
    }
    const name = path.endsWith("/") ? `${path}index.html` : path;
    // Pages does not serve these two
    const found = /^\/_(headers|redirects)$/.test(path) ? undefined : await read(name);
    const body = found ?? (await read("/404.html"));
    if (body === undefined) {
      response.writeHead(404).end();
      return;
    }
    const type = TYPES[extname(found ? name : "404.html")] ?? "application/octet-stream";
    const zipped = COMPRESSIBLE.test(type) && takesGzip(request.headers["accept-encoding"]);
    const hash = createHash("sha256").update(body).digest("hex").slice(0, 32);
    const etag = zipped ? `"${hash}-gzip"` : `"${hash}"`;
    const headers: Record<string, string> = { "cache-control": "public, max-age=0, must-revalidate" };
    for (const rule of await rules) if (rule.pattern.test(path)) Object.assign(headers, rule.headers);
    Object.assign(headers, { "content-type": type, etag, vary: "accept-encoding" });
    if (found && request.headers["if-none-match"] === etag) {
      response.writeHead(304, headers).end();
      return;
    }
    const sent = zipped ? await compress(body) : body;
    if (zipped) headers["content-encoding"] = "gzip";
    response
      .writeHead(found ? 200 : 404, { ...headers, "content-length": sent.length })
      .end(request.method === "HEAD" ? "" : sent);
  });
}

/** `gzip` or `*`, unless its weight is 0. */
function takesGzip(accepted: string | string[] | undefined): boolean {
  const codings = String(accepted ?? "").split(",");
  return codings.some((coding) => /^\s*(gzip|\*)\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(coding));
}

/** The path of a request, always below `/`: `normalize` cannot leave an absolute path. */
function decodePath(url: string): string {
  try {
    return decodeURIComponent(new URL(url, "http://page").pathname).replaceAll("\0", "");
  } catch {
    return "/";
  }
}

/** Target of a path by `_redirects`: lines of `/from/* to/:splat 302`; undefined if no rule matches. */
function redirectOf(text: string, path: string): string | undefined {
  for (const line of text.split("\n")) {
    const [from, to, status] = line.split(/\s+/);
    if (from?.endsWith("/*") !== true || to === undefined || status !== "302") continue;
    const prefix = from.slice(0, -1);
    const splat = path.startsWith(prefix) ? path.slice(prefix.length) : "";
    if (splat !== "") return to.replace(":splat", encodeURIComponent(splat));
  }
  return undefined;
}

interface HeaderRule {
  readonly pattern: RegExp;
  readonly headers: Readonly<Record<string, string>>;
}

/** Parses `_headers`: a path, in which `*` stands for anything, and below it indented lines of `Name: value`. */
function headerRules(text: string): HeaderRule[] {
  const rules: { pattern: RegExp; headers: Record<string, string> }[] = [];
  for (const line of text.split("\n")) {
    const header = /^\s+([\w-]+):\s*(.*?)\s*$/.exec(line);
    if (header !== null) {
      const last = rules.at(-1);
      if (last !== undefined) last.headers[(header[1] ?? "").toLowerCase()] = header[2] ?? "";
    } else if (line.startsWith("/")) {
      const source = line
        .trim()
        .split("*")
        .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
        .join(".*");
      rules.push({ pattern: new RegExp(`^${source}$`), headers: {} });
    }
  }
  return rules;
}
