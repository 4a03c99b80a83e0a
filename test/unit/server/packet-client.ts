/** A client that speaks packets with a member of the simulated ensemble, over a connection of the core. */
import { must } from "../../../core/assert.ts";
import { Connection, type ConnectionEnd } from "../../../core/server/connection.ts";
import {
  type ConnectRequest,
  readConnectResponse,
  writeConnectRequest,
} from "../../../core/wire/jute/connect.ts";
import { writeNames } from "../../../core/wire/jute/encoded-names.ts";
import { FrameCursor } from "../../../core/wire/jute/frame.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { ZXID_ZERO } from "../../../core/zab/zxid.ts";
import { makeSessionId, NO_SESSION } from "../../../core/znode/types.ts";
import type { Cluster } from "../../../sim/cluster.ts";
import type { Life } from "../../../sim/member/life.ts";
import { readReplyHeader } from "../../reply-header.ts";

/** Cuts bytes at these places, taken modulo their length; two cuts at one place give an empty part. */
export function inParts(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  return [...places, bytes.length].map((end, i) => bytes.slice(places[i - 1] ?? 0, end));
}

/** A packet that came: its header, and the bytes behind it. */
export interface Received {
  readonly xid: number;
  readonly err: number;
  readonly body: Uint8Array;
}

export class PacketClient {
  readonly connection: Connection;
  /** messages that the member sent */
  readonly sent: Uint8Array[] = [];
  /** why the member closed the connection */
  end: { readonly end: ConnectionEnd; readonly reason: string } | undefined;
  readonly #cluster: Cluster;
  readonly #life: Life;

  /** @param sid of a member that lives */
  constructor(cluster: Cluster, sid: number, isStream: boolean) {
    this.#cluster = cluster;
    const { life, token } = must(
      cluster.connect(sid, {
        respond: (xid, answer) => this.connection.respond(xid, answer),
        notify: (event, zxid) => this.connection.notify(event, zxid),
        closed: (code) => {
          if (code !== undefined) this.connection.end(code);
        },
      }),
      `member ${sid} is down`,
    );
    this.#life = life;
    this.connection = new Connection(
      token,
      {
        server: life.server,
        names: { write: writeNames },
        now: () => cluster.timeAt(sid),
        elapsed: () => cluster.now,
        newSessionId: () => makeSessionId(sid, token),
        newMark: () => ({ high: 0xfeed, low: this.sent.length }),
        send: (packets) => this.sent.push(packets.slice()),
        close: (end, reason) => {
          this.end = { end, reason };
          life.disconnected(token);
        },
      },
      isStream,
    );
  }

  /** Sends bytes, as one message. */
  send(bytes: Uint8Array): void {
    if (this.end !== undefined) return;
    this.#life.turn(() => {
      this.connection.receive(bytes, true);
    });
    this.#endTurn();
  }

  /** Lets time pass, and serves what waits, until nothing does. */
  settle(): void {
    do {
      this.#cluster.runFor(200);
      this.#endTurn();
      if (this.end !== undefined || !this.connection.isReady) return;
      this.#life.turn(() => {
        this.connection.serve();
      });
    } while (this.end === undefined);
  }

  #endTurn(): void {
    if (this.end === undefined) this.connection.flush();
  }

  /** Opens a session. @param cuts where its bytes are split */
  shakeHands(cuts: readonly number[] = [], options: Partial<ConnectRequest> = {}): void {
    const writer = new ByteWriter();
    writeConnectRequest(writer, {
      lastZxidSeen: ZXID_ZERO,
      timeoutMs: 30_000,
      session: NO_SESSION,
      password: new Uint8Array(16),
      readOnly: false,
      wantsLastXid: true,
      ...options,
    });
    for (const part of inParts(writer.finish(), cuts)) this.send(part);
    this.settle();
    const frames = new FrameCursor(must(this.sent.shift(), "the handshake is answered"));
    frames.next();
    readConnectResponse(frames.reader);
  }

  /** Packets that came since the handshake, in order. */
  received(): Received[] {
    return this.sent.flatMap((message) => {
      const frames = new FrameCursor(message, Number.POSITIVE_INFINITY);
      const found: Received[] = [];
      while (frames.next()) {
        const { xid, err } = readReplyHeader(frames.reader);
        found.push({ xid, err, body: frames.reader.bytes(frames.reader.left).slice() });
      }
      return found;
    });
  }
}
