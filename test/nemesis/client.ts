/**
 * A client of real members that records every request and answer: a session over the raw protocol of `/v1/ws`. When
 * its connection ends or an answer is late, it continues at another member, repeats its unanswered writes under their
 * numbers, and sets its watches again. It shares only the codecs with the SDK: what the SDK hides is recorded here.
 */
import { setTimeout as wait } from "node:timers/promises";
import { WebSocket } from "ws";
import { ZOO_ERRORS, type ZooErrorCode, zooErrorOf } from "../../core/errors.ts";
import {
  type ConnectResponse,
  PASSWORD_BYTES,
  readConnectResponse,
  writeConnectRequest,
} from "../../core/wire/jute/connect.ts";
import { FrameCursor } from "../../core/wire/jute/frame.ts";
import { OpCode, ReservedXid } from "../../core/wire/jute/opcodes.ts";
import { readReply } from "../../core/wire/jute/replies.ts";
import { opcodeOf, writeRequest, writeSetWatchesRequest } from "../../core/wire/jute/requests.ts";
import { readWatcherEvent } from "../../core/wire/jute/watcher-event.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import { zxid } from "../../core/zab/zxid.ts";
import type * as znode from "../../core/znode/types.ts";
import { coreRequest } from "../../sim/history/core-request.ts";
import {
  isRead,
  isWrite,
  type Op,
  type Outcome,
  outcomeOf,
  type ReadRequest,
  type Recorder,
  type Request,
  type WriteRequest,
  zxidToNumber,
} from "../../sim/history/history.ts";
import { ClientMemory, type Workload } from "../../sim/history/workload.ts";
import type { Chance } from "../../sim/random.ts";
import { readReplyHeader } from "../reply-header.ts";
import { readLinearizable } from "./linearizable.ts";
import type { Progress } from "./progress.ts";

/** Where the members answer. */
export interface Members {
  readonly api: string;
  readonly sids: readonly number[];
}

/** While it is on, nobody asks anything or is connected. */
export interface Calm {
  isOn: boolean;
}

export interface ClientOptions {
  readonly id: number;
  readonly members: Members;
  readonly recorder: Recorder;
  readonly workload: Workload;
  readonly chance: Chance;
  /** what no history can show: answers to nothing, a session that lost writes, a client that does not come to an end */
  readonly faults: string[];
  readonly progress: Progress;
  readonly calm: Calm;
}

/** A request on the wire that is not answered. */
interface Pending {
  readonly op: Op;
  readonly xid: number;
  readonly opcode: number;
  readonly sentAt: number;
}

interface Connection {
  readonly id: number;
  readonly member: number;
  readonly socket: WebSocket;
  /** no answer for so long, and the client goes elsewhere; ms */
  readonly patienceMs: number;
  readonly pending: Pending[];
}

/** Requests that a client has under way at most. */
const WINDOW_MAX = 4;
/** Pauses between requests, so that a history stays short enough to be checked. */
const THINK_MS = { least: 5, most: 45 };
const PATIENCE_MS = { least: 400, most: 2_500 };
/** Some sessions are short enough to end by the faults, others outlive them. */
const SESSION_MS = [2_000, 5_000, 10_000];
/** One in so many requests closes the session; the client opens another. */
const CLOSE_ONE_IN = 250;

/** Connections of a process, of which each history numbers its own. */
export class ConnectionIds {
  #last = 0;
  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

export class RecordingClient {
  readonly #options: ClientOptions;
  readonly #ids: ConnectionIds;
  #connection: Connection | null = null;
  #session = 0;
  #xid = 0;
  /** number of the last write that was acknowledged in this session */
  #acked = 0;
  #memory = new ClientMemory();
  /** writes without an answer, to be asked for again */
  #again: Op[] = [];
  /** reads over HTTP that are under way */
  #overHttp = 0;
  #closing = false;
  #ended = false;

  constructor(options: ClientOptions, ids: ConnectionIds) {
    this.#options = options;
    this.#ids = ids;
  }

