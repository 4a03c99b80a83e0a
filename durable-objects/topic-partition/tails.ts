/**
 * Live readers: hibernatable WebSockets. Each has at most one frame under way and asks for the next by any message,
 * so a slow reader costs one frame of memory and never another reader's time. The attachment holds all there is to
 * know, hence a tail outlives the memory of its object.
 *
 * The runtime keeps a socket open whose reader was gone before the Worker had it. So readers beat, which the runtime
 * answers for the object and notes, and one that was silent for two beats is closed when the object is awake next.
 */
import { encodeTailFrame } from "../../core/wire/tail-frame-codec.ts";
import { BEAT, BEAT_FRAME, SILENT_MS_MAX, tryClose, trySend } from "../shared/sockets.ts";
import type { PartitionAnswer, ReadAnswer } from "./rpc.ts";

/** sockets served in one turn: about 2 ms */
const SLICE = 64;

interface Attachment {
  /** next offset to send */
  readonly next: number;
  /** the last frame is not acknowledged */
  readonly waiting: boolean;
  /** when it was opened, or asked for a frame last, ms since 1970 */
  readonly at: number;
}

/** Reads without waiting; must not fail for an offset that a tail has reached. */
export type TailRead = (
  offset: number,
  bytesMax: number,
) => PartitionAnswer<ReadAnswer & { readonly nextOffset: number }>;

export class Tails {
  readonly #ctx: DurableObjectState;
  readonly #read: TailRead;
  readonly #frameBytesMax: number;
  /** a slice is scheduled; the log has grown since the round began */
  #waking = false;
  #dirty = false;

  constructor(ctx: DurableObjectState, frameBytesMax: number, read: TailRead) {
    this.#ctx = ctx;
    this.#frameBytesMax = frameBytesMax;
    this.#read = read;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(BEAT, BEAT_FRAME));
  }

  get count(): number {
    return this.#open().length;
  }

  /** One that was closed is listed until its other end has closed it too. */
  #open(): WebSocket[] {
    return this.#ctx.getWebSockets().filter(({ readyState }) => readyState === WebSocket.OPEN);
  }

  /** Closes the tails whose readers are gone. */
  closeSilent(): void {
    for (const socket of this.#open()) this.#closeIfSilent(socket);
  }

  #closeIfSilent(socket: WebSocket): boolean {
    const { at } = socket.deserializeAttachment() as Attachment;
    const beatAt = this.#ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
    const silent = Math.max(at, beatAt) <= Date.now() - SILENT_MS_MAX;
    if (silent) tryClose(socket, 1001, "silence");
    return silent;
  }

  accept(offset: number): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.#ctx.acceptWebSocket(server);
    server.serializeAttachment({ next: offset, waiting: false, at: Date.now() } satisfies Attachment);
    this.#advance(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** The log has grown. A large crowd is served in slices, so that appends and alarms get their turn. */
  wake(): void {
    this.#dirty = true;
    if (!this.#waking) this.#slice(this.#open(), 0);
  }

  #slice(sockets: readonly WebSocket[], from: number): void {
    if (from === 0) this.#dirty = false;
    const end = Math.min(from + SLICE, sockets.length);
    for (const socket of sockets.slice(from, end)) if (!this.#closeIfSilent(socket)) this.#advance(socket);
    const more = end < sockets.length;
    this.#waking = more || this.#dirty;
    if (more) setTimeout(() => this.#slice(sockets, end), 0);
    else if (this.#dirty) setTimeout(() => this.#slice(this.#open(), 0), 0);
  }

  /** The reader has taken its frame. */
  acknowledge(socket: WebSocket): void {
    const { next } = socket.deserializeAttachment() as Attachment;
    socket.serializeAttachment({ next, waiting: false, at: Date.now() } satisfies Attachment);
    this.#advance(socket);
  }

  /** Tells every tail something that is no record. */
  tell(event: object): void {
    const text = JSON.stringify(event);
    for (const socket of this.#open()) trySend(socket, text);
  }

  closeAll(code: number, reason: string): void {
    for (const socket of this.#open()) tryClose(socket, code, reason);
  }

  #advance(socket: WebSocket): void {
    const { next, waiting, at } = socket.deserializeAttachment() as Attachment;
    if (waiting) return;
    const answer = this.#read(next, this.#frameBytesMax);
    if (!answer.ok) {
      tryClose(socket, 4000, answer.code);
      return;
    }
    if (answer.nextOffset === next) return;
    socket.serializeAttachment({ next: answer.nextOffset, waiting: true, at } satisfies Attachment);
    trySend(socket, encodeTailFrame(answer));
  }
}
