/**
 * The path of a request as it was sent. Hono decodes parts of it; here it stays encoded, so that every name is decoded
 * exactly once, and a manipulated encoding is either a name or a 400.
 */
import { badArguments } from "./errors.ts";

/** A path without `/e/{ensemble}`; it is still percent-encoded. */
export interface RoutedPath {
  /** name as sent, percent-decoded; undefined without the prefix */
  readonly ensemble: string | undefined;
  readonly path: string;
}

/** Path of a URL without decoding or normalising anything, at least `/`. */
export function rawPathOf(url: string): string {
  return /^[a-z][a-z+.-]*:\/\/[^/?#]*([^?#]*)/i.exec(url)?.[1] || "/";
}

/** Splits a URL into the ensemble and the path for the routes. */
export function routedPathOf(url: string): RoutedPath {
  const raw = rawPathOf(url);
  const match = /^\/e\/([^/]*)(\/.*)?$/.exec(raw);
  if (match === null) return { ensemble: undefined, path: raw };
  return { ensemble: decodeOnce(match[1] ?? "") ?? "", path: match[2] ?? "/" };
}

/**
 * Refuses paths that different parsers interpret differently: broken percent-encoding, dot segments, encoded
 * slashes, backslashes and control characters. Plain dot segments are resolved by the runtime's HTTP server, as browsers
 * do before they send; encoded ones arrive here.
 * @throws ApiError BAD_ARGUMENTS
 */
export function checkRawPath(url: string): void {
  const raw = rawPathOf(url);
  const decoded = decodeOnce(raw);
  if (decoded === undefined) throw badArguments("the path is not valid percent-encoded UTF-8");
  if (/%2f|%5c|\\/i.test(raw)) throw badArguments("the path holds an encoded slash or a backslash");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(decoded)) throw badArguments("the path holds a control character");
  if (decoded.split("/").some((segment) => segment === "." || segment === "..")) {
    throw badArguments('the path holds a "." or ".." segment');
  }
}

/** Percent-decodes once; undefined if it is not a valid encoding of UTF-8. */
export function decodeOnce(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
