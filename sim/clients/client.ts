/**
 * A client of the simulated ensemble: it opens a session, sends the requests of its workload, sets watches, loses its
 * connection, continues at another member, repeats requests with unknown outcomes, and records everything in a history.
 */
import { must } from "../../core/assert.ts";
import type { ServerAnswer } from "../../core/server/answers.ts";
import type { DisconnectCode } from "../../core/server/effects.ts";
import { zxid as makeZxid, type Zxid } from "../../core/zab/zxid.ts";
import { makeSessionId, NO_SESSION, type SessionId, type WatchEvent } from "../../core/znode/types.ts";
import {
  isRead,
  isWrite,
  type Op,
  outcomeOf,
  type ReadRequest,
  type Request,
  type WriteRequest,
} from "../history/history.ts";
import { ClientMemory } from "../history/workload.ts";
import type { Connection } from "../member/client-table.ts";
import { ClientConnection } from "./client-connection.ts";
import { ClientLog, type Place } from "./client-log.ts";
import { type ClientWorld, chooseMember, countAnswer } from "./client-world.ts";
import { Heartbeat } from "./heartbeat.ts";
import { LeftConnections } from "./left-connections.ts";
import { NextTurn } from "./next-turn.ts";
import { Outstanding } from "./outstanding.ts";

/** One client with connections. Invariant: at most one of its connections is attached to its session. */
export class SimClient {
  readonly id: number;
  readonly #world: ClientWorld;
  #session: SessionId = NO_SESSION;
  #xid = 0;
  #memory = new ClientMemory();
  #connection: ClientConnection | null = null;
  /** member of its last connection; 0: none */
  #lastSid = 0;
  /** whether it may send requests: its session is open and attached to this connection */
  #ready = false;
  /** whether its session was opened, on this connection or an earlier one */
  #opened = false;
  #attaching = false;
  readonly #outstanding = new Outstanding();
  readonly #heartbeat: Heartbeat;
  readonly #left = new LeftConnections();
  readonly #nextTurn: NextTurn;
  readonly #log: ClientLog;
  /** whether it sends no more requests */
  stopped = false;

  constructor(id: number, world: ClientWorld) {
    this.id = id;
    this.#world = world;
    this.#heartbeat = new Heartbeat(world.chance, world.options.sessionTimeoutMs);
    this.#log = new ClientLog(world.recorder);
    this.#nextTurn = new NextTurn(world.cluster.engine, () => this.#wake());
    this.#nextTurn.in(world.chance.between(0, 500));
  }

  /** Number of unanswered requests. */
  get waiting(): number {
    return this.#outstanding.waiting;
  }

  /** Number of connections that a member still keeps although the session has moved to another one. */
  get leftOpen(): number {
    return this.#left.openOf(this.#session);
  }

  get #place(): Place {
    const { number: conn = 0, life } = this.#connection ?? {};
    return { session: this.#session, conn, member: life?.sid ?? 0 };
  }

  get #connected(): ClientConnection {
    return must(this.#connection, "it is connected");
  }

  /** Whether its connection is attached to its session. */
  get attached(): boolean {
    return this.#ready && this.#connection !== null;
  }

  /** Stops sending requests, and closes the connection once all are answered. */
  stop(): void {
    this.stopped = true;
  }

  // ── a turn of the client ─────────────────────────────────────────────────

  #wake(): void {
    const { cluster, chance, options } = this.#world;
    if (this.stopped && this.#outstanding.waiting === 0) {
      this.#hangUp();
      return;
    }
    if (this.#world.calm) {
      this.#keepVigil();
      return;
    }
    if (this.#connection === null) {
      this.#connect();
      this.#nextTurn.in(chance.between(10, 200));
      return;
    }
    const { oldest } = this.#outstanding;
    if (oldest !== undefined && cluster.now - oldest.since > 1.5 * cluster.config.requestTimeoutMs) {
      this.#world.count("gave up waiting");
      this.#hangUp();
      this.#nextTurn.in(1);
      return;
    }
    if (this.#ready && !this.stopped && this.#world.opsLeft > 0) {
      if (this.#outstanding.waiting === 0 ? this.#leaves() : this.#breaksOff()) return;
      this.#askSome();
      this.#maybeClose();
    }
    if (this.#heartbeat.isDue(cluster.now)) this.#ping();
    const idle = this.#world.opsLeft <= 0 || this.#outstanding.waiting >= options.pipeline;
    const nextMs = this.#heartbeat.nextMs(cluster.now);
    this.#nextTurn.in(idle ? Math.min(nextMs, options.sessionTimeoutMs) : chance.between(...options.thinkMs));
  }

  /** During calm, some clients keep their session by a heartbeat shortly before its end. */
  #keepVigil(): void {
    const { cluster, chance } = this.#world;
    const dueMs = this.#heartbeat.vigilMs(cluster.now);
    if (!this.#ready || dueMs === undefined || dueMs > 0) {
      this.#nextTurn.in(dueMs === undefined || dueMs <= 0 ? 1_000 : Math.ceil(Math.min(dueMs, 1_000)));
      return;
    }
    this.#ping();
    this.#heartbeat.redraw();
    this.#nextTurn.in(chance.between(1, 500));
  }

