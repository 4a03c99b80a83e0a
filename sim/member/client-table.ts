/** The clients of one life of a member: its connections, and requests without a connection. */
import type { ServerAnswer } from "../../core/server/answers.ts";
import type { DisconnectCode } from "../../core/server/effects.ts";
import type { Token } from "../../core/server/ids.ts";
import type { Zxid } from "../../core/zab/zxid.ts";
import type { WatchEvent } from "../../core/znode/types.ts";
import type { Asked } from "../checkers/requests.ts";
import type { OutputGate } from "./output-gate.ts";
import type { Turns } from "./turns.ts";

/** A client's connection to one life of a member. */
export interface Connection {
  respond(xid: number, answer: ServerAnswer): void;
  notify(event: WatchEvent, zxid: Zxid): void;
  /** Called when it has ended; unanswered requests stay unanswered. @param code why the member closed it, if known */
  closed(code?: DisconnectCode): void;
}

/** A request without a connection. */
export interface PendingRequest {
  /** Called with the answer; undefined if none will come. */
  answered(answer: ServerAnswer | undefined): void;
  /** a read that may not be stale */
  readonly isFresh: boolean;
}

/** Observer of clients, for the checkers and for tests. */
export interface ClientWatcher {
  /** Called when a read is answered that may not be stale. */
  onRead(): void;
  /** Called when a request of {@link ClientTable.expect} is answered. */
  onAnswer(token: Token, asked: Asked, answer: ServerAnswer): void;
}

/** Invariant: a token identifies a connection or one request, and none is used twice in a life. */
export class ClientTable {
  readonly #gate: OutputGate;
  readonly #turns: Turns;
  readonly #watcher: ClientWatcher;
  readonly connections = new Map<Token, Connection>();
  readonly #requests = new Map<Token, PendingRequest>();
  readonly #expected = new Map<Token, Asked>();
  /** number of connections so far, from which tokens are made */
  #connected = 0;

  constructor(gate: OutputGate, turns: Turns, watcher: ClientWatcher) {
    this.#gate = gate;
    this.#turns = turns;
    this.#watcher = watcher;
  }

  /** Adds a connection. @returns its token */
  connect(connection: Connection): Token {
    this.#connected += 1;
    const token = this.#connected as Token;
    this.connections.set(token, connection);
    return token;
  }

  /** Adds a request without a connection. */
  request(token: Token, request: PendingRequest): void {
    this.#requests.set(token, request);
  }

  /** Adds a request whose answer goes to the {@link ClientWatcher}. */
  expect(token: Token, asked: Asked): void {
    this.#expected.set(token, asked);
  }

  /** Delivers an answer of the member. */
  respond(token: Token, xid: number, answer: ServerAnswer): void {
    if (this.connections.has(token)) {
      this.#tell(token, (connection) => connection.respond(xid, answer));
      return;
    }
    const request = this.#requests.get(token);
    if (request !== undefined) {
      const { answered, isFresh } = request;
      if (isFresh && (answer.ok || answer.code === "NO_NODE")) this.#watcher.onRead();
      this.#gate.let(() =>
        this.#turns.tell(() => {
          if (this.#requests.delete(token)) answered(answer);
        }),
      );
      return;
    }
    const asked = this.#expected.get(token);
    if (asked === undefined) return;
    this.#expected.delete(token);
    this.#gate.let(() => this.#watcher.onAnswer(token, asked, answer));
  }

  /** Delivers an event of the member. @returns false if no connection has this token */
  notify(token: Token, event: WatchEvent, zxid: Zxid): boolean {
    if (!this.connections.has(token)) return false;
    this.#tell(token, (connection) => connection.notify(event, zxid));
    return true;
  }

  /** Closes a connection for the member. */
  disconnect(token: Token, code: DisconnectCode): void {
    this.#tell(token, (connection) => {
      this.connections.delete(token);
      connection.closed(code);
    });
  }

  /** Closes all connections for the member, at once. @param forget called for each */
  drop(forget: (token: Token) => void): void {
    const connections = [...this.connections];
    this.connections.clear();
    for (const [token, connection] of connections) {
      forget(token);
      this.#turns.tell(() => connection.closed());
    }
  }

  /** Ends the life: no outstanding request will be answered. */
  end(): void {
    const connections = [...this.connections.values()];
    this.connections.clear();
    for (const connection of connections) this.#turns.tell(() => connection.closed());
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const { answered } of requests) this.#turns.tell(() => answered(undefined));
  }

  /** Informs a client after the current effects are run. */
  #tell(token: Token, tell: (connection: Connection) => void): void {
    this.#gate.let(() =>
      this.#turns.tell(() => {
        const connection = this.connections.get(token);
        if (connection !== undefined) tell(connection);
      }),
    );
  }
}
