/** Conditions of a request in HTTP's words: entity tags, and ZooKeeper's `version`. */
import type { Context } from "hono";
import type { AppEnv } from "../app-env.ts";
import { badArguments } from "../http/errors.ts";
import { intQueryOf } from "../http/params.ts";
import { ANY_VERSION, VERSION_MAX, VERSION_MIN } from "./fields.ts";

/** One version of one incarnation of a znode. */
export interface Tag {
  readonly version: number;
  /** `0x…` text */
  readonly czxid: string;
}

/** What a change is conditional on. */
export interface Precondition {
  /** −1: any */
  readonly version: number;
  /** the state must be one of these; undefined: no entity tag was given */
  readonly tags: readonly Tag[] | undefined;
}

/** A condition that a method does not know must not be ignored: the change would be made all the same. */
export function refuseCondition(c: Context<AppEnv>, header: "if-match" | "if-none-match"): void {
  if (c.req.header(header) !== undefined) throw badArguments(`${c.req.method} takes no ${header}`);
}

/** Is the state that was read one that `If-Match` does not name? */
export function isUnwanted(c: Context<AppEnv>, etag: string): boolean {
  const value = c.req.header("if-match");
  if (value === undefined || value.trim() === "*") return false;
  return value.split(",").every((tag) => tag.trim().replace(/^W\//, "") !== etag);
}

/** Of `?version=` or `If-Match`, never both. `If-Match: *` asks only that the znode exists. */
export function preconditionOf(c: Context<AppEnv>): Precondition {
  const version = intQueryOf(c, "version", VERSION_MIN, VERSION_MAX);
  const ifMatch = c.req.header("if-match");
  if (ifMatch === undefined) return { version: version ?? ANY_VERSION, tags: undefined };
  if (version !== undefined) throw badArguments("use either ?version= or If-Match");
  if (ifMatch.trim() === "*") return { version: ANY_VERSION, tags: undefined };
  const tags = parseEtags(ifMatch);
  if (tags === undefined)
    throw badArguments('If-Match is entity tags as the API gave them, "<version>.<czxid>", or *');
  return { version: ANY_VERSION, tags };
}

/**
 * Reads a list of entity tags of znodes; undefined when one of them is none. A weak tag means what the strong one
 * means: proxies that compress an answer weaken its tag.
 */
export function parseEtags(text: string): readonly Tag[] | undefined {
  const tags: Tag[] = [];
  for (const entry of text.split(",")) {
    const match = /^\s*(?:W\/)?"(-?\d{1,10})\.(0x[0-9a-f]{1,16})"\s*$/.exec(entry);
    const version = Number(match?.[1]);
    if (match?.[2] === undefined || !(version >= VERSION_MIN && version <= VERSION_MAX)) return undefined;
    // −1 is no version that a znode has
    if (version === ANY_VERSION) return undefined;
    tags.push({ version, czxid: match[2] });
  }
  return tags;
}

/** Is `If-None-Match: *` given: create, but do not replace? Other values are for reads only. */
export function isCreateOnly(c: Context<AppEnv>): boolean {
  const value = c.req.header("if-none-match");
  if (value === undefined) return false;
  if (value.trim() !== "*") throw badArguments("a write takes If-None-Match: * only");
  if (c.req.header("if-match") !== undefined || c.req.queries("version") !== undefined)
    throw badArguments(
      "If-None-Match: * asks that there is no znode, If-Match and ?version= that there is one",
    );
  return true;
}

/** Does the reader have this version already (304)? */
export function isKnownToReader(c: Context<AppEnv>, etag: string): boolean {
  const value = c.req.header("if-none-match");
  if (value === undefined) return false;
  return value.trim() === "*" || value.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}
