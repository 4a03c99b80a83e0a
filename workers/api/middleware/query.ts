/**
 * Query parameters of each route. An unknown parameter is refused: otherwise a typing error in a condition (`?verison=7`)
 * would do what the condition should prevent.
 */
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-env.ts";
import { badArguments } from "../http/errors.ts";

/** *method → parameters*; HEAD is GET. A method without an entry takes none. */
type Methods = Readonly<Partial<Record<string, readonly string[]>>>;

/** Routes by their pattern, as the apps define them: `:x` is one segment, `*` the rest. The first match counts. */
export const QUERIES: readonly (readonly [pattern: string, methods: Methods])[] = [
  [
    "/v1/znodes/*",
    {
      GET: ["view", "consistency", "stale", "watch", "since", "limit", "after", "node"],
      POST: ["mode", "node"],
      PUT: ["version", "node"],
      DELETE: ["version", "node"],
    },
  ],
  ["/v1/multi", { POST: ["node"] }],
  ["/v1/sessions", { POST: ["node"] }],
  ["/v1/sessions/:id", { PUT: ["node"], DELETE: ["node"] }],
  ["/v1/sessions/:id/ephemerals", { GET: ["prefix", "consistency", "stale", "node"] }],
  ["/v1/sync", { POST: ["node"] }],
  ["/v1/ensemble", {}],
  ["/v1/ensembles/:name", {}],
  ["/v1/counters", {}],
  ["/v1/events", { GET: ["node", "since", "replay"] }],
  ["/v1/live", {}],
  ["/v1/ws", { GET: ["node"] }],
  ["/v1/faults/*", {}],
  ["/topics", {}],
  ["/topics/:topic", {}],
  ["/topics/:topic/partitions", {}],
  ["/topics/:topic/partitions/:partition", {}],
  ["/topics/:topic/partitions/:partition/offsets", { GET: ["timestamp"] }],
  [
    "/topics/:topic/partitions/:partition/records",
    {
      GET: [
        "offset",
        "timestamp",
        "tail",
        "count",
        "max_bytes",
        "wait_ms",
        "until_offset",
        "format",
        "since",
      ],
    },
  ],
  ["/v3/*", {}],
  ["/brokers", {}],
  ["/cluster", {}],
  ["/demo/*", {}],
  ["/healthz", {}],
  ["/readyz", {}],
  ["/", {}],
];

const COMPILED = QUERIES.map(([pattern, methods]) => ({
  pattern,
  methods,
  regexp: new RegExp(`^${pattern.replace(/\/\*$/, "(/.*)?").replaceAll(/:\w+/g, "[^/]+")}$`),
}));

/** @throws ApiError BAD_ARGUMENTS, which names the parameter and the known ones */
export const knownQuery: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (!c.req.url.includes("?")) return next();
  const { path, method } = c.req;
  const route = COMPILED.find(({ regexp }) => regexp.test(path));
  if (route === undefined) return next();
  const known = route.methods[method === "HEAD" ? "GET" : method] ?? [];
  const unknown = [...new URL(c.req.url).searchParams.keys()].find((name) => !known.includes(name));
  if (unknown === undefined) return next();
  const those = known.length === 0 ? "it takes none" : `it takes ${known.join(", ")}`;
  throw badArguments(`${method} ${route.pattern} has no parameter "${unknown.slice(0, 100)}"; ${those}`);
};
