/** Serves the files of the page as Pages does: known types, cached by content, any other path is the page. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { extname, join, normalize } from "node:path";

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

/** @param dir the built page */
export function pageFiles(dir: string): RequestListener {
  const read = (path: string): Promise<Buffer | undefined> =>
    readFile(join(dir, path)).catch(() => undefined);
  return async (request, response) => {
    const path = normalize(decodePath(request.url ?? "/"));
    const name = path.endsWith("/") ? `${path}index.html` : path;
    // Pages keeps these two to itself
    const found = /^\/_(headers|redirects)$/.test(path) ? undefined : await read(name);
    const body = found ?? (await read("/index.html"));
    if (body === undefined) {
      response.writeHead(404).end();
      return;
    }
    const type = TYPES[extname(found ? name : "index.html")] ?? "application/octet-stream";
    const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 32)}"`;
    const headers = { "content-type": type, etag, "cache-control": "public, max-age=0, must-revalidate" };
    if (request.headers["if-none-match"] === etag) response.writeHead(304, headers).end();
    else
      response
        .writeHead(200, { ...headers, "content-length": body.length })
        .end(request.method === "HEAD" ? "" : body);
  };
}

/** The path of a request, always below `/`: `normalize` on an absolute path cannot climb out. */
function decodePath(url: string): string {
  try {
    return decodeURIComponent(new URL(url, "http://page").pathname).replaceAll("\0", "");
  } catch {
    return "/";
  }
}
