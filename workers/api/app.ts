/**
 * The HTTP API as one Hono app: middleware first, then one small app per group of routes. Every route also exists
 * under `/e/{ensemble}`; that prefix is taken off before routing.
 */
import { Hono } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import type { AppEnv } from "./app-env.ts";
import { bodyLength } from "./body.ts";
import { auth } from "./middleware/auth.ts";
import { ensemble } from "./middleware/ensemble.ts";
import { onError, onMethodNotAllowed, onNotFound } from "./middleware/error.ts";
import { localOnly } from "./middleware/local-only.ts";
import { knownQuery } from "./middleware/query.ts";
import { requestId } from "./middleware/request-id.ts";
import { checkRawPath, routedPathOf } from "./raw-path.ts";
import { clusterApp } from "./routes/cluster.ts";
import { countersApp } from "./routes/counters.ts";
import { demoBrokerApp } from "./routes/demo-broker.ts";
import { demoNodeApp } from "./routes/demo-node.ts";
import { ensembleApp } from "./routes/ensemble.ts";
import { ensemblesApp } from "./routes/ensembles.ts";
import { eventsApp } from "./routes/events.ts";
import { faultsApp } from "./routes/faults.ts";
import { healthApp } from "./routes/health.ts";
import { indexApp } from "./routes/index.ts";
import { liveApp } from "./routes/live.ts";
import { multiApp } from "./routes/multi.ts";
import { recordsApp } from "./routes/records.ts";
import { sessionsApp } from "./routes/sessions.ts";
import { syncApp } from "./routes/sync.ts";
import { topicsApp } from "./routes/topics.ts";
import { v3App } from "./routes/v3.ts";
import { wsApp } from "./routes/ws.ts";
import { znodesApp } from "./routes/znodes.ts";

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
