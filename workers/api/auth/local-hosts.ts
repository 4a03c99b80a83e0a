/**
 * Access to a local run, which takes writes without a token. Pages of other sites are refused, whether they use a name that
 * resolves to this machine (DNS rebinding) or send a request with their own origin. Programs other than browsers send no
 * `Origin` and are accepted. Used by the Worker and by the port gateway in front of it.
 */

/** Names of loopback. */
const LOOPBACK = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/;
/** An address instead of a name: no DNS server can redirect it. */
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/;
/** Entry of the list of hosts that stands for any address: the run listens on all addresses of the machine. */
export const ANY_ADDRESS = "*";

/** The name of a `Host` header or of an origin: lower case, without port. Undefined if it is not valid. */
function hostnameOf(authority: string): string | undefined {
  return /^(\[[^\]]*\]|[^:/@]*)(:\d{1,5})?$/.exec(authority)?.[1]?.toLowerCase();
}

/**
 * Whether a local run answers to this host.
 * @param host `Host` header
 * @param hosts names and addresses beside loopback, in lower case, or {@link ANY_ADDRESS}
 */
export function isOwnHost(host: string, hosts: readonly string[]): boolean {
  const name = hostnameOf(host);
  if (name === undefined || name === "" || name === ANY_ADDRESS) return false;
  return LOOPBACK.test(name) || hosts.includes(name) || (hosts.includes(ANY_ADDRESS) && ADDRESS.test(name));
}

/** Headers by which a browser identifies its request. */
export interface Caller {
  readonly host: string | undefined;
  readonly origin: string | undefined;
}

/** Whether the request uses a host that is not the run's own. */
export const hasForeignHost = ({ host }: Caller, hosts: readonly string[]): boolean =>
  host !== undefined && !isOwnHost(host, hosts);

/** Whether a page of another site sent the request. Pages on other ports of this machine belong to the same user. */
export function hasForeignOrigin({ host, origin }: Caller, hosts: readonly string[]): boolean {
  if (origin === undefined) return false;
  const authority = /^https?:\/\/([^/]*)$/i.exec(origin)?.[1];
  // "null" is an opaque origin, such as that of a sandboxed page
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
