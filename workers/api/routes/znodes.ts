/** `/v1/znodes/{path}`: the znode tree. The rest of the URL's path is the znode's path. */
import { type Context, Hono } from "hono";
import { zxidToText } from "../../../core/zab/zxid.ts";
import { validatePath } from "../../../core/znode/path.ts";
import { CreateMode, NO_SESSION, type ReadRequest, type Stat } from "../../../core/znode/types.ts";
import type { ReadResult } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { Answered } from "../clients/ensemble-client.ts";
import type { AppEnv } from "../env.ts";
import { ApiError, badArguments } from "../errors.ts";
import {
  consistencyOf,
  lastZxidOf,
  nodeOf,
  prefixOf,
  sessionOf,
  staleOf,
  wordQueryOf,
  writerOf,
} from "../params.ts";
import { decodeOnce } from "../raw-path.ts";
import { type ChildrenJson, etagOf, type PathStatJson, statJson, znodeJson } from "../schema/answers.ts";
import { MODES, type ModeName } from "../schema/fields.ts";
import { refuseEncodedBody } from "../schema/json-body.ts";
import { isCreateOnly, isKnownToReader, type Precondition, preconditionOf } from "../schema/preconditions.ts";
import { watchStream } from "../streams/watch-stream.ts";

const PREFIX = "/v1/znodes";
const VIEWS = ["data", "children", "stat"] as const;
const WATCHES = ["data", "children", "exists"] as const;

const MODE_OF: Readonly<Record<ModeName, CreateMode>> = {
  persistent: CreateMode.PERSISTENT,
  ephemeral: CreateMode.EPHEMERAL,
  sequential: CreateMode.PERSISTENT_SEQUENTIAL,
  "persistent-sequential": CreateMode.PERSISTENT_SEQUENTIAL,
  "ephemeral-sequential": CreateMode.EPHEMERAL_SEQUENTIAL,
};

/** The create mode of its name in requests. */
export const modeOf = (name: ModeName): CreateMode => MODE_OF[name];
export const isSequential = (mode: CreateMode): boolean => (mode & CreateMode.PERSISTENT_SEQUENTIAL) !== 0;
export const isEphemeral = (mode: CreateMode): boolean => (mode & CreateMode.EPHEMERAL) !== 0;

export const znodesApp = new Hono<AppEnv>()
  .get("/*", async (c) => {
    const watch = wordQueryOf(c, "watch", WATCHES);
    if (watch !== undefined || accepts(c, "text/event-stream")) {
      return watchStream(c, znodePathOf(c), watch ?? "data");
    }
    const view = wordQueryOf(c, "view", VIEWS) ?? "data";
    return view === "data" ? readData(c) : view === "children" ? readChildren(c) : readStat(c);
  })
  .post("/*", async (c) => {
    const mode = modeOf(wordQueryOf(c, "mode", MODES) ?? "persistent");
    return create(c, znodePathOf(c, isSequential(mode)), mode);
  })
  .put("/*", async (c) => {
    const path = znodePathOf(c);
    if (isCreateOnly(c)) return create(c, path, CreateMode.PERSISTENT);
    const precondition = preconditionOf(c);
    const writer = writerOf(c);
    const data = await bodyOf(c);
    await checkCzxid(c, path, precondition);
    const { version } = precondition;
    const answer = await c.var.zoo
      .through(nodeOf(c))
      .write({ ...writer, request: { type: "setData", path, data, version } });
    if (answer.value.type !== "setData")
      throw new ApiError("SYSTEM_ERROR", "the ensemble answered another question");
    return answerStat(c, answer, path, answer.value.stat, 200);
  })
  .delete("/*", async (c) => {
    const path = znodePathOf(c);
    const precondition = preconditionOf(c);
    const writer = writerOf(c);
    await checkCzxid(c, path, precondition);
    const { version } = precondition;
    const answer = await c.var.zoo
      .through(nodeOf(c))
      .write({ ...writer, request: { type: "delete", path, version } });
    return c.body(null, 204, originOf(answer));
  });

