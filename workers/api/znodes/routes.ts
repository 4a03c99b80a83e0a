/** `/v1/znodes/{path}`: the znode tree. The rest of the URL's path is the znode's path. */

import { type Context, Hono } from "hono";
import { must } from "../../../core/assert.ts";
import { ANSWER_BYTES_MAX } from "../../../core/server/config.ts";
import { zxidToText } from "../../../core/zab/zxid.ts";
import { type PageRequest, pageOf } from "../../../core/znode/children-page.ts";
import { validatePath } from "../../../core/znode/path.ts";
import {
  CreateMode,
  NO_SESSION,
  type ReadRequest,
  type Stat,
  type WriteRequest,
} from "../../../core/znode/types.ts";
import type { ReadResult } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { AppEnv } from "../app-env.ts";
import type { Answered } from "../clients/ensemble-client.ts";
import { IF_MATCH_TRIES_MAX, LOCATION_BYTES_MAX, PAGE_NAMES } from "../config.ts";
import { bodyBytes } from "../http/body.ts";
import { ApiError, badArguments } from "../http/errors.ts";
import { refuseEncodedBody } from "../http/json-body.ts";
import { preferredType, prefersExactly } from "../http/media-type.ts";
import {
  consistencyOf,
  intQueryOf,
  lastZxidOf,
  nodeOf,
  prefixOf,
  queryOf,
  sessionOf,
  staleOf,
  wordQueryOf,
  writerOf,
} from "../http/params.ts";
import { decodeOnce } from "../http/raw-path.ts";
import { type ChildrenJson, etagOf, type PathStatJson, statJson, znodeJson } from "./answers.ts";
import { MODES, type ModeName } from "./fields.ts";
import {
  isCreateOnly,
  isKnownToReader,
  isUnwanted,
  type Precondition,
  preconditionOf,
  refuseCondition,
} from "./preconditions.ts";
import { watchStream } from "./watch-stream.ts";

const PREFIX = "/v1/znodes";
const VIEWS = ["data", "children", "stat"] as const;
/** Representations of data: bytes unless the client prefers JSON. */
const REPRESENTATIONS = ["application/octet-stream", "application/json"] as const;
const WATCHES = ["data", "children", "exists"] as const;

const MODE_OF: Readonly<Record<ModeName, CreateMode>> = {
  persistent: CreateMode.PERSISTENT,
  ephemeral: CreateMode.EPHEMERAL,
  sequential: CreateMode.PERSISTENT_SEQUENTIAL,
  "persistent-sequential": CreateMode.PERSISTENT_SEQUENTIAL,
  "ephemeral-sequential": CreateMode.EPHEMERAL_SEQUENTIAL,
};

/** The create mode of a name. */
export const modeOf = (name: ModeName): CreateMode => MODE_OF[name];
/** Whether the mode appends a number to the path. */
export const isSequential = (mode: CreateMode): boolean => (mode & CreateMode.PERSISTENT_SEQUENTIAL) !== 0;
/** Whether the znode belongs to a session. */
export const isEphemeral = (mode: CreateMode): boolean => (mode & CreateMode.EPHEMERAL) !== 0;

/** Routes of znodes. */
export const znodesApp = new Hono<AppEnv>()
  .get("/*", async (c) => {
    const watch = wordQueryOf(c, "watch", WATCHES);
    if (watch !== undefined || prefersExactly(c.req.header("accept"), "text/event-stream")) {
      return watchStream(c, znodePathOf(c), watch ?? "data");
    }
    const view = wordQueryOf(c, "view", VIEWS) ?? "data";
    if (view !== "children" && pageWanted(c) !== undefined)
      throw badArguments("limit and after go with view=children");
    return view === "data" ? readData(c) : view === "children" ? readChildren(c) : readStat(c);
  })
  .post("/*", async (c) => {
    const mode = modeOf(wordQueryOf(c, "mode", MODES) ?? "persistent");
    refuseCondition(c, "if-match");
    if (isCreateOnly(c)) return createOnly(c, znodePathOf(c, isSequential(mode)), mode);
    return create(c, znodePathOf(c, isSequential(mode)), mode);
  })
  .put("/*", async (c) => {
    const path = znodePathOf(c);
    if (isCreateOnly(c)) return createOnly(c, path, CreateMode.PERSISTENT);
    const precondition = preconditionOf(c);
    const writer = writerOf(c);
    const data = await bodyOf(c);
    const versions = await versionsToMatch(c, path, precondition, writer.session !== NO_SESSION);
    const answer = await writeConditional(c, writer, versions, (version) => ({
      type: "setData",
      path,
      data,
      version,
    }));
    if (answer.value.type !== "setData")
      throw new ApiError("SYSTEM_ERROR", "the ensemble's answer is of another kind");
    return answerStat(c, answer, path, answer.value.stat, 200);
  })
  .delete("/*", async (c) => {
    const path = znodePathOf(c);
    refuseCondition(c, "if-none-match");
    const precondition = preconditionOf(c);
    const writer = writerOf(c);
    const versions = await versionsToMatch(c, path, precondition, writer.session !== NO_SESSION);
    const answer = await writeConditional(c, writer, versions, (version) => ({
      type: "delete",
      path,
      version,
    }));
    return c.body(null, 204, originOf(answer));
  });

