/**
 * A correct ensemble around the real tree, prep and watches: one leader, members that lag behind, connections that
 * are late, break and move, sessions that expire, answers that are lost. Random clients use it, all from one seed.
 * Its histories are correct, so the checkers have to accept them; a test then makes one change, which is the only
 * fault.
 */

import { random } from "../../core/prng.ts";
import { zxid } from "../../core/zab/zxid.ts";
import { ZnodeTree } from "../../core/znode/tree.ts";
import type * as znode from "../../core/znode/types.ts";
import { WatchTable } from "../../core/znode/watch.ts";
import {
  type History,
  isRead,
  isWrite,
  type LogEntry,
  type Op,
  type Outcome,
  outcomeOf,
  plain,
  Recorder,
  type Txn,
  textToBytes,
  type WriteRequest,
} from "../../sim/history/history.ts";
import { ClientMemory, Workload, type WorkloadOptions } from "../../sim/history/workload.ts";
import { CoreServer } from "./core-server.ts";

export interface FakeOptions {
  readonly seed: number;
  readonly ops: number;
  readonly clients?: number;
  readonly members?: number;
  readonly keys?: number;
  readonly opsPerKey?: number;
  readonly weights?: WorkloadOptions["weights"];
  /** how often a connection breaks, per step of its client */
  readonly breaks?: number;
}

const fromZxid = (value: number) => zxid(Math.floor(value / 2 ** 32), value % 2 ** 32);

/** A txn as the core has it. */
function coreTxn(txn: Txn): znode.Txn {
  if (txn.type === "multi") return { type: "multi", txns: txn.txns.map(coreTxn) };
  if (!("data" in txn)) return txn as znode.Txn;
  return { ...txn, data: txn.data === null ? null : textToBytes(txn.data) } as znode.Txn;
}

/** A member: a tree that follows the log, and the watches of its connections. */
class FakeMember {
  readonly tree = new ZnodeTree();
  readonly watches = new WatchTable();
  #applied = 0;

  /** @param notify takes every event that fires */
  apply(
    log: readonly LogEntry[],
    count: number,
    notify: (conn: number, event: znode.WatchEvent, zxid: number) => void,
  ): void {
    for (; count > 0 && this.#applied < log.length; count--) {
      const { session, xid, timeMs, txn, zxid: at } = log[this.#applied] as LogEntry;
      const header = { session: session as znode.SessionId, xid, zxid: fromZxid(at), timeMs };
      this.tree.apply(header, coreTxn(txn));
      for (const { watcher, event } of this.watches.fire(this.tree.events)) notify(watcher, event, at);
      this.tree.events.length = 0;
      this.#applied += 1;
    }
  }

  get zxid(): number {
    return plain(this.tree.lastApplied);
  }
}

interface FakeClient {
  readonly id: number;
  session: number;
  xid: number;
  conn: number;
  member: FakeMember;
  sid: number;
  memory: ClientMemory;
  /** what is on its way to the client, in order */
  inbox: (() => void)[];
  pending: { readonly op: Op; executed: Outcome | null; answered: boolean } | null;
  /** a write whose outcome the client does not know and asks for again */
  retry: Op | null;
  /** the next request is the first of its connection */
  fresh: boolean;
}

export class FakeEnsemble {
  readonly recorder: Recorder;
  readonly #server = new CoreServer();
  readonly #members: readonly FakeMember[];
  readonly #clients: FakeClient[] = [];
  readonly #workload: Workload;
  readonly #options: FakeOptions;
  readonly #random: () => number;
  /** *map "session/xid" → what was answered* */
  readonly #numbered = new Map<string, Outcome>();
  #conns = 0;
  #sessions = 0;
  #asked = 0;

  constructor(options: FakeOptions) {
    this.#options = options;
    this.#random = random(options.seed);
    this.recorder = new Recorder(`fake ensemble, seed ${options.seed}`);
    this.#members = Array.from({ length: options.members ?? 3 }, () => new FakeMember());
    const { keys = 3, opsPerKey = 200, weights } = options;
    this.#workload = new Workload({ random: this.#random, keys, opsPerKey, ...(weights && { weights }) });
  }

