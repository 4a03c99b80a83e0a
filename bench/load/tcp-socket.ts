/** The SDK's socket over TCP, with which it speaks to a ZooKeeper server: the packets are the same. */
import { connect } from "node:net";
import type { OpenSocket, SocketLike } from "../../client/sdk/index.ts";
import { LENGTH_BYTES } from "../../core/wire/jute/frame.ts";

const CLOSE_NORMAL = 1000;
const CLOSE_ABNORMAL = 1006;

/** Opens a TCP connection to host and port of the URL. A message that it delivers holds whole packets. */
export const openTcpSocket: OpenSocket = (url) => {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  const like: SocketLike = {
    binaryType: "arraybuffer",
    onopen: null,
    onmessage: null,
    onerror: null,
    onclose: null,
    send: (data) => void socket.write(data),
    close: () => socket.destroy(),
  };
  let unread = Buffer.alloc(0);
  let failed = false;
  socket.on("connect", () => like.onopen?.(undefined as never));
  socket.on("data", (chunk) => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
    const end = endOfWholePackets(unread);
    if (end === 0) return;
    const message = unread.buffer.slice(unread.byteOffset, unread.byteOffset + end);
    unread = unread.subarray(end);
    like.onmessage?.({ data: message });
  });
  socket.on("error", ({ message }) => {
    failed = true;
    like.onerror?.({ message } as never);
  });
  socket.on("close", () => like.onclose?.({ code: failed ? CLOSE_ABNORMAL : CLOSE_NORMAL, reason: "" }));
  return like;
};

/** Length of the packets that have arrived whole. */
function endOfWholePackets(bytes: Buffer): number {
  let end = 0;
  while (bytes.length - end >= LENGTH_BYTES) {
    const next = end + LENGTH_BYTES + bytes.readInt32BE(end);
    if (next > bytes.length) break;
    end = next;
  }
  return end;
}