async function readData(c: Context<AppEnv>): Promise<Response> {
  const path = znodePathOf(c);
  const answer = await read(c, { type: "getData", path, watch: false });
  const { data, stat } = answer.value;
  const etag = etagOf(stat);
  const headers = { ...originOf(answer), etag, vary: "accept", "cache-control": "no-cache" };
  if (isUnwanted(c, etag)) throw new ApiError("BAD_VERSION", `${path} is at ${etag}`, { zxid: answer.zxid });
  if (isKnownToReader(c, etag)) return c.body(null, 304, headers);
  if (preferredType(c.req.header("accept"), REPRESENTATIONS) === "application/json")
    return c.json(znodeJson(path, data, stat), 200, headers);
  const bytes = new Uint8Array(data ?? []);
  return c.body(bytes, 200, { ...headers, "content-type": "application/octet-stream" });
}

async function readChildren(c: Context<AppEnv>): Promise<Response> {
  const path = znodePathOf(c);
  const page = pageWanted(c);
  const request = { type: "getChildren", path, watch: false, withStat: true } as const;
  const answer = await read(c, page === undefined ? request : { ...request, page });
  const { stat } = answer.value;
  if (page === undefined)
    return c.json<ChildrenJson>(
      { path, children: answer.value.children, stat: statJson(stat) },
      200,
      originOf(answer),
    );
  // a node of an earlier version returns the whole list
  const isPage = answer.value.more !== undefined;
  const { children, more } = isPage ? answer.value : pageOf(answer.value.children, page, ANSWER_BYTES_MAX);
  const next = more === true ? children.at(-1) : undefined;
  if (next !== undefined) linkNext(c, path, next);
  return c.json<ChildrenJson>(
    { path, children, ...(next !== undefined && { next }), stat: statJson(stat) },
    200,
    originOf(answer),
  );
}

/** The page requested by `limit` and `after`; undefined for the whole list. */
function pageWanted(c: Context<AppEnv>): PageRequest | undefined {
  const limit = intQueryOf(c, "limit", 1, PAGE_NAMES.max);
  const after = queryOf(c, "after");
  if (limit === undefined && after === undefined) return undefined;
  return { limit: limit ?? PAGE_NAMES.default, after: after ?? "" };
}

/** Adds a link to the next page, unless its last name makes the header too long; the body has it too. */
function linkNext(c: Context<AppEnv>, path: string, after: string): void {
  const query = new URLSearchParams(new URL(c.req.url).search);
  query.set("after", after);
  const link = `<${prefixOf(c)}${PREFIX}${encodePath(path)}?${query}>; rel="next"`;
  if (link.length <= LOCATION_BYTES_MAX) c.header("link", link);
}

async function readStat(c: Context<AppEnv>): Promise<Response> {
  const path = znodePathOf(c);
  const answer = await read(c, { type: "exists", path, watch: false });
  return answerStat(c, answer, path, answer.value.stat, 200);
}

function read<Request extends ReadRequest>(
  c: Context<AppEnv>,
  request: Request,
): Promise<Answered<ReadResult<Request["type"]>>> {
  const input = {
    ...{ session: sessionOf(c), request, consistency: consistencyOf(c), stale: staleOf(c) },
    atLeast: lastZxidOf(c),
  };
  return c.var.zoo.through(nodeOf(c)).read(input);
}

/** With `If-None-Match: *`. */
async function createOnly(c: Context<AppEnv>, path: string, mode: CreateMode): Promise<Response> {
  try {
    return await create(c, path, mode);
  } catch (error) {
    if (!(error instanceof ApiError && error.code === "NODE_EXISTS")) throw error;
    const detail = `${path} exists, and If-None-Match: * requires that it does not`;
    throw new ApiError("BAD_VERSION", detail, error.extras);
  }
}

