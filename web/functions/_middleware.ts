/**
 * Everything below `/api` belongs to the Worker: the prefix is cut off and the request is passed on through
 * the service binding. The answer is returned as it is, so that event streams stay unbuffered and a WebSocket
 * upgrade keeps its socket; a header gives the Worker the prefix, for the links that it writes.
 *
 * A middleware and not a route `api/[[path]]`: a route does not match a path with an empty segment, and the
 * page would answer 200 where the API says 400.
 */
interface PagesEnv {
  readonly API: Fetcher;
}

const PREFIX = "/api";
/** `.` or `..` as a segment, encoded or not: passing the URL on would resolve it. */
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?=\/|$)/i;

/** Forwards every request below `/api` to the Worker. */
export const onRequest: PagesFunction<PagesEnv> = async ({ request, env, next }) => {
  const [, origin = "", path = "/", query = ""] =
    /^([a-z]+:\/\/[^/?#]*)([^?#]*)(.*)$/i.exec(request.url) ?? [];
  if (path !== PREFIX && !path.startsWith(`${PREFIX}/`)) return next();
  if (DOT_SEGMENT.test(path)) return badPath();
  const inner = new Request(`${origin}${path.slice(PREFIX.length) || "/"}${query}`, request);
  inner.headers.set("x-forwarded-prefix", PREFIX);
  return env.API.fetch(inner);
};

function badPath(): Response {
  const problem = {
    type: "https://zooweeper.dev/errors/BAD_ARGUMENTS",
    title: "an argument is not valid",
    status: 400,
    detail: 'the path holds a "." or ".." segment',
    code: "BAD_ARGUMENTS",
    number: -8,
    retryable: false,
  };
  return Response.json(problem, { status: 400, headers: { "content-type": "application/problem+json" } });
}
