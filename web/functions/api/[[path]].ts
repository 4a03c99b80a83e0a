/**
 * Everything below `/api` belongs to the Worker: the prefix is cut off and the request goes on through
 * the service binding. The request is passed as it is and the answer is returned as it is, so that
 * event streams stay unbuffered and a WebSocket upgrade keeps its socket.
 */
interface PagesEnv {
  readonly API: Fetcher;
}

const PREFIX = "/api";

export const onRequest: PagesFunction<PagesEnv> = ({ request, env }) => {
  const url = new URL(request.url);
  url.pathname = url.pathname.slice(PREFIX.length) || "/";
  return env.API.fetch(new Request(url, request));
};
