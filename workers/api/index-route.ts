/** `/`: the list of routes. */
import { Hono } from "hono";
import type { AppEnv } from "./app-env.ts";

/** Each route with what it does; `docs/http-api.md` has the details. */
const ROUTES = {
  "GET|HEAD /v1/znodes/{path}":
    "data, children (?view=children&limit=&after=) or Stat (?view=stat) of a znode; ?watch= streams its changes",
  "POST /v1/znodes/{path}": "create (?mode=persistent, ephemeral, sequential, ephemeral-sequential)",
  "PUT /v1/znodes/{path}": "set the data (If-Match or ?version=); If-None-Match: * creates",
  "DELETE /v1/znodes/{path}": "delete (If-Match or ?version=)",
  "POST /v1/multi": "several changes, all or none",
  "POST /v1/sessions": "open a session; PUT /v1/sessions/{id} is its heartbeat, DELETE closes it",
  "GET /v1/sessions/{id}/ephemerals": "paths of the session's ephemerals (?prefix=)",
  "POST /v1/sync": "a quorum round: its zxid is above everything committed before",
  "GET /v1/ensemble": "every node's role, epoch, zxids and pings",
  "GET /v1/counters": "costs of every node and broker: requests, alarms, rows",
  "PUT|GET /v1/ensembles/{name}": "create an ensemble, or return its size",
  "GET /v1/events": "protocol events as they happen (server-sent events)",
  "GET /v1/live": "protocol events and records, many streams over one WebSocket",
  "GET /v1/ws": "packed frames over a WebSocket",
  "GET|POST /v1/faults": "kill, revive or crash nodes and brokers, where faults are switched on",
  "GET /cluster": "brokers, controller, topics and partitions",
  "GET|POST /topics": "topics and their records",
  "GET /healthz": "the Worker answers",
  "GET /readyz": "the ensemble has a quorum",
} as const;

/** Route of the list. */
export const indexApp = new Hono<AppEnv>().get("/", (c) =>
  c.json({ name: "ZooWeeper", ensemble: c.var.ensemble, prefix: "/e/{ensemble}", routes: ROUTES }),
);
