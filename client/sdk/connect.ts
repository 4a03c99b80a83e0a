/** Opens sessions over `/v1/ws`. Uses only features of every platform; `node.ts` adds those of Node. */
import { ZXID_ZERO } from "../../core/zab/zxid.ts";
import { checkConnect } from "./arguments.ts";
import { RECONNECT_MS_MIN, SESSION_TIMEOUT_MS } from "./config.ts";
import { dialer } from "./dial.ts";
import { ZooError } from "./errors.ts";
import { Session } from "./session.ts";
import type { ConnectOptions } from "./types.ts";

/**
 * Opens a session, or continues one.
 * @param urls of the server, `http:` or `ws:`, with or without `/v1/ws`; `…/e/{ensemble}` chooses an ensemble, `?node=2` a
 * node. Of several, each connection takes the next one that answers.
 * @throws TypeError, RangeError for wrong arguments; ZooError CONNECTION_LOSS when no server can be reached or has a quorum, SESSION_EXPIRED
 */
export async function connect(
  urls: string | readonly string[],
  options: ConnectOptions = {},
): Promise<Session> {
  const all = checkConnect(urls, options);
  const { ticket, timeoutMs = SESSION_TIMEOUT_MS, signal } = options;
  const dial = dialer(all, options);
  let failure: unknown;
  for (let i = 0; i < all.length; i++) {
    try {
      const dialed = await dial(ticket, ZXID_ZERO, signal);
      const reconnectMs = options.reconnectMs ?? Math.max(2 * timeoutMs, RECONNECT_MS_MIN);
      return new Session(dialed, dial, reconnectMs);
    } catch (error) {
      if (!ZooError.is(error, "CONNECTION_LOSS")) throw error;
      failure = error;
    }
  }
  throw failure;
}
