/** Query parameters and headers, read strictly: an invalid value is a 400, never a default. */
import type { Context } from "hono";
import { zxidFromText } from "../../../core/zab/zxid.ts";
import { NO_SESSION, type SessionId, sessionFromText } from "../../../core/znode/types.ts";
import type { AppEnv } from "../app-env.ts";
import { badArguments } from "./errors.ts";

/** A parameter that may occur once. */
export function queryOf(c: Context<AppEnv>, name: string): string | undefined {
  const values = c.req.queries(name);
  if (values === undefined) return undefined;
  if (values.length > 1) throw badArguments(`"${name}" is given ${values.length} times`);
  return values[0];
}

/** An integer parameter of [min, max]. */
export function intQueryOf(c: Context<AppEnv>, name: string, min: number, max: number): number | undefined {
  const text = queryOf(c, name);
  return text === undefined ? undefined : parseInteger(name, text, min, max);
}

/** A parameter with one of several values. */
export function wordQueryOf<T extends string>(
  c: Context<AppEnv>,
  name: string,
  words: readonly T[],
): T | undefined {
  const text = queryOf(c, name);
  if (text === undefined) return undefined;
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw badArguments(`"${name}" is one of ${words.join(", ")}`);
  return word;
}

/** Parses an integer in decimal digits. @throws ApiError BAD_ARGUMENTS */
export function parseInteger(name: string, text: string, min: number, max: number): number {
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max && Number.isSafeInteger(value) && !Object.is(value, -0)) return value;
  throw badArguments(`"${name}" is an integer from ${min} to ${max}`);
}

/** The node that the client requires, by `?node=` or `Zoo-Node`. */
export function nodeOf(c: Context<AppEnv>): number | undefined {
  const text = queryOf(c, "node") ?? c.req.header("zoo-node");
  return text === undefined ? undefined : parseInteger("node", text, 1, 9);
}

/** The session of `Zoo-Session`, or none. */
export function sessionOf(c: Context<AppEnv>): SessionId {
  const text = c.req.header("zoo-session");
  return text === undefined ? NO_SESSION : parseSession(text);
}

/** @throws ApiError BAD_ARGUMENTS */
export function parseSession(text: string): SessionId {
  const session = sessionFromText(text);
  if (session === undefined)
    throw badArguments("a session id is 0x and up to 16 hex digits, as the API returns it");
  return session;
}

/** Highest number of a request within its session. */
const XID_MAX = 2 ** 31 - 1;

/** Session and number of a write: both, or neither. */
export function writerOf(c: Context<AppEnv>): { readonly session: SessionId; readonly xid: number } {
  const session = sessionOf(c);
  const xid = c.req.header("zoo-xid");
  if (session === NO_SESSION && xid === undefined) return { session, xid: 0 };
  if (session === NO_SESSION || xid === undefined) {
    throw badArguments("Zoo-Session and Zoo-Xid go together: xid numbers the writes of a session from 1");
  }
  return { session, xid: parseInteger("Zoo-Xid", xid, 1, XID_MAX) };
}

/** `Zoo-Last-Zxid`: the last zxid that the client has seen; it gets no older state. */
export function lastZxidOf(c: Context<AppEnv>): string | undefined {
  const text = c.req.header("zoo-last-zxid");
  if (text !== undefined && zxidFromText(text) === undefined)
    throw badArguments("Zoo-Last-Zxid is a zxid as in Zoo-Zxid");
  return text;
}

/**
 * Id after which a stream resumes: `Last-Event-ID`, or `?since=` for clients that cannot set it. An empty value counts as
 * absent.
 */
export function resumeIdOf(c: Context<AppEnv>): string | undefined {
  return c.req.header("last-event-id") || queryOf(c, "since") || undefined;
}

/** Consistency of a read. `sequential` is ZooKeeper's name for `local`: the state that the node has applied. */
export function consistencyOf(c: Context<AppEnv>): "local" | "linearizable" {
  const word = wordQueryOf(c, "consistency", ["local", "sequential", "linearizable"]);
  return word === "linearizable" ? "linearizable" : "local";
}

/** Whether a node without a quorum may answer. */
export const staleOf = (c: Context<AppEnv>): boolean => wordQueryOf(c, "stale", ["true", "false"]) === "true";

/** Prefix of the paths for this caller: that of the page's host, which serves the API below it, and that of a named ensemble. */
export function prefixOf(c: Context<AppEnv>): string {
  const forwarded = c.req.header("x-forwarded-prefix") ?? "";
  const ensemble = new URL(c.req.url).pathname.startsWith("/e/") ? `/e/${c.var.ensemble}` : "";
  return `${/^(\/[\w-]+)+$/.test(forwarded) ? forwarded : ""}${ensemble}`;
}

/** The same as an absolute URL. */
export const baseUrlOf = (c: Context<AppEnv>): string => `${new URL(c.req.url).origin}${prefixOf(c)}`;