async function readData(c: Context<AppEnv>): Promise<Response> {
  const path = znodePathOf(c);
  const answer = await read(c, { type: "getData", path, watch: false });
  if (answer.value.type !== "getData")
    throw new ApiError("SYSTEM_ERROR", "the ensemble answered another question");
  const { data, stat } = answer.value;
  const etag = etagOf(stat);
  const headers = { ...originOf(answer), etag, vary: "accept", "cache-control": "no-cache" };
  if (isKnownToReader(c, etag)) return c.body(null, 304, headers);
  if (accepts(c, "application/json")) return c.json(znodeJson(path, data, stat), 200, headers);
  const bytes = new Uint8Array(data ?? []);
  return c.body(bytes, 200, { ...headers, "content-type": "application/octet-stream" });
}

async function readChildren(c: Context<AppEnv>): Promise<Response> {
  const path = znodePathOf(c);
  const answer = await read(c, { type: "getChildren", path, watch: false, withStat: true });
  if (answer.value.type !== "getChildren")
    throw new ApiError("SYSTEM_ERROR", "the ensemble answered another question");
  const { children, stat } = answer.value;
  return c.json<ChildrenJson>({ path, children, stat: statJson(stat) }, 200, originOf(answer));
}

async function readStat(c: Context<AppEnv>): Promise<Response> {
  const path = znodePathOf(c);
  const answer = await read(c, { type: "exists", path, watch: false });
  return answerStat(c, answer, path, answer.value.stat, 200);
}

function read(c: Context<AppEnv>, request: ReadRequest): Promise<Answered<ReadResult>> {
  const input = {
    ...{ session: sessionOf(c), request, consistency: consistencyOf(c), stale: staleOf(c) },
    atLeast: lastZxidOf(c),
  };
  return c.var.zoo.through(nodeOf(c)).read(input);
}

async function create(c: Context<AppEnv>, path: string, mode: CreateMode): Promise<Response> {
  const writer = writerOf(c);
  if (isEphemeral(mode) && writer.session === NO_SESSION) {
    throw badArguments("an ephemeral znode belongs to a session: send Zoo-Session and Zoo-Xid");
  }
  const data = await bodyOf(c);
  const answer = await c.var.zoo
    .through(nodeOf(c))
    .write({ ...writer, request: { type: "create", path, data, mode, withStat: true } });
  const { value } = answer;
  if (value.type !== "create" || value.stat === null) {
    throw new ApiError("SYSTEM_ERROR", "the ensemble answered another question");
  }
  c.header("location", `${prefixOf(c)}${PREFIX}${encodePath(value.path)}`);
  return answerStat(c, answer, value.path, value.stat, 201);
}

/**
 * An entity tag names one incarnation of a znode. The tree's own check knows versions only, so the incarnation is
 * compared before, with a fresh read; the version is then checked by the write itself.
 */
async function checkCzxid(c: Context<AppEnv>, path: string, precondition: Precondition): Promise<void> {
  if (precondition.czxid === undefined) return;
  const request = { type: "exists", path, watch: false } as const;
  const { value } = await c.var.zoo
    .through(nodeOf(c))
    .read({ session: sessionOf(c), request, consistency: "linearizable", stale: false });
  if (zxidToText(value.stat.czxid) !== precondition.czxid) {
    throw new ApiError("BAD_VERSION", `the znode is another one than at ${precondition.czxid}`);
  }
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

async function bodyOf(c: Context<AppEnv>): Promise<Uint8Array> {
  refuseEncodedBody(c);
  return new Uint8Array(await c.req.arrayBuffer());
}

const accepts = (c: Context, type: string): boolean => (c.req.header("accept") ?? "").includes(type);

const originOf = (answer: Answered<unknown>): { "zoo-zxid": string; "zoo-node": string } => ({
  "zoo-zxid": answer.zxid,
  "zoo-node": String(answer.node),
});

const encodePath = (path: string): string => path.split("/").map(encodeURIComponent).join("/");
