/** Conditions of a request in HTTP's words: entity tags, and ZooKeeper's `version`. */
import type { Context } from "hono";
import type { AppEnv } from "../env.ts";
import { badArguments } from "../errors.ts";
import { intQueryOf } from "../params.ts";
import { VERSION_MAX } from "./fields.ts";

/** What a change is conditional on. */
export interface Precondition {
  /** −1: any */
  readonly version: number;
  /** `0x…` text; set when an entity tag was given */
  readonly czxid: string | undefined;
}

/** Of `?version=` or `If-Match`, never both. `If-Match: *` asks only that the znode exists. */
export function preconditionOf(c: Context<AppEnv>): Precondition {
  const version = intQueryOf(c, "version", -1, VERSION_MAX);
  const ifMatch = c.req.header("if-match");
  if (ifMatch === undefined) return { version: version ?? -1, czxid: undefined };
  if (version !== undefined) throw badArguments("use either ?version= or If-Match");
  if (ifMatch.trim() === "*") return { version: -1, czxid: undefined };
  const tag = parseEtag(ifMatch);
  if (tag === undefined)
    throw badArguments('If-Match is one entity tag as the API gave it, "<version>.<czxid>", or *');
  return tag;
}

/** Reads an entity tag of a znode; undefined when it is none. */
export function parseEtag(text: string): Precondition | undefined {
  const match = /^"(\d{1,10})\.(0x[0-9a-f]{1,16})"$/.exec(text.trim());
  const version = Number(match?.[1]);
  return match === null || version > VERSION_MAX ? undefined : { version, czxid: match[2] };
}

/** Is `If-None-Match: *` given: create, but do not replace? Other values are for reads only. */
export function isCreateOnly(c: Context<AppEnv>): boolean {
  const value = c.req.header("if-none-match");
  if (value === undefined) return false;
  if (value.trim() === "*") return true;
  throw badArguments("a write takes If-None-Match: * only");
}

/** Does the reader have this version already (304)? */
export function isKnownToReader(c: Context<AppEnv>, etag: string): boolean {
  const value = c.req.header("if-none-match");
  if (value === undefined) return false;
  return value.trim() === "*" || value.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}
