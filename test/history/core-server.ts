/**
 * The real core as the server of a history, without an ensemble: prep, tree and watches in one place. Its answers are
 * correct by definition, so the checkers have to accept them.
 */
import { type Zxid, zxid } from "../../core/zab/zxid.ts";
import { Prep } from "../../core/znode/prep.ts";
import { ZnodeTree } from "../../core/znode/tree.ts";
import { NO_SESSION, type SessionId } from "../../core/znode/types.ts";
import { coreRequest } from "../../sim/history/core-request.ts";
import {
  type LogEntry,
  type Outcome,
  outcomeOf,
  plain,
  type ReadRequest,
  type WriteRequest,
} from "../../sim/history/history.ts";

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
      session: session as SessionId,
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
    const result = this.tree.read(NO_SESSION, request);
    const at = this.tree.lastApplied;
    if (result.type === "error") return outcomeOf({ ok: false, zxid: at, code: result.code });
    return outcomeOf({ ok: true, zxid: at, result });
  }
}