  /** Asks until `done()`, then for what is still unanswered, and closes its session. @param requests come first, one by one */
  async run(done: () => boolean, requests: readonly WriteRequest[] = []): Promise<void> {
    const { chance, workload, id, calm } = this.#options;
    const first = [...requests];
    while (!this.#ended) {
      const connection = this.#connection;
      const last = done() && first.length === 0;
      if (last && this.#session === 0 && this.#overHttp === 0) break;
      if (last) this.#closing = true;
      if (calm.isOn && !last && first.length === 0) this.#leave();
      else if (connection === null) await this.#connect();
      else if (this.#isSilent(connection)) this.#drop();
      else if (this.#closing) {
        if (connection.pending.length + this.#overHttp === 0)
          this.#send(connection, [{ type: "closeSession" }]);
      } else if (first.length > 0) {
        if (connection.pending.length === 0) this.#send(connection, first.splice(0, 1));
      } else if (connection.pending.length + this.#overHttp < chance.between(1, WINDOW_MAX)) {
        const { request, linearizable } = workload.next(id);
        if (linearizable && isRead(request)) void this.#readOverHttp(request);
        else this.#send(connection, [request]);
        this.#closing = chance.oneIn(CLOSE_ONE_IN);
      }
      await wait(chance.between(THINK_MS.least, THINK_MS.most));
    }
  }

  /** Lets go of its connection once everything is answered; its session lives on. */
  #leave(): void {
    const connection = this.#connection;
    if (connection === null) return;
    const isAnswered = connection.pending.length + this.#overHttp === 0;
    if (isAnswered || this.#isSilent(connection)) this.#drop();
  }

  /** Lets go of everything; {@link run} ends. */
  end(): void {
    this.#ended = true;
    this.#drop();
  }

  // ── the connection ───────────────────────────────────────────────────────

  async #connect(): Promise<void> {
    const { members, chance, recorder } = this.#options;
    const member = chance.oneOf(members.sids);
    const patienceMs = chance.between(PATIENCE_MS.least, PATIENCE_MS.most);
    const socket = openSocket(members.api, member);
    const response = await this.#shakeHands(socket, patienceMs).catch(() => null);
    if (response === null || this.#ended) {
      socket.terminate();
      return;
    }
    if (response.timeoutMs <= 0) {
      socket.terminate();
      this.#expired(member);
      return;
    }
    this.#checkResumed(response);
    this.#session = response.session;
    const connection = { id: this.#ids.next(), member, socket, patienceMs, pending: [] };
    this.#connection = connection;
    recorder.session({ type: "connect", session: this.#session, conn: connection.id, member });
    socket.on("message", (data: Buffer) => this.#receive(connection, data));
    socket.on("close", () => {
      if (this.#connection === connection) this.#drop();
    });
    const { setWatches } = this.#memory;
    const again = this.#again.splice(0);
    this.#send(connection, setWatches === null ? [] : [setWatches], again);
  }

  #shakeHands(socket: WebSocket, patienceMs: number): Promise<ConnectResponse> {
    const { chance } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no answer")), patienceMs);
      const fail = (): void => {
        clearTimeout(timer);
        reject(new Error("no connection"));
      };
      socket.on("error", fail);
      socket.once("close", fail);
      socket.once("open", () => {
        const writer = new ByteWriter(64);
        const { lastZxid } = this.#memory;
        writeConnectRequest(writer, {
          lastZxidSeen: zxid(Math.floor(lastZxid / 2 ** 32), lastZxid % 2 ** 32),
          timeoutMs: chance.oneOf(SESSION_MS),
          session: this.#session as znode.SessionId,
          password: new Uint8Array(PASSWORD_BYTES),
          readOnly: false,
          wantsLastXid: true,
        });
        socket.send(writer.finish());
      });
      socket.once("message", (data: Buffer) => {
        clearTimeout(timer);
        const frames = new FrameCursor(data);
        if (!frames.next()) reject(new Error("an empty message"));
        else resolve(readConnectResponse(frames.reader));
      });
    });
  }

  /** The session knows of every write that was acknowledged, and of none that was never asked for. */
  #checkResumed({ session, lastXid = -1 }: ConnectResponse): void {
    const { id, faults } = this.#options;
    if (this.#session === 0) return;
    const who = `client ${id} session 0x${session.toString(16)}`;
    if (session !== this.#session) faults.push(`[session] ${who} continues with another one`);
    if (lastXid < this.#acked || lastXid > this.#xid) {
      faults.push(`[session] ${who}: the last xid is ${lastXid}, acknowledged was ${this.#acked}`);
    }
  }

  /** The session is over: the next connection opens another. */
  #expired(member: number): void {
    this.#options.recorder.session({ type: "expired", session: this.#session, conn: 0, member });
    this.#forget();
  }

  #forget(): void {
    this.#session = 0;
    this.#xid = 0;
    this.#acked = 0;
    this.#memory = new ClientMemory();
    this.#again = [];
    this.#closing = false;
  }

  #isSilent({ pending, patienceMs }: Connection): boolean {
    const oldest = pending[0];
    return oldest !== undefined && performance.now() - oldest.sentAt > patienceMs;
  }

  /** Nothing that this connection still brings is looked at. */
  #drop(): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.#connection = null;
    const { id, member, socket, pending } = connection;
    socket.removeAllListeners("message");
    socket.terminate();
    this.#options.recorder.session({ type: "disconnect", session: this.#session, conn: id, member });
    this.#again = pending.map(({ op }) => op).filter(({ request }) => isWrite(request));
  }

  // ── requests ─────────────────────────────────────────────────────────────

  /** @param again attempts that were not answered: they go out under their numbers, behind `requests` */
  #send(connection: Connection, requests: readonly Request[], again: readonly Op[] = []): void {
    const { id: client, recorder } = this.#options;
    const writer = new ByteWriter(256);
    const asked = [
      ...requests.map((request) => ({ request, xid: this.#numberOf(request) })),
      ...again.map(({ request, xid }) => ({ request, xid })),
    ];
    for (const { request, xid } of asked) {
      writeFrame(writer, xid, request);
      const op = recorder.invoke({
        client,
        session: this.#session,
        xid: isWrite(request) ? xid : 0,
        conn: connection.id,
        member: connection.member,
        request,
      });
      connection.pending.push({ op, xid, opcode: opcodeOfRequest(request), sentAt: performance.now() });
    }
    if (writer.length > 0) connection.socket.send(writer.finish());
  }

  #numberOf(request: Request): number {
    if (request.type === "setWatches") return ReservedXid.SET_WATCHES;
    this.#xid += 1;
    return this.#xid;
  }

  async #readOverHttp(request: ReadRequest): Promise<void> {
    const { id: client, recorder, workload, members, chance } = this.#options;
    const member = chance.oneOf(members.sids);
    const patienceMs = chance.between(PATIENCE_MS.least, PATIENCE_MS.most);
    const op = recorder.invoke({ client, member, linearizable: true, request });
    this.#overHttp += 1;
    const outcome = await readLinearizable(members.api, member, request, patienceMs);
    this.#overHttp -= 1;
    if (outcome === null) return;
    recorder.returned(op, outcome);
    workload.learned(request, outcome);
  }

  // ── answers ──────────────────────────────────────────────────────────────

  #receive(connection: Connection, message: Buffer): void {
    for (const frames = new FrameCursor(message); this.#connection === connection && frames.next(); ) {
      this.#packet(connection, frames.reader);
    }
  }

