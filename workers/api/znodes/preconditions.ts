/** Conditions of a request: HTTP's entity tags, and ZooKeeper's `version`. */
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

/** Condition of a change. */
export interface Precondition {
  /** −1 matches any version */
  readonly version: number;
  /** the state must be one of these; undefined without an entity tag */
  readonly tags: readonly Tag[] | undefined;
}

/** Refuses a condition that the method does not support: if it were ignored, the change would be made anyway. */
export function refuseCondition(c: Context<AppEnv>, header: "if-match" | "if-none-match"): void {
  if (c.req.header(header) !== undefined) throw badArguments(`${c.req.method} takes no ${header}`);
}

/** Whether `If-Match` excludes the state that was read. */
export function isUnwanted(c: Context<AppEnv>, etag: string): boolean {
  const value = c.req.header("if-match");
  if (value === undefined || value.trim() === "*") return false;
  return value.split(",").every((tag) => tag.trim().replace(/^W\//, "") !== etag);
}

/** From `?version=` or `If-Match`, never both. `If-Match: *` requires only that the znode exists. */
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
 * Parses a list of entity tags; undefined if one of them is not valid. A weak tag counts as the strong one: proxies that
 * compress an answer weaken its tag.
 */
export function parseEtags(text: string): readonly Tag[] | undefined {
  const tags: Tag[] = [];
  for (const entry of text.split(",")) {
    const match = /^\s*(?:W\/)?"(-?\d{1,10})\.(0x[0-9a-f]{1,16})"\s*$/.exec(entry);
    const version = Number(match?.[1]);
    if (match?.[2] === undefined || !(version >= VERSION_MIN && version <= VERSION_MAX)) return undefined;
    // no znode has the version −1
    if (version === ANY_VERSION) return undefined;
    tags.push({ version, czxid: match[2] });
  }
  return tags;
}

/** Whether `If-None-Match: *` is given: create, never replace. Other values are for reads only. */
export function isCreateOnly(c: Context<AppEnv>): boolean {
  const value = c.req.header("if-none-match");
  if (value === undefined) return false;
  if (value.trim() !== "*") throw badArguments("a write takes If-None-Match: * only");
  if (c.req.header("if-match") !== undefined || c.req.queries("version") !== undefined)
    throw badArguments(
      "If-None-Match: * requires that there is no znode, If-Match and ?version= that there is one",
    );
  return true;
}

/** Whether the reader has this version already (304). */
export function isKnownToReader(c: Context<AppEnv>, etag: string): boolean {
  const value = c.req.header("if-none-match");
  if (value === undefined) return false;
  return value.trim() === "*" || value.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}
