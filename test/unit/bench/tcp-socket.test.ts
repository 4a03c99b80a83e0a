/** The SDK over TCP, as it speaks to a ZooKeeper server. */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, it } from "vitest";
import { openTcpSocket } from "../../../bench/load/tcp-socket.ts";
import { connect } from "../../../client/sdk/node.ts";
import { handshake, reply } from "../client/scripted-server.ts";

it("delivers whole packets, however the stream is cut", async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.setNoDelay(true));
    let requests = 0;
    socket.on("error", () => undefined);
    socket.on("data", () => {
      requests += 1;
      // byte by byte; then two answers and the beginning of a third in one piece
      if (requests === 1) for (const byte of handshake(6_000, undefined)) socket.write(Buffer.of(byte));
      else {
        const [first, second, third] = [1, 2, 3].map((xid) => reply(xid, xid)) as [
          Uint8Array,
          Uint8Array,
          Uint8Array,
        ];
        socket.write(Buffer.concat([first, second, third.subarray(0, 3)]));
        setImmediate(() => socket.write(third.subarray(3)));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const session = await connect(`ws://127.0.0.1:${port}`, { openSocket: openTcpSocket });
  await Promise.all(["/a", "/b", "/c"].map((path) => session.delete(path)));
  expect(session.lastZxid).toBe("0x100000003");
  session.disconnect();
  for (const socket of sockets) socket.destroy();
  server.close();
});
