/**
 * A client like the SDK, for the deterministic ensemble: one session over successive connections; unanswered requests
 * are sent again with their numbers, and watches are set again with the last zxid seen.
 */
import { must } from "../../core/assert.ts";
import type { ServerAnswer } from "../../core/server/answers.ts";
import type { Token } from "../../core/server/ids.ts";
import type { EnsembleServer } from "../../core/server/server.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import { compareZxid, ZXID_ZERO, type Zxid } from "../../core/zab/zxid.ts";
import type { ReadRequest, SessionId, WatchEvent, WriteRequest } from "../../core/znode/types.ts";
import type { Cluster } from "../../sim/cluster.ts";
import type { Life } from "../../sim/member/life.ts";

type WireEvent =
  | { readonly type: "answer"; readonly xid: number; readonly answer: ServerAnswer }
  | { readonly type: "watch"; readonly event: WatchEvent }
  | { readonly type: "closed"; readonly code: string };

/** A connection to a member, with what came on it and was not taken yet. */
export class Wire {
  readonly inbox: WireEvent[] = [];
  open = true;
  readonly #life: Life;
  readonly #token: Token;

  /** To a member that lives. */
  constructor(cluster: Cluster, sid: number) {
    const { life, token } = must(
      cluster.connect(sid, {
        respond: (xid, answer) => this.inbox.push({ type: "answer", xid, answer }),
        notify: (event) => this.inbox.push({ type: "watch", event }),
        closed: (code = "LOST" as never) => this.#closed(code),
      }),
      `member ${sid} is down`,
    );
    this.#life = life;
    this.#token = token;
  }

  #closed(code: string): void {
    this.open = false;
    this.inbox.push({ type: "closed", code });
  }

  /** One turn of the member, unless the connection is over. */
  ask(submit: (server: EnsembleServer, now: number, token: Token) => void): void {
    if (this.open) this.#life.turn((server, now) => submit(server, now, this.#token));
  }

  drop(): void {
    this.open = false;
    this.inbox.length = 0;
    this.#life.disconnected(this.#token);
  }
}

type Request =
  | { readonly xid: number; readonly write: WriteRequest }
  | { readonly xid: number; readonly read: ReadRequest };

export class SessionClient {
  readonly session: SessionId;
  readonly answers = new Map<number, ServerAnswer>();
  /** watch events in the order in which they came */
  readonly events: WatchEvent[] = [];
  /** codes with which connections ended */
  readonly ends: string[] = [];
  /** no: the ensemble says that the session is over */
  alive = true;
  lastZxid: Zxid = ZXID_ZERO;
  connection: Wire | null = null;
  /** asks for nothing but the handshake yet */
  #greeting = false;
  #xid = 0;
  #pending: Request[] = [];
  /** "data /path", "exist /path", "child /path" */
  readonly #watches = new Set<string>();
  readonly #cluster: Cluster;

  /** @param session open already, see `open` of world.ts */
  constructor(cluster: Cluster, session: SessionId) {
    this.#cluster = cluster;
    this.session = session;
  }

  /** Answered up to here, and connected. */
  get idle(): boolean {
    return this.connection?.open === true && !this.#greeting && this.#pending.length === 0;
  }

  get watching(): readonly string[] {
    return [...this.#watches];
  }

  /** Attaches to the session over a new connection to a member that lives; the one before is lost. */
  connect(sid: number): void {
    this.disconnect();
    this.connection = new Wire(this.#cluster, sid);
    this.#greeting = true;
    this.connection.ask((server, now, token) => server.attach(now, token, this.session));
  }

  /** Loses the connection as a client does that loses it: whatever was on its way to it is gone. */
  disconnect(): void {
    const { connection } = this;
    this.connection = null;
    connection?.drop();
  }

  /** Goes away without a word: the member holds the old connection for alive. */
  abandon(): Wire | null {
    const { connection } = this;
    this.connection = null;
    return connection;
  }

  /** @returns its xid */
  write(write: WriteRequest): number {
    return this.#ask({ xid: ++this.#xid, write });
  }

  /** @returns its xid */
  read(read: ReadRequest): number {
    return this.#ask({ xid: ++this.#xid, read });
  }

  #ask(request: Request): number {
    this.#pending.push(request);
    if (this.connection !== null && !this.#greeting) this.#send([request]);
    return request.xid;
  }

  #send(requests: readonly Request[]): void {
    const connection = must(this.connection, "it is connected");
    connection.ask((server, now, token) => {
      for (const request of requests) {
        const { session } = this;
        const { xid } = request;
        if ("write" in request) {
          const write = { session, xid, ...encodeWrite(request.write) };
          server.submitWrite(now, token, write, server.connectionOf(token));
        } else {
          const read = { session, xid, request: request.read };
          server.submitRead(now, token, { ...read, linearizable: false, stale: false, waits: true });
        }
      }
    });
  }

  /** Takes in what came. */
  pump(): void {
    for (;;) {
      const event = this.connection?.inbox.shift();
      if (event === undefined) return;
      if (event.type === "closed") {
        this.ends.push(event.code);
        this.connection = null;
        return;
      }
      if (event.type === "watch") this.#fired(event.event);
      else if (this.#greeting) this.#greeted(event.answer);
      else this.#answered(event.xid, event.answer);
    }
  }

  #greeted(answer: ServerAnswer): void {
    this.#greeting = false;
    if (!answer.ok) this.disconnect();
    else if (answer.result.type !== "sync") {
      this.alive = false;
      this.disconnect();
    } else {
      this.#rewatch();
      this.#send(this.#pending);
    }
  }

  #rewatch(): void {
    const connection = must(this.connection, "it is connected");
    const pathsOf = (kind: string): string[] =>
      [...this.#watches]
        .filter((watch) => watch.startsWith(`${kind} `))
        .map((watch) => watch.slice(kind.length + 1));
    const seen = { data: pathsOf("data"), exist: pathsOf("exist"), child: pathsOf("child") };
    const relativeZxid = this.lastZxid;
    connection.ask((server, _now, token) => {
      for (const event of server.watches.resume(server.tree, { ...seen, relativeZxid }, token)) {
        this.#fired(event);
      }
    });
  }

  #answered(xid: number, answer: ServerAnswer): void {
    // an attempt to connect that was given up has come through late: on with another
    if (!answer.ok && answer.code === "SESSION_MOVED") {
      this.disconnect();
      return;
    }
    const request = must(this.#pending.shift(), `nobody waits for ${xid}`);
    must(request.xid === xid || undefined, `${xid} is answered before ${request.xid}`);
    const age = compareZxid(answer.zxid, this.lastZxid);
    must(age >= 0 || "write" in request || undefined, `read ${xid} shows a time before what was seen`);
    if (age > 0) this.lastZxid = answer.zxid;
    this.answers.set(xid, answer);
    if (!("read" in request && "watch" in request.read) || !request.read.watch) return;
    const { type, path } = request.read;
    const found = answer.ok && answer.result.type !== "error";
    if (found) this.#watches.add(`${type === "getChildren" ? "child" : "data"} ${path}`);
    else if (type === "exists") this.#watches.add(`exist ${path}`);
  }

  #fired(event: WatchEvent): void {
    this.events.push(event);
    const kinds =
      event.type === 4 ? ["child"] : event.type === 2 ? ["data", "exist", "child"] : ["data", "exist"];
    const had = kinds.filter((kind) => this.#watches.delete(`${kind} ${event.path}`));
    must(had.length > 0 || undefined, `a watch fires that was not left, or twice: ${JSON.stringify(event)}`);
  }
}
