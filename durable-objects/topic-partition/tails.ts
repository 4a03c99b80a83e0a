/**
 * The sockets of a partition's tails: hibernatable WebSockets with a {@link TailState} as attachment. `core/broker/tail.ts`
 * decides what is sent.
 *
 * The runtime keeps a socket open if its reader disconnected before the Worker received it. So readers send beats, which
 * the runtime answers and records for the object, and a socket that was silent for two beats is closed when the object is
 * next awake. The runtime records beats by its own clock, so silence is measured by that clock, whatever a fault does to
 * the object's.
 */

import { AssertionError, assertNever } from "../../core/assert.ts";
import type { PartitionAnswer, TailEvent, TailFrameAnswer } from "../../core/broker/replica-messages.ts";
import {
  acknowledgeTail,
  advanceTail,
  isSilentTail,
  openTail,
  type TailState,
} from "../../core/broker/tail.ts";
import { encodeTailFrame } from "../../core/wire/tail-frame-codec.ts";
import { SILENT_MS_MAX } from "../shared/config.ts";
import { BEAT, BEAT_FRAME, tryClose, trySend } from "../shared/sockets.ts";

/** The interface of the object to its tails. */
export interface TailsPorts {
  readonly ctx: DurableObjectState;
  /** number of tails that are served in one turn */
  readonly perTurn: number;
  /** runs a slice in a later turn; an error in it ends the object */
  readonly later: (run: () => void) => void;
  /** reads without waiting; must not fail for an offset that a tail has reached */
  readonly read: (offset: number) => PartitionAnswer<TailFrameAnswer>;
}

const stateOf = (socket: WebSocket): TailState => socket.deserializeAttachment() as TailState;
const setState = (socket: WebSocket, state: TailState): void => socket.serializeAttachment(state);

/**
 * The tails of one partition.
 * Invariant: at most one round of slices is scheduled at a time, and an error of one tail ends only that tail.
 */
export class Tails {
  readonly #ports: TailsPorts;
  /** whether a slice is scheduled, and whether the log has grown since the round began */
  #waking = false;
  #dirty = false;

  constructor(ports: TailsPorts) {
    this.#ports = ports;
    ports.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(BEAT, BEAT_FRAME));
  }

  get count(): number {
    return this.#open().length;
  }

  /** a closed socket is listed until its other end has closed it too */
  #open(): WebSocket[] {
    return this.#ports.ctx.getWebSockets().filter(({ readyState }) => readyState === WebSocket.OPEN);
  }

  /** Closes the tails whose readers have left. */
  closeSilent(): void {
    for (const socket of this.#open()) this.#closeIfSilent(socket);
  }

  #closeIfSilent(socket: WebSocket): boolean {
    const { ctx } = this.#ports;
    const beatAtMs = ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
    const isSilent = isSilentTail(stateOf(socket), beatAtMs, Date.now(), SILENT_MS_MAX);
    if (isSilent) tryClose(socket, 1001, "silence");
    return isSilent;
  }

  accept(offset: number): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.#ports.ctx.acceptWebSocket(server);
    setState(server, openTail(offset, Date.now()));
    this.#serve(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Serves the tails after the log has grown, in slices, so that appends and alarms are handled in between. */
  wake(): void {
    this.#dirty = true;
    if (!this.#waking) this.#slice(this.#open(), 0);
  }

  #slice(sockets: readonly WebSocket[], from: number): void {
    if (from === 0) this.#dirty = false;
    const end = Math.min(from + this.#ports.perTurn, sockets.length);
    for (const socket of sockets.slice(from, end)) this.#serve(socket);
    const more = end < sockets.length;
    this.#waking = more || this.#dirty;
    if (more) this.#ports.later(() => this.#slice(sockets, end));
    else if (this.#dirty) this.#ports.later(() => this.#slice(this.#open(), 0));
  }

  /** Sends the next frame, or closes the tail; an error, such as an unreadable row, closes it too. */
  #serve(socket: WebSocket): void {
    try {
      if (!this.#closeIfSilent(socket)) this.#advance(socket);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      tryClose(socket, 4000, "KAFKA_STORAGE_ERROR");
    }
  }

  /** Handles a reader's acknowledgement of its frame. */
  acknowledge(socket: WebSocket): void {
    setState(socket, acknowledgeTail(stateOf(socket), Date.now()));
    this.#serve(socket);
  }

  /** Sends every tail an event other than records. */
  tell(event: TailEvent): void {
    const text = JSON.stringify(event);
    for (const socket of this.#open()) trySend(socket, text);
  }

  closeAll(code: number, reason: string): void {
    for (const socket of this.#open()) tryClose(socket, code, reason);
  }

  #advance(socket: WebSocket): void {
    const step = advanceTail(stateOf(socket), this.#ports.read);
    switch (step.type) {
      case "wait":
        return;
      case "frame":
        setState(socket, step.state);
        trySend(socket, encodeTailFrame(step.frame));
        return;
      case "close":
        tryClose(socket, 4000, step.code);
        return;
      default:
        assertNever(step);
    }
  }
}
