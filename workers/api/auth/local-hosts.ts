/**
 * Who may reach a local run, which takes writes without a token. A page of another site must not, neither by a name that
 * it points at this machine (DNS rebinding) nor by a request with an origin of its own. Programs that are no browsers
 * send no `Origin` and pass. Used by the Worker and by the port gateway in front of it.
 */

/** Loopback, by every name that a browser has for it. */
const LOOPBACK = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/;
/** An address and no name: no DNS server can point it anywhere. */
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/;
/** In the list of hosts: any address, since the run answers on all that the machine has. */
export const ANY_ADDRESS = "*";

/** The name of a `Host` header or of an origin: lower case, without port. Undefined when it is none. */
function hostnameOf(authority: string): string | undefined {
  return /^(\[[^\]]*\]|[^:/@]*)(:\d{1,5})?$/.exec(authority)?.[1]?.toLowerCase();
}

/**
 * Is the host one that a local run answers to?
 * @param host `Host` header
 * @param hosts names and addresses beside loopback, in lower case, or {@link ANY_ADDRESS}
 */
export function isOwnHost(host: string, hosts: readonly string[]): boolean {
  const name = hostnameOf(host);
  if (name === undefined || name === "" || name === ANY_ADDRESS) return false;
  return LOOPBACK.test(name) || hosts.includes(name) || (hosts.includes(ANY_ADDRESS) && ADDRESS.test(name));
}

/** What a browser says of itself. */
export interface Caller {
  readonly host: string | undefined;
  readonly origin: string | undefined;
}

/** Does the request come by a foreign name? */
export const hasForeignHost = ({ host }: Caller, hosts: readonly string[]): boolean =>
  host !== undefined && !isOwnHost(host, hosts);

/** Does a page of another site make the request? Pages of other ports of this machine are its user's own. */
export function hasForeignOrigin({ host, origin }: Caller, hosts: readonly string[]): boolean {
  if (origin === undefined) return false;
  const authority = /^https?:\/\/([^/]*)$/i.exec(origin)?.[1];
  // "null" is the origin of a page that has been denied one
  if (authority === undefined) return true;
  const own = authority.toLowerCase() === host?.toLowerCase() && !hasForeignHost({ host, origin }, hosts);
  return (
    !own &&
    !isOwnHost(
      authority,
      hosts.filter((each) => each !== ANY_ADDRESS),
    )
  );
}