  #packet(connection: Connection, reader: FrameCursor["reader"]): void {
    const { id, recorder, workload, faults } = this.#options;
    const header = readReplyHeader(reader);
    if (header.xid === ReservedXid.NOTIFICATION) {
      const event = readWatcherEvent(reader);
      this.#memory.fired(event);
      recorder.watch({
        session: this.#session,
        conn: connection.id,
        ...event,
        zxid: zxidToNumber(header.zxid),
      });
      return;
    }
    const at = connection.pending.findIndex(({ xid }) => xid === header.xid);
    const pending = connection.pending[at];
    if (pending === undefined) {
      faults.push(`[session] client ${id}: an answer to ${header.xid}, which waits for none`);
      return;
    }
    connection.pending.splice(at, 1);
    const { op, opcode } = pending;
    const outcome = outcomeOfReply(header.zxid, header.err, () => readReply(reader, opcode, 0));
    recorder.returned(op, outcome);
    this.#memory.answered(op.request, outcome);
    workload.learned(op.request, outcome);
    this.#learn(op, outcome);
  }

  #learn(op: Op, outcome: Outcome): void {
    if (outcome.type !== "done") return;
    const { result } = outcome;
    const code = result.type === "error" ? result.code : null;
    // Whatever else it has sent is answered alike; the handshake tells what became of the session.
    if (code === "SESSION_EXPIRED" || code === "SESSION_MOVED") this.#drop();
    else if (result.type === "closeSession") {
      this.#drop();
      this.#forget();
    } else if (isWrite(op.request)) {
      this.#acked = Math.max(this.#acked, op.xid);
      if (code === null) this.#options.progress.acknowledged();
    }
  }
}

function openSocket(api: string, member: number): WebSocket {
  const url = `${api.replace("http", "ws")}/v1/ws`;
  const socket = new WebSocket(url, { headers: { "zoo-node": String(member) }, perMessageDeflate: false });
  // who waits for it looks at its end
  socket.on("error", () => {});
  return socket;
}

const opcodeOfRequest = (request: Request): number => {
  if (request.type === "setWatches") return OpCode.SET_WATCHES;
  return opcodeOf(isRead(request) ? request : coreRequest(request));
};

function writeFrame(writer: ByteWriter, xid: number, request: Request): void {
  if (request.type === "setWatches") {
    const { relativeZxid, data, exist, child } = request;
    const seen = zxid(Math.floor(relativeZxid / 2 ** 32), relativeZxid % 2 ** 32);
    writeSetWatchesRequest(writer, xid, { relativeZxid: seen, data, exist, child });
  } else writeRequest(writer, xid, isRead(request) ? request : coreRequest(request));
}

function outcomeOfReply(
  at: ReturnType<typeof zxid>,
  err: number,
  read: () => ReturnType<typeof readReply>,
): Outcome {
  if (err !== ZOO_ERRORS.OK.number) {
    return outcomeOf({ ok: false, zxid: at, code: zooErrorOf(err) as ZooErrorCode });
  }
  const reply = read();
  if (reply.type === "empty") return { type: "done", zxid: zxidToNumber(at), result: { type: "setWatches" } };
  return outcomeOf({ ok: true, zxid: at, result: reply as znode.WriteResult | znode.ReadOutcome });
}
