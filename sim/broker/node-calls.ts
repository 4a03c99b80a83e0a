/** The calls that a broker makes of a member of the simulated ensemble, as the object of a node serves them. */
import { assertNever } from "../../core/assert.ts";
import type { ClusterCondition } from "../../core/broker/cluster-view.ts";
import type { NodeAnswer, NodeCall } from "../../core/broker/program.ts";
import type { ZooErrorCode } from "../../core/errors.ts";
import type { ServerAnswer } from "../../core/server/answers.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import { zxidToText } from "../../core/zab/zxid.ts";
import type { ZnodeTree } from "../../core/znode/tree.ts";
import { makeSessionId, type SessionId, type WriteRequest } from "../../core/znode/types.ts";
import type { Cluster } from "../cluster.ts";

const refused = (code: ZooErrorCode): NodeAnswer => ({ ok: false, code, message: code });

/** Whether the znode has changed, was deleted or was created since the state that was seen. */
export function isOutdated(tree: ZnodeTree, { path, kind, since }: ClusterCondition): boolean {
  const node = tree.get(path);
  if (node === undefined) return since !== "0x0";
  const { mzxid, pzxid } = tree.stat(node);
  return zxidToText(kind === "data" ? mzxid : pzxid) !== since;
}

/** Serves the brokers of one run. Its state is the number of sessions so far. */
export class NodeCalls {
  readonly #cluster: Cluster;
  #sessions = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** @param answered called at most once, with undefined if the member is down or ends before it answers */
  serve(sid: number, call: NodeCall, answered: (answer: NodeAnswer) => void): void {
    switch (call.name) {
      case "openSession": {
        this.#sessions += 1;
        const session = makeSessionId(sid, this.#sessions);
        const open = { type: "createSession", timeoutMs: call.timeoutMs } as const;
        this.#write(sid, session, 0, open, (answer) =>
          answered(answer?.ok === true ? { ok: true, value: { session } } : answer),
        );
        return;
      }
      case "touchSession":
        this.#touch(sid, call.session, answered);
        return;
      case "closeSession":
        this.#cluster.invariants.sessions.closing(call.session);
        this.#write(sid, call.session, 0, { type: "closeSession" }, (answer) =>
          answered(answer?.ok === true ? { ok: true, value: null } : answer),
        );
        return;
      case "write":
        this.#write(sid, call.session, call.xid, call.request, answered);
        return;
      case "read":
        this.#read(sid, call, answered);
        return;
      case "waitForChange":
        throw new Error("a wait is not one request here");
      default:
        assertNever(call);
    }
  }

  #write(
    sid: number,
    session: SessionId,
    xid: number,
    request: WriteRequest,
    answered: (answer: NodeAnswer) => void,
  ): void {
    const write = { session, xid, ...encodeWrite(request) };
    const isUp = this.#cluster.request(
      sid,
      (server, now, token, life) => {
        if (xid > 0) this.#cluster.invariants.sessions.heard(life, session);
        server.submitWrite(now, token, write);
      },
      (answer) => answered(answerOf(answer)),
    );
    if (!isUp) answered(undefined);
  }

  #read(sid: number, call: NodeCall<"read">, answered: (answer: NodeAnswer) => void): void {
    const { session, request, fresh: linearizable } = call;
    const isUp = this.#cluster.request(
      sid,
      (server, now, token) =>
        server.submitRead(now, token, {
          session,
          xid: 0,
          request,
          linearizable,
          stale: false,
          background: true,
        }),
      (answer) => answered(answerOf(answer)),
      linearizable,
    );
    if (!isUp) answered(undefined);
  }

  #touch(sid: number, session: SessionId, answered: (answer: NodeAnswer) => void): void {
    const { life } = this.#cluster.member(sid);
    if (life === null) {
      answered(undefined);
      return;
    }
    life.turn((server, now) => {
      if (server.tree.sessions.has(session)) {
        this.#cluster.invariants.sessions.heard(life, session);
        server.touch(now, session, true);
        answered({ ok: true, value: {} });
      } else {
        // it has ended, or is not known here yet
        const isOver = server.ready && server.zab.proposing !== undefined;
        answered(refused(isOver ? "SESSION_EXPIRED" : "NO_QUORUM"));
      }
    });
  }
}

/** Converts an answer of the core as a node does: a result that is an error becomes a refusal. */
function answerOf(answer: ServerAnswer | undefined): NodeAnswer {
  if (answer === undefined) return undefined;
  if (!answer.ok) return refused(answer.code);
  const { result } = answer;
  if (result.type === "error") return refused(result.code);
  if (result.type === "setWatches") throw new Error("no broker sets watches");
  return { ok: true, value: result };
}
