/**
 * The workload on the simulated ensemble of the real core, recorded: clients whose sessions lose their connections
 * and continue at other members, and members that crash, pause and are cut off.
 */
import { must } from "../../core/assert.ts";
import { random } from "../../core/prng.ts";
import type { ServerAnswer } from "../../core/server/answers.ts";
import type { Token } from "../../core/server/ids.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import { TxnCursor } from "../../core/wire/txn-codec.ts";
import { ZXID_ZERO, zxid } from "../../core/zab/zxid.ts";
import { makeSessionId, NO_SESSION, type SessionId } from "../../core/znode/types.ts";
import { Cluster } from "../../sim/cluster.ts";
import { coreRequest } from "../../sim/history/core-request.ts";
import {
  type History,
  isRead,
  isWrite,
  type LogEntry,
  type Op,
  outcomeOf,
  plain,
  type ReadRequest,
  Recorder,
  type Request,
} from "../../sim/history/history.ts";
import { type Ask, ClientMemory, Workload } from "../../sim/history/workload.ts";
import type { Life } from "../../sim/member/life.ts";

/** A connection, with the requests on it that have no answer yet. */
interface Line {
  readonly conn: number;
  readonly sid: number;
  readonly life: Life;
  readonly token: Token;
  /** the session is attached to it */
  attached: boolean;
  over: boolean;
  /** what is on its way to the client: no member receives anything in the middle of its own step */
  readonly inbox: (() => void)[];
  /** *map xid → request* */
  readonly waiting: Map<number, Op>;
}

interface Client {
  readonly id: number;
  readonly session: SessionId;
  readonly memory: ClientMemory;
  xid: number;
  line: Line | null;
  alive: boolean;
  /** linearizable reads that wait: they come without a session and a connection, as over HTTP */
  fresh: { readonly op: Op; readonly token: Token; readonly life: Life }[];
  /** asked on a connection that is gone, without an answer: to be asked again */
  lost: Op[];
}

/** Every txn that the log of a member holds up to what it has applied. */
export function committedLog({ server, storage }: Life): LogEntry[] {
  const entries: LogEntry[] = [];
  const end = plain(server.tree.lastApplied);
  for (let slice = storage.log.read(ZXID_ZERO); slice !== undefined; slice = storage.log.read(slice.last)) {
    const cursor = new TxnCursor(slice.batch);
    while (cursor.next()) {
      const entry = plain({ ...cursor.header(), txn: cursor.txn() });
      if (entry.zxid <= end) entries.push(entry);
    }
  }
  return entries;
}

export class RecordedCluster {
  readonly cluster: Cluster;
  readonly #recorder: Recorder;
  readonly #workload: Workload;
  readonly #random: () => number;
  readonly #clients: Client[] = [];
  #conns = 0;
  #asked = 0;
  readonly faults = { crashes: 0, pauses: 0, cuts: 0, moves: 0 };

  constructor(seed: number, size = 3) {
    this.#random = random(seed * 101 + 5);
    const config = { tickTimeMs: 100, requestTimeoutMs: 2_000, logRetainTxns: 1_000_000 };
    this.cluster = new Cluster({ size, seed, config });
    this.#recorder = new Recorder(`cluster of ${size}, seed ${seed}`);
    this.#workload = new Workload({ random: this.#random, keys: 3, opsPerKey: 150 });
  }

