/** A member without a network: it answers requests in bytes, with the tree, prep, watches and codecs of the core. */

import { readRequestHeader } from "../../../core/wire/jute/header.ts";
import { OpCode } from "../../../core/wire/jute/opcodes.ts";
import type { ClientRequest, ReplyBody } from "../../../core/wire/jute/ops/op.ts";
import { readSyncPath } from "../../../core/wire/jute/ops/sync.ts";
import { writeBareReply, writeReply } from "../../../core/wire/jute/replies.ts";
import { readRequest } from "../../../core/wire/jute/requests.ts";
import { writeNotification } from "../../../core/wire/jute/watcher-event.ts";
import { ByteReader, WireError } from "../../../core/wire/reader.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import type { WriteResult } from "../../../core/znode/types.ts";
import { NO_SESSION, type SessionId, type WriteRequest } from "../../../core/znode/types.ts";
import { WatchTable } from "../../../core/znode/watch.ts";
import { World } from "../znode/world.ts";

/** One exchange: what was sent on a connection and what came back on it, without the length fields, in hex. */
export interface Exchange {
  /** scenario/step; every scenario starts with an empty tree */
  readonly name: string;
  readonly conn: string;
  readonly request: string;
  readonly responses: readonly string[];
  /** [response, offset, bytes] of what differs from run to run (zxids, times, sessions); zero in `responses` */
  readonly mask: readonly (readonly [number, number, number])[];
}

/** Zeroes what differs from run to run. */
export function masked(responses: readonly string[], mask: Exchange["mask"]): string[] {
  return responses.map((response, index) => {
    const bytes = Buffer.from(response, "hex");
    for (const [which, at, size] of mask)
      if (which === index) bytes.fill(0, at, Math.min(at + size, bytes.length));
    return bytes.toString("hex");
  });
}

export class GoldenMember {
  readonly world = new World();
  readonly #watches = new WatchTable();
  /** *map connection → its session and what waits to be sent on it* */
  readonly #connections = new Map<string, { watcher: number; session: SessionId; out: string[] }>();

  /** Sends one payload on a connection; connects first where it has not been used. @returns the payloads that came back */
  exchange(conn: string, request: string): string[] {
    const connection = this.#connect(conn);
    connection.out.length = 0;
    const bytes = Buffer.from(request, "hex");
    const reader = new ByteReader(bytes);
    const { xid, opcode } = readRequestHeader(reader);
    const writer = new ByteWriter();
    const syncPath = opcode === OpCode.SYNC ? readSyncPath(new ByteReader(bytes, reader.at)) : undefined;
    this.#answer(writer, xid, opcode, this.#decode(reader, opcode), connection, syncPath);
    connection.out.push(payloadOf(writer));
    return connection.out;
  }

  #connect(conn: string): { watcher: number; session: SessionId; out: string[] } {
    const known = this.#connections.get(conn);
    if (known !== undefined) return known;
    const watcher = this.#connections.size + 1;
    const made = { watcher, session: this.world.open(watcher), out: [] };
    this.#connections.set(conn, made);
    return made;
  }

  #decode(reader: ByteReader, opcode: number): ClientRequest | "undecodable" {
    try {
      return readRequest(reader, opcode);
    } catch (error) {
      if (error instanceof WireError) return "undecodable";
      throw error;
    }
  }

  #answer(
    writer: ByteWriter,
    xid: number,
    opcode: number,
    request: ClientRequest | "undecodable",
    { watcher, session }: { watcher: number; session: SessionId },
    syncPath = "",
  ): void {
    const { tree } = this.world;
    if (request === "undecodable") {
      this.#refuse();
      writeBareReply(writer, xid, tree.lastApplied, "MARSHALLING_ERROR");
      return;
    }
    switch (request.kind) {
      case "write": {
        const result = this.#write(request.request, session);
        const body: ReplyBody = result.type === "sync" ? { type: "sync", path: syncPath } : result;
        writeReply(writer, xid, tree.lastApplied, opcode, body);
        return;
      }
      case "read": {
        const outcome = tree.read(session, request.request);
        const watch = tree.watchOf(request.request, outcome.type !== "error");
        if (watch !== undefined) this.#watches.register(watch.kind, watch.path, watcher);
        writeReply(writer, xid, tree.lastApplied, opcode, outcome);
        return;
      }
      case "setWatches":
        for (const event of this.#watches.resume(tree, request.watches, watcher)) this.#push(watcher, event);
        writeBareReply(writer, xid, tree.lastApplied, "OK");
        return;
      case "ping":
        writeBareReply(writer, xid, tree.lastApplied, "OK");
        return;
      case "refused":
        this.#refuse();
        writeBareReply(writer, xid, tree.lastApplied, request.code);
        return;
      case "unknown":
        writeBareReply(writer, xid, tree.lastApplied, "UNIMPLEMENTED");
    }
  }

  #write(request: WriteRequest, session: SessionId): WriteResult {
    const result = this.world.write(request, session);
    for (const { watcher, event } of this.#watches.fire(this.world.events.splice(0)))
      this.#push(watcher, event);
    return result;
  }

  /** A write that is refused takes a zxid like any other. */
  #refuse(): void {
    this.world.write({ type: "sync" }, NO_SESSION);
  }

  #push(watcher: number, event: Parameters<typeof writeNotification>[2]): void {
    const writer = new ByteWriter();
    writeNotification(writer, this.world.tree.lastApplied, event);
    for (const connection of this.#connections.values()) {
      if (connection.watcher === watcher) connection.out.push(payloadOf(writer));
    }
  }
}

/** The only frame that was written, without its length, in hex. */
function payloadOf(writer: ByteWriter): string {
  return Buffer.from(writer.finish().subarray(4)).toString("hex");
}
