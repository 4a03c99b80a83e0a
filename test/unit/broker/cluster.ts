/** A cluster on the real tree, without objects: sessions, registrations, elections, and writes of the controller. */

import type { ClusterReadResult } from "../../../core/broker/cluster-read.ts";
import { type ClusterView, controllerViewOf, readCluster } from "../../../core/broker/cluster-view.ts";
import { type ControllerWrite, planController } from "../../../core/broker/controller.ts";
import {
  baseZnodes,
  brokerIdPath,
  createRequest,
  electionOps,
  encodeRegistration,
  encodeTopic,
  PATHS,
  topicPath,
} from "../../../core/broker/znodes.ts";
import type { ZooErrorCode } from "../../../core/errors.ts";
import { zxid } from "../../../core/zab/zxid.ts";
import { Prep } from "../../../core/znode/prep.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import {
  CreateMode,
  type MultiRequestOp,
  makeSessionId,
  NO_SESSION,
  type SessionId,
  type WriteRequest,
} from "../../../core/znode/types.ts";

export class Cluster {
  readonly tree = new ZnodeTree();
  readonly #prep = new Prep(this.tree);
  #counter = 0;
  #sessions = 0;

  constructor() {
    for (const { path, data } of baseZnodes("cluster")) this.write(NO_SESSION, createRequest(path, data));
  }

  /** The code of a refused write, undefined when it was carried out. */
  write(session: SessionId, request: WriteRequest): ZooErrorCode | undefined {
    this.#counter += 1;
    const header = { session, xid: this.#counter, zxid: zxid(1, this.#counter), timeMs: this.#counter };
    const txn = this.#prep.prepare(header, request);
    const result = this.tree.apply(header, txn);
    this.#prep.committed(header.zxid);
    if (result.type === "error") return result.code;
    if (result.type !== "multi") return undefined;
    for (const each of result.results)
      if (each.type === "error" && each.code !== "RUNTIME_INCONSISTENCY" && each.code !== "OK")
        return each.code;
    return undefined;
  }

  /** Registers a broker under a session of its own. */
  join(id: number): SessionId {
    this.#sessions += 1;
    const session = makeSessionId(1, this.#sessions);
    this.write(session, { type: "createSession", timeoutMs: 3000 });
    const data = encodeRegistration({ host: "localhost", port: 9090 + id, timestampMs: 1 });
    this.write(session, {
      type: "create",
      path: brokerIdPath(id),
      data,
      mode: CreateMode.EPHEMERAL,
      withStat: false,
    });
    return session;
  }

  leave(session: SessionId): void {
    this.write(session, { type: "closeSession" });
  }

  /** Tries to make a broker the controller. */
  elect(session: SessionId, id: number): ZooErrorCode | undefined {
    const { controllerEpoch, controllerEpochVersion: version } = this.view();
    return this.write(session, { type: "multi", ops: electionOps(id, { controllerEpoch, version }, 1) });
  }

  createTopic(name: string, partitions: Record<number, readonly number[]>, topicId = `id-${name}`): void {
    const assignment = new Map(Object.entries(partitions).map(([p, replicas]) => [Number(p), replicas]));
    this.write(NO_SESSION, createRequest(topicPath(name), encodeTopic({ topicId, partitions: assignment })));
  }

  requestDeletion(name: string): void {
    this.write(NO_SESSION, createRequest(`${PATHS.deleteTopics}/${name}`, null));
  }

  /** znodes read so far */
  reads = 0;

  view(steps: ReturnType<typeof readCluster> = readCluster()): ClusterView {
    let step = steps.next();
    while (!step.done) {
      this.reads += step.value.length;
      const results = step.value.map(({ type, path }): ClusterReadResult => {
        const node = this.tree.get(path);
        if (node === undefined) return undefined;
        return {
          data: type === "getData" ? node.data : null,
          children: this.tree.children(path) ?? [],
          stat: this.tree.stat(node),
        };
      });
      step = steps.next(results);
    }
    return step.value;
  }

  plan(): readonly ControllerWrite[] {
    return planController(controllerViewOf(this.view()), 30);
  }

  multi(session: SessionId, ops: readonly MultiRequestOp[]): ZooErrorCode | undefined {
    return this.write(session, { type: "multi", ops });
  }

  /** Carries out the controller's plan until nothing is left to write. */
  settle(session: SessionId): number {
    for (let writes = 0; writes < 1000; ) {
      const plan = this.plan();
      if (plan.length === 0) return writes;
      for (const { ops } of plan) {
        const refused = this.multi(session, ops);
        if (refused !== undefined) throw new Error(`the controller's write was refused: ${refused}`);
        writes += 1;
      }
    }
    throw new Error("the controller does not come to rest");
  }
}
