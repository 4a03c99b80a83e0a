/** The names by which this machine is reached when a run answers on more than loopback. */
import { hostname } from "node:os";
import { ANY_ADDRESS } from "../../workers/api/local-hosts.ts";

/** Addresses that stand for all of the machine's. */
const WILDCARDS: readonly string[] = ["0.0.0.0", "::", "*"];

/** Hosts beside loopback that a run with `--host` answers to; without it none. */
export function ownHosts(host: string | undefined): readonly string[] {
  if (host === undefined) return [];
  const name = hostname().toLowerCase();
  const names = [name, `${name}.local`];
  if (WILDCARDS.includes(host)) return [...names, ANY_ADDRESS];
  return [host.includes(":") ? `[${host.toLowerCase()}]` : host.toLowerCase(), ...names];
}