  run(): History {
    const setup = this.#newClient(0);
    for (const request of this.#workload.setup) {
      const op = this.recorder.invoke({ client: 0, session: setup.session, xid: ++setup.xid, request });
      this.recorder.returned(op, this.#server.write(setup.session, setup.xid, request));
    }
    for (let i = 1; i <= (this.#options.clients ?? 5); i++) this.#clients.push(this.#newClient(i));
    while (this.#asked < this.#options.ops) this.#step();
    for (const client of this.#clients) for (const arrive of client.inbox.splice(0)) arrive();
    this.recorder.committed(this.#server.log);
    return this.recorder.history;
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  #newClient(id: number): FakeClient {
    const client: FakeClient = {
      id,
      session: 0,
      xid: 0,
      conn: 0,
      member: this.#members[0] as FakeMember,
      sid: 1,
      memory: new ClientMemory(),
      inbox: [],
      pending: null,
      retry: null,
      fresh: false,
    };
    this.#open(client);
    return client;
  }

  #open(client: FakeClient): void {
    this.#sessions += 1;
    client.session = this.#sessions;
    client.xid = 0;
    client.memory = new ClientMemory();
    client.retry = null;
    this.#server.write(client.session, 0, { type: "createSession", timeoutMs: 5000 });
    this.#connect(client);
  }

  /** A member that is not behind what the client has seen, and knows the session. */
  #connect(client: FakeClient): void {
    const sid = this.#below(this.#members.length);
    const member = this.#members[sid] as FakeMember;
    this.#conns += 1;
    Object.assign(client, { conn: this.#conns, member, sid: sid + 1, inbox: [], pending: null, fresh: true });
    while (
      member.zxid < client.memory.lastZxid ||
      !member.tree.sessions.has(client.session as znode.SessionId)
    ) {
      this.#catchUp(member, 1);
    }
    const { session, conn } = client;
    this.recorder.session({ type: "connect", session, conn, member: client.sid });
  }

  #disconnect(client: FakeClient): void {
    const { session, conn, sid, pending } = client;
    this.recorder.session({ type: "disconnect", session, conn, member: sid });
    client.member.watches.removeWatcher(conn);
    const { op } = pending ?? {};
    // What the member had not seen yet may still reach the leader, or not.
    if (pending !== null && op !== undefined && pending.executed === null && isWrite(op.request)) {
      if (this.#random() < 0.5) this.#writeOnce(op, op.request);
    }
    client.retry = op !== undefined && isWrite(op.request) ? op : null;
  }

  #catchUp(member: FakeMember, count: number): void {
    member.apply(this.#server.log, count, (conn, event, at) => {
      const client = this.#clients.find((each) => each.conn === conn);
      client?.inbox.push(() => {
        client.memory.fired(event);
        this.recorder.watch({ session: client.session, conn, ...event, zxid: at });
      });
    });
  }

  #step(): void {
    const member = this.#members[this.#below(this.#members.length)] as FakeMember;
    if (this.#random() < 0.5) this.#catchUp(member, 1 + this.#below(3));
    const client = this.#clients[this.#below(this.#clients.length)] as FakeClient;
    if (this.#random() < (this.#options.breaks ?? 0.01)) {
      this.#break(client);
      return;
    }
    const { pending } = client;
    if (client.inbox.length > 0) client.inbox.shift()?.();
    else if (pending === null) this.#ask(client);
    else if (pending.executed === null) {
      pending.executed = this.#execute(client, pending.op);
      // A read shows the tree of this very moment: what fires next goes out behind it.
      if (!isWrite(pending.op.request)) this.#answer(client, pending, pending.executed);
    } else if (!pending.answered) this.#answer(client, pending, pending.executed);
  }

  #break(client: FakeClient): void {
    const { session, conn, sid } = client;
    this.#disconnect(client);
    if (this.#random() < 0.3) {
      this.#server.write(session, 0, { type: "closeSession" });
      if (this.#random() < 0.5) this.recorder.session({ type: "expired", session, conn, member: sid });
      this.#open(client);
    } else this.#connect(client);
  }

  #ask(client: FakeClient): void {
    this.#asked += 1;
    const { id, session, conn, sid, retry } = client;
    const fields = { client: id, session, conn, member: sid };
    const resume = client.fresh ? client.memory.setWatches : null;
    client.fresh = false;
    if (resume !== null) {
      client.pending = {
        op: this.recorder.invoke({ ...fields, request: resume }),
        executed: null,
        answered: false,
      };
    } else if (retry !== null) {
      const op = this.recorder.invoke({ ...fields, xid: retry.xid, request: retry.request });
      client.retry = null;
      client.pending = { op, executed: null, answered: false };
    } else {
      const { request, linearizable } = this.#workload.next(id);
      if (isWrite(request)) client.xid += 1;
      const xid = isWrite(request) ? client.xid : 0;
      client.pending = {
        op: this.recorder.invoke({ ...fields, xid, request, linearizable }),
        executed: null,
        answered: false,
      };
    }
  }

  #execute(client: FakeClient, op: Op): Outcome {
    const { request, session } = op;
    const { member, conn } = client;
    if (isWrite(request)) return this.#writeOnce(op, request);
    if (op.linearizable) this.#server.write(session, 0, { type: "sync" });
    while (op.linearizable && member.zxid < plain(this.#server.tree.lastApplied)) this.#catchUp(member, 1);
    const { tree, watches } = member;
    if (!isRead(request)) {
      const seen = { ...request, relativeZxid: fromZxid(request.relativeZxid) };
      for (const event of watches.resume(tree, seen, conn)) {
        client.inbox.push(() => {
          client.memory.fired(event);
          this.recorder.watch({ session, conn, ...event, zxid: null });
        });
      }
      return { type: "done", zxid: member.zxid, result: { type: "setWatches" } };
    }
    const result = tree.read(session as znode.SessionId, request);
    const missing = result.type === "error";
    if (request.watch && (!missing || request.type === "exists")) {
      watches.register(
        request.type === "getChildren" ? "child" : missing ? "exists" : "data",
        request.path,
        conn,
      );
    }
    const at = tree.lastApplied;
    if (result.type === "error") return outcomeOf({ ok: false, zxid: at, code: result.code });
    return outcomeOf({ ok: true, zxid: at, result });
  }

  /** What was done before is not done again. */
  #writeOnce({ session, xid }: Op, request: WriteRequest): Outcome {
    const done = this.#numbered.get(`${session}/${xid}`);
    if (done === undefined) {
      const outcome = this.#server.write(session, xid, request);
      this.#numbered.set(`${session}/${xid}`, outcome);
      return outcome;
    }
    const known = this.#server.tree.sessions.get(session as znode.SessionId);
    return known?.lastXid === xid ? done : { type: "unknown", code: "XID_TOO_OLD" };
  }

  /** Of a write the member can tell only when it has applied it. */
  #answer(client: FakeClient, pending: { readonly op: Op; answered: boolean }, outcome: Outcome): void {
    const at = outcome.type === "done" ? (outcome.zxid ?? 0) : 0;
    while (client.member.zxid < at) this.#catchUp(client.member, 1);
    pending.answered = true;
    const { op } = pending;
    client.inbox.push(() => {
      client.pending = null;
      client.memory.answered(op.request, outcome);
      this.recorder.returned(op, outcome);
      this.#workload.learned(op.request, outcome);
    });
  }
}
