/**
 * The real core behind a history's requests, without an ensemble around it: prep, tree and watches in one place. What it
 * answers is right by definition, so the checkers have to take it.
 */
import { type Zxid, zxid } from "../../core/zab/zxid.ts";
import { Prep } from "../../core/znode/prep.ts";
import { ZnodeTree } from "../../core/znode/tree.ts";
import type * as znode from "../../core/znode/types.ts";
import type { ChangeRequest, Outcome, ReadRequest, WriteRequest } from "./history.ts";
import { type LogEntry, outcomeOf, plain, textToBytes } from "./history.ts";

const bytes = (data: string | null): Uint8Array | null => (data === null ? null : textToBytes(data));

function changeOf(request: ChangeRequest): znode.MultiRequestOp {
  switch (request.type) {
    case "create":
      return { ...request, data: bytes(request.data), mode: request.mode as znode.CreateMode };
    case "setData":
      return { ...request, data: bytes(request.data) };
    default:
      return request;
  }
}

/** A request of a history as the core takes it. */
export function coreRequest(request: WriteRequest): znode.WriteRequest {
  switch (request.type) {
    case "create":
    case "setData":
    case "delete":
      return changeOf(request) as znode.WriteRequest;
    case "multi":
      return { type: "multi", ops: request.ops.map(changeOf) };
    default:
      return request;
  }
}

export class CoreServer {
  readonly tree = new ZnodeTree();
  readonly #prep = new Prep(this.tree);
  readonly log: LogEntry[] = [];
  #last: Zxid = zxid(1, 0);

  /** Begins a new epoch. */
  elect(): void {
    this.#last = zxid(this.#last.epoch + 1, 0);
  }

  write(session: number, xid: number, request: WriteRequest): Outcome {
    this.#last = zxid(this.#last.epoch, this.#last.counter + 1);
    const header = {
      session: session as znode.SessionId,
      xid,
      zxid: this.#last,
      timeMs: 1000 + this.log.length,
    };
    const txn = this.#prep.prepare(header, coreRequest(request));
    const result = this.tree.apply(header, txn);
    this.#prep.committed(this.tree.lastApplied);
    this.log.push(plain({ ...header, txn }));
    return outcomeOf({ ok: true, zxid: this.#last, result });
  }

  read(request: ReadRequest): Outcome {
    const result = this.tree.read(request);
    const at = this.tree.lastApplied;
    if (result.type === "error") return outcomeOf({ ok: false, zxid: at, code: result.code });
    return outcomeOf({ ok: true, zxid: at, result });
  }
}