  /** @param chaos how often something happens to a member, per step */
  run(ops: number, clients: number, chaos: number): History {
    const { cluster } = this;
    cluster.startAll();
    cluster.settle();
    for (let id = 1; id <= clients; id++) this.#open(id);
    this.#setup();
    while (this.#asked < ops) {
      if (this.#random() < chaos) this.#harm();
      for (const client of this.#clients) this.#turn(client);
      cluster.runFor(this.#below(8));
    }
    this.#heal();
    cluster.settle();
    cluster.runFor(3_000);
    cluster.settle();
    for (const client of this.#clients) this.#takeIn(client);
    this.#recorder.committed(committedLog(must(cluster.member(cluster.leaderSid).life, "it leads")));
    return this.#recorder.history;
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  #open(id: number): void {
    const session = makeSessionId(1, id);
    const token = this.cluster.write(1, { type: "createSession", timeoutMs: 60_000 }, session);
    this.cluster.answered([token]);
    this.#clients.push({
      id,
      session,
      memory: new ClientMemory(),
      xid: 0,
      line: null,
      alive: true,
      fresh: [],
      lost: [],
    });
  }

  #setup(): void {
    for (const request of this.#workload.setup) {
      const op = this.#recorder.invoke({ client: 0, request });
      const token = this.cluster.write(1, coreRequest(request), NO_SESSION);
      this.#recorder.returned(op, outcomeOf(must(this.cluster.answered([token])[0], "it was waited for")));
    }
  }

  // ── what a client does ───────────────────────────────────────────────────

  #turn(client: Client): void {
    this.#takeIn(client);
    if (!client.alive) return;
    if (client.line === null) this.#connect(client);
    else if (this.#random() < 0.005) {
      this.faults.moves += 1;
      this.#drop(client, client.line);
    } else if (client.line.attached && client.line.waiting.size < 3 && this.#random() < 0.6) {
      this.#asked += 1;
      this.#askNew(client, client.line, this.#workload.next(client.id));
    }
  }

