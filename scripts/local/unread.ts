/** Connections whose client does not read: the runtime keeps unsent data in memory until the connection ends. */
import type { Writable } from "node:stream";

/** Time without progress after which a client with unsent data loses its connection, ms. */
export const UNREAD_MS_MAX = 60_000;
const LOOK_MS = 5_000;

/** Destroys a stream whose reader takes nothing for too long. */
export function endUnread(client: Writable): void {
  let takenAt = performance.now();
  const took = (): void => {
    takenAt = performance.now();
  };
  const look = setInterval(() => {
    if (!client.writableNeedDrain) took();
    else if (performance.now() - takenAt > UNREAD_MS_MAX) client.destroy();
  }, LOOK_MS);
  client.on("drain", took);
  client.once("close", () => clearInterval(look));
}
