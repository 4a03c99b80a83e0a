/**
 * The connection of one session with the ensemble, over one WebSocket after the other.
 *
 *   connected ──lost──▶ disconnected ──attached again──▶ connected
 *                            ├── the server says so ──▶ expired
 *                            └── reconnectMs are over, or close() ──▶ closed
 *
 * A lost channel is replaced by a new one, at any node. Then watches are set again, with the last zxid that was seen, and
 * unanswered requests are sent again under their numbers, so that each happens once and gets its first result.
 */
import { ZOO_ERRORS } from "../../core/errors.ts";
import { OpCode, ReservedXid } from "../../core/wire/jute/opcodes.ts";
import type { Reply } from "../../core/wire/jute/ops/op.ts";
import { readReply } from "../../core/wire/jute/replies.ts";
import { readWatcherEvent } from "../../core/wire/jute/watcher-event.ts";
import type { ByteReader } from "../../core/wire/reader.ts";
import { ZXID_ZERO, type Zxid, zxid } from "../../core/zab/zxid.ts";
import { type ReadRequest, WatchEventType, type WriteRequest } from "../../core/znode/types.ts";
import { backoffMs, pause } from "./backoff.ts";
import { Channel, type ChannelOwner } from "./channel.ts";
import { CLOSES_FOR_GOOD, LATE_ATTEMPT_MS } from "./config.ts";
import type { Dialed, Dialer } from "./dial.ts";
import { detailOf, lossOfConnection, ZooError } from "./errors.ts";
import { forgotten, Outbox, type PendingRequest, type WatchOfRead } from "./outbox.ts";
import { atEndOfTick, type SocketLike } from "./socket.ts";
import type { SessionState, SessionTicket, WatchEvent, WatchListener } from "./types.ts";
import { Watches } from "./watches.ts";

const EVENTS: Readonly<Record<WatchEventType, WatchEvent["type"]>> = {
  [WatchEventType.CREATED]: "created",
  [WatchEventType.DELETED]: "deleted",
  [WatchEventType.DATA_CHANGED]: "changed",
  [WatchEventType.CHILDREN_CHANGED]: "children",
};

const CLOSE_NORMAL = 1000;
/** Close codes of the server: see docs/spec/node.md, NODE-16. */
const CLOSE_EXPIRED = 4112;
const CLOSE_MOVED = 4118;
const MOVED_NUMBER = ZOO_ERRORS.SESSION_MOVED.number;
/** From this value on, the header's zxid means none (−1). */
const NO_ZXID_EPOCH = 2 ** 31;

/** How a session ended: with an error, or by close(). */
export interface End {
  readonly reason: ZooError | undefined;
}

/**
 * Keeps a session attached to some node of the ensemble, and delivers its requests, answers and watch events.
 *
 * Invariants: the state is "connected" exactly while there is a channel; `end` is set exactly when the state is "expired" or
 * "closed", and then no request is pending; `lastZxid` only grows.
 * @source ZooKeeper `ClientCnxn`
 */
export class Connection implements ChannelOwner {
  /** resolves when the session can no longer be used: with the reason, or undefined after close() */
  readonly ended: Promise<ZooError | undefined>;
  readonly #ticket: SessionTicket;
  readonly #timeoutMs: number;
  readonly #dialer: Dialer;
  readonly #reconnectMs: number;
  readonly #outbox: Outbox;
  readonly #watches = new Watches();
  readonly #stateListeners = new Set<(state: SessionState) => void>();
  /** ends the search for a node */
  readonly #abort = new AbortController();
  /** undefined: disconnected */
  #channel: Channel | undefined;
  #state: SessionState = "connected";
  #end: End | undefined;
  #resolveEnded: (reason: ZooError | undefined) => void = () => {};
  #isClosing = false;
  /** time of the last abandoned attempt to connect; ms of performance.now() */
  #attemptFailedAt = Number.NEGATIVE_INFINITY;
  #flushIsDue = false;
  #lastZxid: Zxid = ZXID_ZERO;

