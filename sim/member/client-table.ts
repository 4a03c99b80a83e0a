/** The clients of one life of a member: its connections, and the requests that came without one. */
import type { ServerAnswer } from "../../core/server/answers.ts";
import type { DisconnectCode } from "../../core/server/effects.ts";
import type { Token } from "../../core/server/ids.ts";
import type { Zxid } from "../../core/zab/zxid.ts";
import type { WatchEvent } from "../../core/znode/types.ts";
import type { Asked } from "../checkers/requests.ts";
import type { OutputGate } from "./output-gate.ts";
import type { Turns } from "./turns.ts";

/** A client at a member, as long as that life lasts. */
export interface Connection {
  respond(xid: number, answer: ServerAnswer): void;
  notify(event: WatchEvent, zxid: Zxid): void;
  /** it is over, and what was not answered will not be. @param code why the member closed it, if it says */
  closed(code?: DisconnectCode): void;
}

/** A request without a connection. */
export interface PendingRequest {
  /** undefined: no answer will come */
  answered(answer: ServerAnswer | undefined): void;
  /** a read that may not be stale */
  readonly isFresh: boolean;
}

/** What happens to clients, for the checkers and for tests. */
export interface ClientWatcher {
  /** A read is answered that may not be stale. */
  onRead(): void;
  /** A request of {@link ClientTable.expect} is answered. */
  onAnswer(token: Token, asked: Asked, answer: ServerAnswer): void;
}

/** Invariant: a token stands for a connection, or for one request, and none is used twice in a life. */
export class ClientTable {
  readonly #gate: OutputGate;
  readonly #turns: Turns;
  readonly #watcher: ClientWatcher;
  readonly connections = new Map<Token, Connection>();
  readonly #requests = new Map<Token, PendingRequest>();
  readonly #expected = new Map<Token, Asked>();
  /** connections so far: every life numbers them from 1 */
  #connected = 0;

  constructor(gate: OutputGate, turns: Turns, watcher: ClientWatcher) {
    this.#gate = gate;
    this.#turns = turns;
    this.#watcher = watcher;
  }

  /** A client connects. @returns what stands for the connection */
  connect(connection: Connection): Token {
    this.#connected += 1;
    const token = this.#connected as Token;
    this.connections.set(token, connection);
    return token;
  }

  /** Something is asked without a connection. */
  request(token: Token, request: PendingRequest): void {
    this.#requests.set(token, request);
  }

  /** Something is asked whose answer goes to the {@link ClientWatcher}. */
  expect(token: Token, asked: Asked): void {
    this.#expected.set(token, asked);
  }

  /** The member answers. */
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

  /** The member sends an event. @returns false: nobody has this token */
  notify(token: Token, event: WatchEvent, zxid: Zxid): boolean {
    if (!this.connections.has(token)) return false;
    this.#tell(token, (connection) => connection.notify(event, zxid));
    return true;
  }

  /** The member closes a connection. */
  disconnect(token: Token, code: DisconnectCode): void {
    this.#tell(token, (connection) => {
      this.connections.delete(token);
      connection.closed(code);
    });
  }

  /** The member closes all connections, at once. @param forget is called for each */
  drop(forget: (token: Token) => void): void {
    const connections = [...this.connections];
    this.connections.clear();
    for (const [token, connection] of connections) {
      forget(token);
      this.#turns.tell(() => connection.closed());
    }
  }

  /** The life is over, and with it everything that its clients waited for. */
  end(): void {
    const connections = [...this.connections.values()];
    this.connections.clear();
    for (const connection of connections) this.#turns.tell(() => connection.closed());
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const { answered } of requests) this.#turns.tell(() => answered(undefined));
  }

  /** What a client does of it comes when the effects at hand are run. */
  #tell(token: Token, tell: (connection: Connection) => void): void {
    this.#gate.let(() =>
      this.#turns.tell(() => {
        const connection = this.connections.get(token);
        if (connection !== undefined) tell(connection);
      }),
    );
  }
}
