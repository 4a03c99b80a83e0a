/** The shared worker that holds the one connection of all tabs that show the same ensemble. Its name is the API's base. */
import { LiveSocket } from "./api/live-socket.ts";
import { socketUrl } from "./api/socket-url.ts";
import { type HubMessage, type Port, StreamHub, type TabMessage } from "./api/stream-hub.ts";

/** What we use of a worker's global scope; the types of the page are those of a window. */
interface SharedScope {
  readonly name: string;
  onconnect: ((event: { readonly ports: readonly Port<HubMessage, TabMessage>[] }) => void) | null;
}

const scope = globalThis as unknown as SharedScope;
const hub = new StreamHub(new LiveSocket(() => new WebSocket(socketUrl(scope.name)) as never));
scope.onconnect = ({ ports }) => {
  for (const port of ports) hub.connect(port);
};