  /** Sometimes leaves its connection, for another one or for ever. */
  #leaves(): boolean {
    const { chance, options } = this.#world;
    if (chance.chance(options.move)) {
      this.#world.count("moves");
      // Sometimes without closing it, so that its member considers the old connection alive.
      if (chance.oneIn(2)) this.#hangUp();
      else this.#leaveBehind();
      this.#nextTurn.in(chance.between(1, 100));
      return true;
    }
    if (this.#session === NO_SESSION) return false;
    if (chance.chance(options.vanish)) {
      this.#world.count("vanishes");
      this.#hangUp();
      this.#forget();
      this.#nextTurn.in(chance.between(1, 2_000));
      return true;
    }
    return false;
  }

  /** Sometimes abandons a connection with outstanding requests, which may be executed after it has attached elsewhere. */
  #breaksOff(): boolean {
    const { chance, options } = this.#world;
    if (!chance.chance(options.breakOff)) return false;
    this.#world.count("breaks off");
    this.#leaveBehind();
    this.#nextTurn.in(chance.between(1, 30));
    return true;
  }

  /** Abandons the connection without closing it, so that its member considers it alive. */
  #leaveBehind(): void {
    if (this.#connection === null) return;
    this.#left.add(this.#connection, this.#session);
    this.#gone();
  }

  /** Sometimes closes its session after its last requests. */
  #maybeClose(): void {
    const { chance, options, cluster } = this.#world;
    if (this.#session === NO_SESSION || !this.#ready || this.#connection === null) return;
    if (!chance.chance(options.close)) return;
    // Closing deletes its ephemerals, also one that is being created; others may write there.
    const ephemeral = this.#world.workload.ephemeral(this.id);
    if (ephemeral !== undefined) this.#write(ephemeral);
    if (this.#connection === null) return;
    const { sid } = this.#connection.life;
    cluster.invariants.sessions.closing(this.#session);
    this.#ready = false;
    this.#write({ type: "closeSession" });
    if (ephemeral !== undefined)
      this.#world.writeAnonymously(sid, this.#world.workload.overwrite(this.id, ephemeral.path));
  }

  #ping(): void {
    this.#heartbeat.shown(this.#world.cluster.now);
    if (this.#session !== NO_SESSION) this.#connection?.ping(this.#session);
  }

  // ── connections ──────────────────────────────────────────────────────────

  #connect(): void {
    const { cluster } = this.#world;
    const sid = chooseMember(this.#world, this.#lastSid);
    if (sid === undefined) return;
    this.#world.conns += 1;
    const conn = this.#world.conns;
    const found = cluster.connect(sid, this.#wire(conn));
    if (found === undefined) return;
    const connection = new ClientConnection(cluster, conn, found.life, found.token);
    this.#connection = connection;
    this.#lastSid = sid;
    this.#ready = false;
    this.#heartbeat.shown(cluster.now);
    if (this.#session === NO_SESSION) this.#open(connection);
    else this.#attach(connection);
  }

  /** Handles the events of a connection as long as it is the client's. */
  #wire(conn: number): Connection {
    return {
      respond: (xid, answer) => {
        if (this.#isOn(conn)) this.#respond(xid, answer);
      },
      notify: (event, zxid) => {
        if (this.#isOn(conn)) this.#notify(event, zxid);
      },
      closed: (code) => {
        if (code !== undefined) this.#world.count(code);
        if (this.#isOn(conn)) this.#closed(code);
      },
    };
  }

  #isOn(conn: number): boolean {
    return this.#connection?.number === conn;
  }

  #open(connection: ClientConnection): void {
    const { options } = this.#world;
    this.#world.sessions += 1;
    const session = makeSessionId(connection.life.sid, this.#world.sessions);
    this.#session = session;
    this.#log.connected(this.#place);
    const timeoutMs = options.sessionTimeoutMs;
    this.#note(this.#invoke({ type: "createSession", timeoutMs }, 0, false), 0, false);
    connection.open(session, timeoutMs);
  }

  /** Continues its session over this connection. */
  #attach(connection: ClientConnection): void {
    this.#log.connected(this.#place);
    this.#attaching = true;
    // Part of connecting, so it is no request of the history.
    this.#note(NO_OP, connection.attachXid, false);
    connection.attach(this.#session);
  }

  #attached(answer: ServerAnswer): void {
    this.#attaching = false;
    if (isExpired(answer)) {
      this.#over();
      return;
    }
    if (!answer.ok || answer.result.type !== "sync") {
      this.#retreat();
      return;
    }
    this.#world.count("attached");
    this.#left.sessionMoved();
    const { cluster, chance, options } = this.#world;
    const connection = this.#connection;
    // Its requests on the previous connection may arrive before it repeats them.
    const pauseMs = options.breakOff > 0 && chance.oneIn(2) ? chance.between(1, 300) : 0;
    if (pauseMs === 0) this.#resume();
    else {
      cluster.after(pauseMs, () => {
        if (connection !== null && this.#connection === connection) this.#resume();
      });
    }
  }

  /** Continues where an earlier connection of the session ended. */
  #resume(): void {
    this.#ready = true;
    // Usually its watches first, like ZooKeeper's clients.
    const watchesFirst = this.#world.chance.oneIn(2);
    if (watchesFirst) this.#resumeWatches();
    const session = this.#session;
    for (const { request, xid } of this.#outstanding.takeAgain()) {
      // An answer may report the end of the session; the rest does not belong to the next session.
      if (this.#session !== session) break;
      if (this.#connection === null) this.#outstanding.askAgain({ request, xid });
      else this.#write(request, xid);
    }
    const watchesLast = !watchesFirst && this.#session === session && this.#connection !== null;
    this.#askSome();
    if (watchesLast) this.#resumeWatches();
  }

  /** Sets its watches again at the current member. */
  #resumeWatches(): void {
    const request = this.#memory.setWatches;
    if (request === null || this.#connection === null) return;
    const { relativeZxid, data, exist, child } = request;
    const seen = { relativeZxid: zxidOf(relativeZxid), data, exist, child };
    const xid = this.#nextXid();
    this.#note(this.#invoke(request, 0, false), xid, false);
    this.#world.count("watches left again");
    this.#connection.setWatches(this.#session, xid, seen);
  }

  #hangUp(): void {
    if (this.#connection === null) return;
    this.#connection.hangUp();
    this.#gone();
  }

  /** Tries again later over another connection. */
  #retreat(): void {
    this.#hangUp();
    this.#nextTurn.in(this.#world.chance.between(1, 300));
  }

  #closed(code?: DisconnectCode): void {
    if (this.#connection === null) return;
    if (code === undefined) this.#world.count("connection lost");
    if (code === "SESSION_EXPIRED") {
      this.#over();
      return;
    }
    this.#gone();
    this.#nextTurn.in(this.#world.chance.between(1, 200));
  }

  #gone(): void {
    this.#log.disconnected(this.#place);
    this.#connection = null;
    this.#attaching = false;
    if (!this.#ready && !this.#opened) {
      // The session was being opened; whatever the outcome, another one is opened.
      this.#outstanding.drop();
      this.#forget();
      return;
    }
    this.#ready = false;
    this.#outstanding.lose();
  }

  /** Starts over, because its session has ended. */
  #forget(): void {
    this.#session = NO_SESSION;
    this.#xid = 0;
    this.#memory = new ClientMemory();
    this.#outstanding.forget();
    this.#ready = false;
    this.#opened = false;
  }

  // ── requests ─────────────────────────────────────────────────────────────

  #askSome(): void {
    const { chance, options, workload } = this.#world;
    const room = options.pipeline - this.#outstanding.waiting;
    const count = options.pipeline === 1 ? room : Math.min(room, 1 + chance.below(options.pipeline));
    for (let i = 0; i < count && this.#world.opsLeft > 0; i++) {
      // The last request may have made the member crash.
      if (this.#connection === null) return;
      // A linearizable read has no order with other requests of its connection.
      if (this.#outstanding.hasLinearizable) return;
      this.#world.opsLeft -= 1;
      const { request, linearizable } = workload.next(this.id);
      if (linearizable && this.#outstanding.waiting > 0) this.#read(request as ReadRequest, false);
      else if (isRead(request)) this.#read(request, linearizable);
      else if (isWrite(request)) this.#write(request);
    }
  }

  #invoke(request: Request, xid: number, linearizable: boolean): Op {
    const about = { client: this.id, ...this.#place, xid, linearizable };
    return this.#world.recorder.invoke({ ...about, request });
  }

  #write(request: WriteRequest, xid = this.#nextXid()): void {
    this.#note(this.#invoke(request, xid, false), xid, false);
    this.#connected.write(this.#session, xid, request);
  }

  #read(request: ReadRequest, linearizable: boolean): void {
    const connection = this.#connected;
    const xid = this.#nextXid();
    this.#note(this.#invoke(request, 0, linearizable), xid, linearizable);
    const session = this.#session;
    if (!linearizable) connection.read(session, xid, request);
    else {
      connection.readLinearizable(session, xid, request, (_number, answer) => {
        if (this.#connection === connection) this.#respond(xid, answer);
      });
    }
  }

  #note(op: Op, xid: number, linearizable: boolean): void {
    const { cluster } = this.#world;
    this.#world.orders += 1;
    const { life } = this.#connected;
    const asked = cluster.invariants.requests.asked(life, this.#session, this.#world.orders, linearizable);
    this.#outstanding.add({ op, xid, asked, since: cluster.now });
  }

  #nextXid(): number {
    this.#xid += 1;
    return this.#xid;
  }

  // ── answers ──────────────────────────────────────────────────────────────

  #respond(xid: number, answer: ServerAnswer): void {
    const { cluster, recorder, workload } = this.#world;
    const connection = this.#connection;
    const found = this.#outstanding.answered(xid);
    if (connection === null || found === undefined) return;
    const { op, asked } = found;
    cluster.invariants.requests.responded(connection.life, asked, answer);
    const outcome = outcomeOf(answer);
    if (op !== NO_OP) recorder.returned(op, outcome);
    countAnswer(this.#world, answer);
    this.#memory.answered(op.request, outcome);
    workload.learned(op.request, outcome);
    this.#outstanding.returned(found, outcome);
    if (op.request.type === "createSession") this.#openAnswered(outcome.type === "done");
    else if (this.#attaching) this.#attached(answer);
    else if (op.request.type === "closeSession" || isExpired(answer)) this.#over(op.request.type);
    // Unknown outcomes are resolved before new requests, here or at another member.
    else if (this.#outstanding.isUnsettled) this.#retreat();
    else if (this.#ready) this.#nextTurn.in(this.#world.chance.between(...this.#world.options.thinkMs));
  }

  #openAnswered(done: boolean): void {
    if (!done) {
      this.#retreat();
      return;
    }
    this.#ready = true;
    this.#opened = true;
    this.#nextTurn.in(0);
  }

  /** Handles the end of the session. @param how closed by the client, or expired */
  #over(how = "expired"): void {
    if (how !== "closeSession") {
      this.#log.expired(this.#place);
      this.#world.count("session expired");
    }
    this.#hangUp();
    this.#forget();
    this.#nextTurn.in(this.#world.chance.between(1, 300));
  }

  #notify(event: WatchEvent, zxid: Zxid): void {
    this.#memory.fired(event);
    this.#world.count("watch event");
    this.#log.watchFired(this.#place, event, zxid);
  }
}

/** Stands for what is no request of the client's. */
const NO_OP: Op = {
  client: 0,
  session: 0,
  xid: 0,
  conn: 0,
  member: 0,
  linearizable: false,
  request: { type: "sync" },
  invoke: 0,
  return: 0,
  outcome: { type: "unknown" },
};

const zxidOf = (value: number): Zxid => makeZxid(Math.floor(value / 2 ** 32), value % 2 ** 32);

const isExpired = (answer: ServerAnswer): boolean =>
  answer.ok
    ? answer.result.type === "error" && answer.result.code === "SESSION_EXPIRED"
    : answer.code === "SESSION_EXPIRED";
