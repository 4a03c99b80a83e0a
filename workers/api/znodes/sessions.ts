/** `/v1/sessions`: a session exists as long as its heartbeats or other requests arrive in time. */
import { Hono } from "hono";
import { sessionToText } from "../../../core/znode/types.ts";
import type { AppEnv } from "../app-env.ts";
import { jsonBody } from "../http/json-body.ts";
import {
  consistencyOf,
  lastZxidOf,
  nodeOf,
  parseSession,
  prefixOf,
  queryOf,
  staleOf,
} from "../http/params.ts";
import type { EphemeralsJson, SessionJson } from "./answers.ts";
import { openSessionBody } from "./schema.ts";

/** Routes of sessions. */
export const sessionsApp = new Hono<AppEnv>()
  .post("/", jsonBody(openSessionBody), async (c) => {
    const { timeoutMs } = c.req.valid("json");
    const { value, zxid, node } = await c.var.zoo.through(nodeOf(c)).openSession(timeoutMs);
    const session = sessionToText(value.session);
    c.header("location", `${prefixOf(c)}/v1/sessions/${session}`);
    const headers = { "zoo-zxid": zxid, "zoo-node": String(node) };
    return c.json<SessionJson>({ session, timeoutMs: value.timeoutMs }, 201, headers);
  })
  .put("/:id", async (c) => {
    const session = parseSession(c.req.param("id"));
    const { value, zxid, node } = await c.var.zoo.through(nodeOf(c)).touchSession(session);
    const headers = { "zoo-zxid": zxid, "zoo-node": String(node) };
    return c.json<SessionJson>({ session: sessionToText(session), timeoutMs: value.timeoutMs }, 200, headers);
  })
  .get("/:id/ephemerals", async (c) => {
    const session = parseSession(c.req.param("id"));
    const request = { type: "getEphemerals", prefixPath: queryOf(c, "prefix") ?? "/" } as const;
    const { value, zxid, node } = await c.var.zoo.through(nodeOf(c)).read({
      ...{ session, request, consistency: consistencyOf(c), stale: staleOf(c) },
      atLeast: lastZxidOf(c),
    });
    const headers = { "zoo-zxid": zxid, "zoo-node": String(node) };
    const { ephemerals } = value;
    return c.json<EphemeralsJson>({ session: sessionToText(session), ephemerals }, 200, headers);
  })
  .delete("/:id", async (c) => {
    await c.var.zoo.through(nodeOf(c)).closeSession(parseSession(c.req.param("id")));
    return c.body(null, 204);
  });
