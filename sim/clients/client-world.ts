/** State that all clients of one run share. */
import type { ServerAnswer } from "../../core/server/answers.ts";
import type { Cluster } from "../cluster.ts";
import type { Range } from "../engine.ts";
import type { Recorder, WriteRequest } from "../history/history.ts";
import type { Workload } from "../history/workload.ts";
import type { Chance } from "../random.ts";

/** State and services that the clients of one run share. */
export interface ClientWorld {
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly workload: Workload;
  readonly chance: Chance;
  readonly options: ClientOptions;
  /** number of requests that may still be sent in this run */
  opsLeft: number;
  /** while true, no client sends requests or heartbeats */
  calm: boolean;
  /** while true, clients without a session send many writes */
  readonly rush: boolean;
  /** number of connections so far */
  conns: number;
  orders: number;
  sessions: number;
  /**
   * Sends a write without a session to this member, if it is up.
   * @returns a function that tells whether it has succeeded
   */
  writeAnonymously(sid: number, request: WriteRequest): () => boolean;
  /** Counts answers by code, and other events of clients. */
  count(what: string): void;
}

/** How the clients of a run behave. */
export interface ClientOptions {
  /** pause between an answer and the next request, ms */
  readonly thinkMs: Range;
  /** maximum of outstanding requests of a client */
  readonly pipeline: number;
  readonly sessionTimeoutMs: number;
  /** probability that a client moves to another member before its next request */
  readonly move: number;
  /** probability that a client vanishes, so that its session expires */
  readonly vanish: number;
  /** probability that a client with outstanding requests abandons its connection without closing it */
  readonly breakOff: number;
  /** whether a client that lost its connection often tries the same member first, even one that does not serve */
  readonly returns: boolean;
  /** probability that a client closes its session */
  readonly close: number;
  /** whether lists of children are read without a connection with a bound on the answer, and in pages */
  readonly bounded: boolean;
}

/** Counts an answer by its code, and one of a multi by the codes of its operations. */
export function countAnswer(world: ClientWorld, answer: ServerAnswer): void {
  if (!answer.ok) world.count(answer.code);
  else if (answer.result.type === "error") world.count(answer.result.code);
  else if (answer.result.type === "multi") {
    for (const each of answer.result.results) world.count(each.type === "error" ? each.code : "OK");
  } else world.count("OK");
}

/**
 * Chooses the member that a client connects to: usually one that serves, or the member of its last connection.
 * @param lastSid that member; 0: none
 * @returns undefined if the client finds none now
 */
export function chooseMember({ cluster, chance, options }: ClientWorld, lastSid: number): number | undefined {
  if (options.returns && lastSid > 0 && chance.oneIn(2)) return lastSid;
  const sid = 1 + chance.below(cluster.members.length);
  const serves = cluster.member(sid).life?.server.ready === true;
  return serves || chance.oneIn(4) ? sid : undefined;
}