  /** Takes over a socket after its handshake, and how to open further ones. */
  constructor({ socket, response }: Dialed, dialer: Dialer, reconnectMs: number) {
    this.#ticket = { id: response.session, password: response.password };
    this.#timeoutMs = response.timeoutMs;
    this.#dialer = dialer;
    this.#reconnectMs = reconnectMs;
    this.#outbox = new Outbox(response.lastXid ?? 0);
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#channel = new Channel(socket, this.#timeoutMs, this);
  }

  get state(): SessionState {
    return this.#state;
  }

  /** undefined while the session can be used */
  get end(): End | undefined {
    return this.#end;
  }

  /** zxid of the newest answer */
  get lastZxid(): Zxid {
    return this.#lastZxid;
  }

  get outstanding(): number {
    return this.#outbox.length;
  }

  /** Calls `listener` at every change of {@link state}. @returns a function that removes it */
  onState(listener: (state: SessionState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /**
   * Encodes a request at once, and sends it at the end of the tick. `pick` takes the result from the answer.
   * @param check returns the request, or throws for invalid arguments before anything is written
   */
  issue<T>(
    check: () => WriteRequest | ReadRequest,
    isWrite: boolean,
    watch: (() => WatchOfRead | undefined) | undefined,
    pick: (reply: Reply) => T,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // an error of `check` rejects only this call
      const request = check();
      if (this.#outbox.isExhausted)
        this.finish(new ZooError("SESSION_EXPIRED", "the numbers of its requests are used up"));
      if (this.#end !== undefined)
        throw this.#end.reason ?? new ZooError("CONNECTION_LOSS", "the session is closed");
      if (this.#outbox.isFull)
        throw new ZooError("THROTTLED", `${this.outstanding} requests wait for their answers`);
      if (this.#outbox.isLong) this.#flush();
      this.#outbox.add(request, isWrite, watch?.(), pick, resolve as (result: unknown) => void, reject);
      if (this.#flushIsDue) return;
      this.#flushIsDue = true;
      atEndOfTick(() => this.#flush());
    });
  }

  /** Removes the listener from every watch of this path. */
  removeWatch(path: string, listener: WatchListener): void {
    this.#watches.remove(path, listener);
  }

  /** The session is being closed by a request: it no longer matters how it ends. */
  beginClose(): void {
    this.#isClosing = true;
  }

  /** Ends this session, and fails all pending requests. */
  finish(reason: ZooError | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { reason };
    this.#abort.abort();
    this.#drop();
    this.#outbox.fail(reason?.code === "CONNECTION_LOSS" ? undefined : reason);
    this.#changeState(reason?.code === "SESSION_EXPIRED" ? "expired" : "closed");
    this.#resolveEnded(reason);
  }

  #flush(): void {
    this.#flushIsDue = false;
    if (this.#end !== undefined) return;
    const channel = this.#channel;
    const message = this.#outbox.seal(channel !== undefined);
    if (message !== undefined) channel?.send(message);
  }

  #changeState(state: SessionState): void {
    this.#state = state;
    for (const listener of [...this.#stateListeners]) call(listener, state);
  }

  #drop(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  onSilence(ms: number): void {
    this.#lose(`the server is silent for ${Math.round(ms)} ms`);
  }

  onGarbage(error: Error): void {
    this.finish(lossOfConnection(error.message));
  }

  onClose(code: number, reason: string): void {
    const how = `closed with ${code}${reason === "" ? "" : ` ${reason}`}`;
    if (code === CLOSE_EXPIRED) this.#expire(new ZooError("SESSION_EXPIRED", "the session is over"));
    else if (code === CLOSE_MOVED) this.#moved();
    else if (CLOSES_FOR_GOOD.has(code)) this.finish(lossOfConnection(how));
    else this.#lose(how);
  }

  /** The server has ended the session. */
  #expire(error: ZooError): void {
    this.finish(this.#isClosing ? undefined : error);
  }

  /** Another connection has attached to the session: a late attempt of this client, or another client. */
  #moved(): void {
    if (performance.now() - this.#attemptFailedAt < LATE_ATTEMPT_MS) this.#lose("the session moved");
    else this.finish(new ZooError("SESSION_MOVED", "another client has taken over this session"));
  }

  #lose(how: string): void {
    if (this.#end !== undefined || this.#channel === undefined) return;
    if (this.#reconnectMs <= 0) {
      this.finish(lossOfConnection(how));
      return;
    }
    this.#drop();
    this.#flush();
    this.#changeState("disconnected");
    void this.#reconnect(how);
  }

  async #reconnect(how: string): Promise<void> {
    const { signal } = this.#abort;
    const giveUpAt = performance.now() + this.#reconnectMs;
    for (let attempt = 0; ; attempt++) {
      await pause(backoffMs(attempt, Math.random()), signal);
      if (signal.aborted) return;
      try {
        this.#resume((await this.#dialer.dial(this.#ticket, this.#lastZxid, signal)).socket);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#attemptFailedAt = performance.now();
        if (ZooError.is(error, "SESSION_EXPIRED")) this.#expire(error);
        else if (performance.now() >= giveUpAt)
          this.finish(lossOfConnection(`${how}; then: ${detailOf(error)}`));
        if (this.#end !== undefined) return;
      }
    }
  }

  /** Attached again: sets the watches, then sends unanswered requests again, in their order. */
  #resume(socket: SocketLike): void {
    if (this.#end !== undefined) {
      socket.close(CLOSE_NORMAL);
      return;
    }
    // requests that were issued without a connection become a message, which is sent like the others
    this.#flush();
    this.#channel = new Channel(socket, this.#timeoutMs, this);
    this.#watches.writeRequests(this.#outbox.writer, this.#lastZxid);
    this.#outbox.repeat(() => this.#flush());
    this.#flush();
    this.#changeState("connected");
  }

  onPacket(xid: number, epoch: number, counter: number, err: number, reader: ByteReader): void {
    if (xid === ReservedXid.NOTIFICATION) {
      this.#notify(reader);
      return;
    }
    // until all watches are set again, missed events since the last zxid may still arrive
    if (xid === ReservedXid.SET_WATCHES) return;
    this.#saw(epoch, counter);
    if (xid === ReservedXid.PING) return;
    // not carried out, so it can be sent again
    if (err === MOVED_NUMBER) this.#moved();
    else this.#answer(this.#outbox.take(xid), err, reader);
  }

  #answer(pending: PendingRequest, err: number, reader: ByteReader): void {
    const { watch, opcode, path } = pending;
    const reply = readReply(reader, opcode, err);
    // exists also sets its watch if there is no znode
    const isArmed = reply.type !== "error" || (reply.code === "NO_NODE" && opcode === OpCode.EXISTS);
    if (watch !== undefined && isArmed) {
      this.#watches.add(reply.type === "error" ? "exist" : watch.kind, path, watch.listener);
    }
    if (reply.type !== "error") succeed(pending, reply);
    else if (reply.code === "XID_TOO_OLD" && pending.sentAgain) pending.fail(forgotten(pending));
    else {
      const type = opcode === OpCode.CREATE || opcode === OpCode.CREATE2 ? "create" : "other";
      pending.fail(ZooError.ofReply(reply.code, { type, path }));
    }
  }

  /** A repeat is answered with the zxid of the first attempt. */
  #saw(epoch: number, counter: number): void {
    if (epoch >= NO_ZXID_EPOCH) return;
    const { epoch: seenEpoch, counter: seenCounter } = this.#lastZxid;
    if (epoch > seenEpoch || (epoch === seenEpoch && counter > seenCounter)) {
      this.#lastZxid = zxid(epoch, counter);
    }
  }

  /** Removes the watches that the event fires, then calls them: a listener may register a new one. */
  #notify(reader: ByteReader): void {
    const { type, path } = readWatcherEvent(reader);
    const event: WatchEvent = { type: EVENTS[type], path };
    for (const listener of this.#watches.take(event)) call(listener, event);
  }
}

/** An error of a listener is reported as uncaught, as with any event, and has no other effect. */
function call<T>(listener: (value: T) => void, value: T): void {
  try {
    listener(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function succeed({ pick, succeed, fail }: PendingRequest, reply: Reply): void {
  try {
    succeed(pick(reply));
  } catch (error) {
    fail(error);
  }
}