async function create(c: Context<AppEnv>, path: string, mode: CreateMode): Promise<Response> {
  const writer = writerOf(c);
  if (isEphemeral(mode) && writer.session === NO_SESSION) {
    throw badArguments("an ephemeral znode belongs to a session: send Zoo-Session and Zoo-Xid");
  }
  const locationBytes = `${prefixOf(c)}${PREFIX}${encodePath(path)}`.length;
  if (locationBytes > LOCATION_BYTES_MAX) {
    const detail = `the znode's URL would have ${locationBytes} bytes, and may have ${LOCATION_BYTES_MAX}`;
    throw new ApiError("URI_TOO_LONG", detail);
  }
  const data = await bodyOf(c);
  const answer = await c.var.zoo
    .through(nodeOf(c))
    .write({ ...writer, request: { type: "create", path, data, mode, withStat: true } });
  const { value } = answer;
  if (value.type !== "create" || value.stat === null) {
    throw new ApiError("SYSTEM_ERROR", "the ensemble's answer is of another kind");
  }
  c.header("location", `${prefixOf(c)}${PREFIX}${encodePath(value.path)}`);
  return answerStat(c, answer, value.path, value.stat, 201);
}

/**
 * The version that the write itself checks. An entity tag names one incarnation of a znode; the tree's own check knows
 * versions only, so the incarnation is compared before, by a linearizable read.
 * @param numbered the write may be a repeat, after which the znode no longer matches the tag; only the ensemble knows. So
 * it is sent with a version that the znode does not have, which refuses it unless it is a repeat.
 * @returns one version; for a write that may be a repeat, all versions with which it may have been sent before
 */
async function versionsToMatch(
  c: Context<AppEnv>,
  path: string,
  { version, tags }: Precondition,
  numbered: boolean,
): Promise<readonly number[]> {
  if (tags === undefined) return [version];
  const stat = await freshStat(c, path).catch((error: unknown) => {
    if (numbered && error instanceof ApiError && error.code === "NO_NODE") return undefined;
    throw error;
  });
  const others = tags.map((tag) => tag.version).filter((each) => each !== stat?.version);
  const older = [...new Set(others)].slice(-IF_MATCH_TRIES_MAX);
  if (stat === undefined) return older;
  const czxid = zxidToText(stat.czxid);
  const incarnation = tags.filter((tag) => tag.czxid === czxid);
  const match = incarnation.find((tag) => tag.version === stat.version);
  if (match !== undefined) return numbered ? [match.version, ...older] : [match.version];
  if (numbered && older.length > 0) return older;
  const what = incarnation.length === 0 ? `another znode, made at ${czxid}` : `at version ${stat.version}`;
  throw new ApiError("BAD_VERSION", `${path} is ${what}`);
}

/** Sends a write with one version after the other, as long as it is refused because its number was used with another version. */
async function writeConditional(
  c: Context<AppEnv>,
  writer: ReturnType<typeof writerOf>,
  versions: readonly number[],
  requestOf: (version: number) => WriteRequest,
) {
  const last = must(versions.at(-1), "there is a version to try");
  const zoo = c.var.zoo.through(nodeOf(c));
  for (const version of versions.slice(0, -1)) {
    try {
      return await zoo.write({ ...writer, request: requestOf(version) });
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "XID_REUSED")) throw error;
    }
  }
  return zoo.write({ ...writer, request: requestOf(last) });
}

async function freshStat(c: Context<AppEnv>, path: string): Promise<Stat> {
  const request = { type: "exists", path, watch: false } as const;
  const input = { session: sessionOf(c), request, consistency: "linearizable", stale: false } as const;
  return (await c.var.zoo.through(nodeOf(c)).read(input)).value.stat;
}

function answerStat(
  c: Context<AppEnv>,
  answer: Answered<unknown>,
  path: string,
  stat: Stat,
  status: 200 | 201,
): Response {
  return c.json<PathStatJson>({ path, stat: statJson(stat) }, status, {
    ...originOf(answer),
    etag: etagOf(stat),
  });
}

/** The znode path of the URL, percent-decoded exactly once. */
function znodePathOf(c: Context<AppEnv>, sequential = false): string {
  const path = decodeOnce(c.req.path.slice(PREFIX.length)) || "/";
  const reason = validatePath(path, sequential);
  if (reason !== undefined) throw badArguments(reason);
  return path;
}

function bodyOf(c: Context<AppEnv>): Promise<Uint8Array> {
  refuseEncodedBody(c);
  return bodyBytes(c);
}

const originOf = (answer: Answered<unknown>): { "zoo-zxid": string; "zoo-node": string } => ({
  "zoo-zxid": answer.zxid,
  "zoo-node": String(answer.node),
});

/** Percent-encodes only what a path must not contain, so that a long name does not become longer than necessary. */
const encodePath = (path: string): string =>
  encodeURIComponent(path).replaceAll(/%(2F|40|3A|24|26|2B|2C|3B|3D)/g, decodeURIComponent);
