/**
 * The HTTP API as one Hono app: middleware first, then one small app per group of routes. Every route also exists
 * under `/e/{ensemble}`; the prefix is removed before routing.
 */
import { Hono } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import type { AppEnv } from "./app-env.ts";
import { auth } from "./auth/auth.ts";
import { localOnly } from "./auth/local-only.ts";
import { demoBrokerApp } from "./demo/broker-routes.ts";
import { demoNodeApp } from "./demo/node-routes.ts";
import { countersApp } from "./ensemble/counters.ts";
import { ensemblesApp } from "./ensemble/ensembles.ts";
import { eventsApp } from "./ensemble/events.ts";
import { healthApp } from "./ensemble/health.ts";
import { ensembleApp } from "./ensemble/routes.ts";
import { faultsApp } from "./faults/routes.ts";
import { bodyLength } from "./http/body.ts";
import { checkRawPath, routedPathOf } from "./http/raw-path.ts";
import { indexApp } from "./index-route.ts";
import { liveApp } from "./live/routes.ts";
import { ensemble } from "./middleware/ensemble.ts";
import { onError, onMethodNotAllowed, onNotFound } from "./middleware/error.ts";
import { knownQuery } from "./middleware/query.ts";
import { requestId } from "./middleware/request-id.ts";
import { recordsApp } from "./records/routes.ts";
import { clusterApp } from "./topics/cluster.ts";
import { topicsApp } from "./topics/routes.ts";
import { v3App } from "./topics/v3.ts";
import { multiApp } from "./znodes/multi.ts";
import { znodesApp } from "./znodes/routes.ts";
import { sessionsApp } from "./znodes/sessions.ts";
import { syncApp } from "./znodes/sync.ts";
import { wsApp } from "./znodes/ws.ts";

/** The API of one Worker. Its routes are those of the small apps below. */
export const app = new Hono<AppEnv>({ getPath: (request) => routedPathOf(request.url).path });

app.onError(onError);
app.notFound(onNotFound);
app.use(requestId);
app.use(async (c, next) => {
  checkRawPath(c.req.url);
  return next();
});
app.use(localOnly);
app.use(auth);
app.use(bodyLength);
app.use(methodNotAllowed({ app, onMethodNotAllowed }));
app.use(knownQuery);
app.use(ensemble);

app.route("/", indexApp);
app.route("/", healthApp);
app.route("/v1/znodes", znodesApp);
app.route("/v1/multi", multiApp);
app.route("/v1/sessions", sessionsApp);
app.route("/v1/sync", syncApp);
app.route("/v1/ensemble", ensembleApp);
app.route("/v1/ensembles", ensemblesApp);
app.route("/v1/counters", countersApp);
app.route("/v1/events", eventsApp);
app.route("/v1/live", liveApp);
app.route("/v1/ws", wsApp);
app.route("/v1/faults", faultsApp);
app.route("/", topicsApp);
app.route("/", v3App);
app.route("/", recordsApp);
app.route("/", clusterApp);
app.route("/", demoNodeApp);
app.route("/", demoBrokerApp);
