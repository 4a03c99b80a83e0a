/** Histories written by hand: every answer is the core's, until a test changes it. */

import { type CheckOptions, checkHistory } from "../../sim/checkers/history/check.ts";
import {
  type ChangeRequest,
  type History,
  isWrite,
  type LogEntry,
  type Op,
  type Outcome,
  type ReadRequest,
  Recorder,
  type Request,
  type WriteRequest,
} from "../../sim/history/history.ts";
import { CoreServer } from "./core-server.ts";

export const create = (path: string, data = "", mode: 0 | 1 | 2 | 3 = 0): ChangeRequest & WriteRequest => ({
  type: "create",
  path,
  data,
  mode,
  withStat: false,
});
export const setData = (path: string, data: string, version = -1): ChangeRequest & WriteRequest => ({
  type: "setData",
  path,
  data,
  version,
});
export const remove = (path: string): ChangeRequest & WriteRequest => ({ type: "delete", path, version: -1 });
export const getData = (path: string, watch = false): ReadRequest => ({ type: "getData", path, watch });
export const exists = (path: string, watch = false): ReadRequest => ({ type: "exists", path, watch });
export const getChildren = (path: string, watch = false): ReadRequest => ({
  type: "getChildren",
  path,
  watch,
  withStat: true,
});

type Fields = Partial<Pick<Op, "session" | "xid" | "conn" | "linearizable">>;

export class Hand {
  readonly recorder = new Recorder("by hand");
  readonly server = new CoreServer();
  readonly log: LogEntry[] = this.server.log;
  readonly #xids = new Map<number, number>();

  /** Sessions 1 to 3 are open, each on the connection of its number. */
  constructor() {
    for (const session of [1, 2, 3])
      this.server.write(session, 0, { type: "createSession", timeoutMs: 5000 });
  }

  invoke(request: Request, fields: Fields = {}): Op {
    const { session = 1, conn = session, linearizable = false } = fields;
    let { xid } = fields;
    if (xid === undefined) {
      xid = isWrite(request) ? (this.#xids.get(session) ?? 0) + 1 : 0;
      if (xid > 0) this.#xids.set(session, xid);
    }
    return this.recorder.invoke({ client: session, session, xid, conn, linearizable, request });
  }

  /** What the core makes of it now. */
  execute(op: Op): Outcome {
    if (isWrite(op.request)) return this.server.write(op.session, op.xid, op.request);
    if (op.request.type !== "setWatches") return this.server.read(op.request);
    return { type: "done", zxid: this.zxid, result: { type: "setWatches" } };
  }

  /** Asks and is answered. @param change makes the answer another one */
  ask(request: Request, fields: Fields = {}, change: (outcome: Done) => Outcome = (outcome) => outcome): Op {
    const op = this.invoke(request, fields);
    this.recorder.returned(op, change(this.execute(op) as Done));
    return op;
  }

  event(
    type: 1 | 2 | 3 | 4,
    path: string,
    fields: { zxid?: number | null; session?: number; conn?: number } = {},
  ): void {
    const { zxid = this.zxid, session = 1, conn = session } = fields;
    this.recorder.watch({ session, conn, type, path, zxid });
  }

  /** of the last txn */
  get zxid(): number {
    return this.log.at(-1)?.zxid ?? 0;
  }

  get history(): History {
    this.recorder.committed(this.log);
    return this.recorder.history;
  }

  faults(options: CheckOptions = {}): readonly string[] {
    return checkHistory(this.history, options).faults;
  }

  /** Faults of one checker. */
  of(checker: "order" | "session" | "watches" | "linearizability"): readonly string[] {
    return this.faults().filter((fault) => fault.startsWith(`[${checker}]`));
  }
}

export type Done = Extract<Outcome, { type: "done" }>;

export const unknown = (): Outcome => ({ type: "unknown" });

/** The same history without its zxids and its log. */
export function withoutZxids(history: History): History {
  const ops = history.ops.map((op) =>
    op.outcome.type === "done" ? { ...op, outcome: { ...op.outcome, zxid: null } } : op,
  );
  return { ...history, ops, log: null };
}