  #takeIn(client: Client): void {
    for (let line = client.line; line !== null && line === client.line; ) {
      const arrive = line.inbox.shift();
      if (arrive === undefined) break;
      arrive();
    }
    client.fresh = client.fresh.filter(({ op, token, life }) => {
      const answer = this.cluster.answers.get(token);
      if (answer === undefined) return life.alive;
      const outcome = outcomeOf(answer);
      this.#recorder.returned(op, outcome);
      this.#workload.learned(op.request, outcome);
      return false;
    });
  }

  #askFresh(client: Client, request: ReadRequest): void {
    const member = 1 + this.#below(this.cluster.members.length);
    const { life } = this.cluster.member(member);
    if (life === null) return;
    const op = this.#recorder.invoke({ client: client.id, member, request, linearizable: true });
    client.fresh.push({ op, token: this.cluster.read(member, request, true), life });
  }

  #connect(client: Client): void {
    const sid = 1 + this.#below(this.cluster.members.length);
    this.#conns += 1;
    const conn = this.#conns;
    const line = {
      conn,
      sid,
      attached: false,
      over: false,
      inbox: [],
      waiting: new Map(),
    } as unknown as Line;
    const made = this.cluster.connect(sid, {
      respond: (xid, answer) => line.inbox.push(() => this.#answered(client, line, xid, answer)),
      notify: (event, at) =>
        line.inbox.push(() => {
          client.memory.fired(event);
          this.#recorder.watch({ session: client.session, conn, ...event, zxid: plain(at) });
        }),
      closed: () => line.inbox.push(() => this.#lose(client, line)),
    });
    if (made === undefined) return;
    Object.assign(line, made);
    client.line = line;
    this.#recorder.session({ type: "connect", session: client.session, conn, member: sid });
    line.life.turn((server, now) => server.attach(now, line.token, client.session));
  }

  #drop(client: Client, line: Line): void {
    line.life.disconnected(line.token);
    this.#lose(client, line);
  }

  #lose(client: Client, line: Line): void {
    if (line.over) return;
    line.over = true;
    client.line = null;
    this.#recorder.session({
      type: "disconnect",
      session: client.session,
      conn: line.conn,
      member: line.sid,
    });
    client.lost.push(...[...line.waiting.values()].filter(({ request }) => isWrite(request)));
  }

  #answered(client: Client, line: Line, xid: number, answer: ServerAnswer): void {
    if (!line.attached) {
      this.#attached(client, line, answer);
      return;
    }
    const op = must(line.waiting.get(xid), "only what was asked is answered");
    line.waiting.delete(xid);
    const outcome = outcomeOf(answer);
    this.#recorder.returned(op, outcome);
    client.memory.answered(op.request, outcome);
    this.#workload.learned(op.request, outcome);
    if (outcome.type === "unknown") client.lost.push(op);
    if (!answer.ok && answer.code === "SESSION_MOVED") this.#drop(client, line);
  }

  #attached(client: Client, line: Line, answer: ServerAnswer): void {
    if (!answer.ok) this.#drop(client, line);
    else if (answer.result.type !== "sync") {
      client.alive = false;
      this.#recorder.session({ type: "expired", session: client.session, conn: line.conn, member: line.sid });
      this.#drop(client, line);
    } else {
      line.attached = true;
      this.#resume(client, line);
    }
  }

  #resume(client: Client, line: Line): void {
    const watches = client.memory.setWatches;
    if (watches !== null) {
      const { server } = line.life;
      const op = this.#invoke(client, line, watches, 0);
      const seen = { ...watches, relativeZxid: fromNumber(watches.relativeZxid) };
      for (const event of server.watches.resume(server.tree, seen, line.token)) {
        client.memory.fired(event);
        this.#recorder.watch({ session: client.session, conn: line.conn, ...event, zxid: null });
      }
      const at = plain(server.tree.lastApplied);
      const outcome = { type: "done", zxid: at, result: { type: "setWatches" } } as const;
      this.#recorder.returned(op, outcome);
      client.memory.answered(watches, outcome);
    }
    const again = client.lost;
    client.lost = [];
    for (const op of again) this.#send(client, line, op.request, op.xid);
  }

  #askNew(client: Client, line: Line, { request, linearizable }: Ask): void {
    if (linearizable && isRead(request)) {
      this.#askFresh(client, request);
      return;
    }
    client.xid += 1;
    this.#send(client, line, request, client.xid);
  }

  #send(client: Client, line: Line, request: Request, xid: number): void {
    const op = this.#invoke(client, line, request, xid);
    line.waiting.set(xid, op);
    const { session } = client;
    line.life.turn((server, now) => {
      if (isRead(request)) {
        const read = {
          session,
          xid,
          request,
          linearizable: false,
          stale: false,
          waits: true,
        };
        server.submitRead(now, line.token, read);
      } else if (isWrite(request)) {
        const write = { session, xid, ...encodeWrite(coreRequest(request)) };
        server.submitWrite(now, line.token, write, server.connectionOf(line.token));
      }
    });
  }

  #invoke(client: Client, line: Line, request: Request, xid: number): Op {
    const { id, session } = client;
    const { conn, sid } = line;
    return this.#recorder.invoke({ client: id, session, xid, conn, member: sid, request });
  }

  // ── what happens to members ──────────────────────────────────────────────

  #harm(): void {
    const { cluster, faults } = this;
    const sid = 1 + this.#below(cluster.members.length);
    const { life } = cluster.member(sid);
    const kind = this.#below(7);
    if (life === null) cluster.start(sid);
    else if (kind === 0 && life.isPaused === false) {
      faults.crashes += 1;
      cluster.crash(sid, this.#below(3));
    } else if (kind === 1) {
      faults.pauses += 1;
      cluster.pause(sid);
    } else if (kind === 2) {
      faults.cuts += 1;
      cluster.isolate(sid);
    } else if (kind >= 4) this.#heal();
  }

  #heal(): void {
    const { cluster } = this;
    cluster.heal();
    for (const { sid, life } of cluster.members) {
      if (life === null) cluster.start(sid);
      else if (life.isPaused) cluster.resume(sid);
    }
  }
}

const fromNumber = (value: number) => zxid(Math.floor(value / 2 ** 32), value % 2 ** 32);
