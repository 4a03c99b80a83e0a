/** Helpers for tests of a whole ensemble. */
import { must } from "../../core/assert.ts";
import type { ServerAnswer } from "../../core/server/answers.ts";
import type { Token } from "../../core/server/ids.ts";
import {
  makeSessionId,
  NO_SESSION,
  type ReadRequest,
  type SessionId,
  type WriteRequest,
} from "../../core/znode/types.ts";
import { Cluster, type ClusterOptions } from "../../sim/cluster.ts";
import { ok } from "../../sim/world.ts";

export { allEqual, create, digests, ok } from "../../sim/world.ts";

export const setData = (path: string, byte: number, version = -1): WriteRequest => ({
  type: "setData",
  path,
  data: new Uint8Array([byte]),
  version,
});

export const exists = (path: string): ReadRequest => ({ type: "exists", path, watch: false });

/** The code of a refusal, or "OK". */
export function codeOf(answer: ServerAnswer | undefined): string {
  if (answer === undefined) return "none";
  if (!answer.ok) return answer.code;
  return answer.result.type === "error" ? answer.result.code : "OK";
}

/** An ensemble that is up and settled. */
export function ensemble(options: ClusterOptions): Cluster {
  const cluster = new Cluster(options);
  cluster.startAll();
  cluster.settle();
  return cluster;
}

export const sessionOf = (sid: number, n = 1): SessionId => makeSessionId(sid, n);

/** Opens a session at a member. */
export function open(cluster: Cluster, sid: number, timeoutMs = 10_000, n = 1): SessionId {
  const session = sessionOf(sid, n);
  const token = cluster.write(sid, { type: "createSession", timeoutMs }, session);
  must(ok(cluster.answered([token])[0]) || undefined, "a session opens");
  return session;
}

/** Writes, and waits for the answers. */
export function write(
  cluster: Cluster,
  sid: number,
  request: WriteRequest,
  session = NO_SESSION,
  xid = 0,
): ServerAnswer {
  return must(cluster.answered([cluster.write(sid, request, session, xid)])[0], "it was waited for");
}

export function read(
  cluster: Cluster,
  sid: number,
  request: ReadRequest,
  linearizable = false,
): ServerAnswer {
  return must(cluster.answered([cluster.read(sid, request, linearizable)])[0], "it was waited for");
}

/** The children of a znode in the order of their creation, at every member. */
export function orders(cluster: Cluster, path = "/"): string[] {
  return cluster.alive.map(({ tree }) =>
    (tree.children(path) ?? [])
      .map((name) => ({
        name,
        node: must(tree.get(path === "/" ? `/${name}` : `${path}/${name}`), "a child"),
      }))
      .filter(({ name }) => name !== "zookeeper")
      .sort((a, b) => a.node.czxid.epoch - b.node.czxid.epoch || a.node.czxid.counter - b.node.czxid.counter)
      .map(({ name }) => name)
      .join(" "),
  );
}

export const answersOf = (cluster: Cluster, tokens: readonly Token[]): string[] =>
  tokens.map((token) => codeOf(cluster.answers.get(token)));

/** Elections that were held since the trace had this length. */
export const rolesSince = (cluster: Cluster, from: number, role: string): number =>
  cluster.trace.slice(from).filter(({ event }) => event.type === "role" && event.role === role).length;
