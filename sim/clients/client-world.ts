/** What the clients of one run share, whatever they speak. */
import type { ServerAnswer } from "../../core/server/answers.ts";
import type { Cluster } from "../cluster.ts";
import type { Range } from "../engine.ts";
import type { Recorder, WriteRequest } from "../history/history.ts";
import type { Workload } from "../history/workload.ts";
import type { Chance } from "../random.ts";

/** What the clients of one run share. */
export interface ClientWorld {
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly workload: Workload;
  readonly chance: Chance;
  readonly options: ClientOptions;
  /** requests that may still be asked in this run */
  opsLeft: number;
  /** nobody asks anything now, nor shows that it lives */
  calm: boolean;
  /** numbers given so far */
  conns: number;
  orders: number;
  sessions: number;
  /**
   * Somebody without a session writes at this member, if it is up.
   * @returns whether it was answered well, once there was time for it
   */
  writeAnonymously(sid: number, request: WriteRequest): () => boolean;
  /** answers by code, and what else clients met */
  count(what: string): void;
}

/** How the clients of a run behave. */
export interface ClientOptions {
  /** pause between an answer and the next request, ms */
  readonly thinkMs: Range;
  /** requests that a client has under way at once, at most */
  readonly pipeline: number;
  readonly sessionTimeoutMs: number;
  /** probability that a client goes elsewhere before its next request */
  readonly move: number;
  /** probability that a client vanishes and leaves its session to expire */
  readonly vanish: number;
  /** probability that a client closes its session */
  readonly close: number;
  /** lists of children are read without a connection with a bound on the answer, and in pages */
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
