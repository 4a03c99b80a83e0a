/**
 * A watch as a stream of server-sent events. An event's id is the zxid of the state that it shows, so that a reader that
 * reconnects with `Last-Event-ID` gets exactly the changes since. The id of a deletion ends in `-`: the last state seen is
 * that there is no znode.
 */
import type { Context } from "hono";
import { zxidFromText, zxidToText } from "../../../core/zab/zxid.ts";
import { NO_SESSION } from "../../../core/znode/types.ts";
import { REPORTS_QUERY } from "../../../durable-objects/shared/sockets.ts";
import { pause } from "../../../durable-objects/shared/timeout.ts";
import type { ReadInput } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { AppEnv } from "../app-env.ts";
import { discard, type EnsembleClient, type Upgraded } from "../clients/ensemble-client.ts";
import { RECONNECT_MS } from "../config.ts";
import { ApiError, badArguments } from "../http/errors.ts";
import { consistencyOf, lastZxidOf, nodeOf, resumeIdOf } from "../http/params.ts";
import { beatsOf, hold } from "../streams/node-socket.ts";
import { type SseSink, sseResponse } from "../streams/sse.ts";
import type { WatchEventJson } from "./answers.ts";

/** What a watch reports: changes of data, changes of children, or also creation. */
export type WatchKind = "data" | "children" | "exists";

/** Answers with the stream; its first event only contains the id at which to resume. */
export async function watchStream(c: Context<AppEnv>, path: string, kind: WatchKind): Promise<Response> {
  const resume = resumeIdOf(c);
  const node = nodeOf(c);
  const zoo = c.var.zoo.through(node);
  const freshness = { consistency: consistencyOf(c), atLeast: lastZxidOf(c) };
  let last = resume === undefined ? await currentId(zoo, path, kind, freshness) : await checkId(zoo, resume);
  if (c.req.method === "HEAD")
    return c.body(null, 200, { "content-type": "text/event-stream; charset=utf-8" });
  return sseResponse(c.req.raw.signal, (sink) => {
    sink.send({ id: last });
    const source: Source = { zoo, path, kind };
    const follow = async (): Promise<void> => {
      let left: number | undefined;
      while (!sink.ended) {
        const opened = await openWatch(source, last, left);
        // a reader of one node reconnects and gets the reason; other readers wait here for a quorum
        if (opened === undefined && node !== undefined) break;
        if (opened !== undefined && sink.ended) discard(opened.response);
        else if (opened !== undefined) {
          left = opened.node;
          last = await followOnce(opened, last, sink);
        }
        if (!sink.ended) await pause(RECONNECT_MS);
      }
      sink.end();
    };
    follow().catch(() => sink.end());
  });
}

/** What a stream watches, and its client of the ensemble. */
interface Source {
  readonly zoo: EnsembleClient;
  readonly path: string;
  readonly kind: WatchKind;
}

/**
 * Opens a watch after the state `from`; undefined if no node accepts it now.
 * @param left the node that last ended this stream, which is tried last
 */
async function openWatch(
  { zoo, path, kind }: Source,
  from: string,
  left: number | undefined,
): Promise<Upgraded | undefined> {
  try {
    return await zoo.upgrade(
      `/watch?${new URLSearchParams({ path, kind, since: from, [REPORTS_QUERY]: "" })}`,
      left,
    );
  } catch {
    return undefined;
  }
}

/** Forwards the events of one WebSocket until it ends. @returns the id at which to resume */
async function followOnce(opened: Upgraded, from: string, sink: SseSink): Promise<string> {
  let last = from;
  await hold(opened.socket, sink, beatsOf(opened.response), (data) => {
    const event = parseEvent(data);
    if (event === undefined) return;
    last = idAfter(event);
    sink.send({ id: last, data: JSON.stringify(event) });
  });
  return last;
}

/** Id of the current state. */
async function currentId(
  zoo: EnsembleClient,
  path: string,
  kind: WatchKind,
  freshness: Pick<ReadInput, "consistency" | "atLeast">,
): Promise<string> {
  try {
    const request = { type: "exists", path, watch: false } as const;
    const { value } = await zoo.read({ session: NO_SESSION, request, stale: false, ...freshness });
    return zxidToText(kind === "children" ? value.stat.pzxid : value.stat.mzxid);
  } catch (error) {
    if (error instanceof ApiError && error.code === "NO_NODE" && kind === "exists") {
      return `${error.extras.zxid ?? "0x0"}-`;
    }
    throw error;
  }
}

/** Id of the state that an event describes. */
export function idAfter(event: WatchEventJson): string {
  return event.type === "NodeDeleted" ? `${event.zxid}-` : event.zxid;
}

/** Validates an id of this stream: its state has existed. */
async function checkId(zoo: EnsembleClient, id: string): Promise<string> {
  const atLeast = id.replace(/-$/, "");
  if (zxidFromText(atLeast) === undefined) throw badArguments("Last-Event-ID is an id of this stream");
  const request = { type: "exists", path: "/", watch: false } as const;
  await zoo.read({ session: NO_SESSION, request, consistency: "local", stale: false, atLeast });
  return id;
}

function parseEvent(data: unknown): WatchEventJson | undefined {
  if (typeof data !== "string") return undefined;
  const event: unknown = JSON.parse(data);
  return typeof event === "object" && event !== null && "zxid" in event
    ? (event as WatchEventJson)
    : undefined;
}
