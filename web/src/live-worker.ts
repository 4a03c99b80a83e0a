/** The shared worker with the connection of all tabs that show the same ensemble. Its name is the base of the API. */
import { LiveSocket } from "./api/live-socket.ts";
import { socketUrl } from "./api/socket-url.ts";
import { type HubMessage, type Port, StreamHub, type TabMessage } from "./api/stream-hub.ts";

/** The part of a worker's global scope that is used; the page is compiled with the types of a window. */
interface SharedScope {
  readonly name: string;
  onconnect: ((event: { readonly ports: readonly Port<HubMessage, TabMessage>[] }) => void) | null;
}

const scope = globalThis as unknown as SharedScope;
const hub = new StreamHub(new LiveSocket(() => new WebSocket(socketUrl(scope.name)) as never));
scope.onconnect = ({ ports }) => {
  for (const port of ports) hub.connect(port);
};
