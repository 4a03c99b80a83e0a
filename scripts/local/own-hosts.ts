/** Names of this machine, for a run that listens on more than loopback. */
import { hostname, networkInterfaces } from "node:os";
import { ANY_ADDRESS } from "../../workers/api/auth/local-hosts.ts";

/** Addresses that mean all addresses of the machine. */
const WILDCARDS: readonly string[] = ["0.0.0.0", "::", "*"];

/** Hosts besides loopback to which a run with `--host` answers; none without it. */
export function ownHosts(host: string | undefined): readonly string[] {
  if (host === undefined) return [];
  const name = hostname().toLowerCase();
  const names = [name, `${name}.local`];
  if (WILDCARDS.includes(host)) return [...names, ANY_ADDRESS];
  return [host.includes(":") ? `[${host.toLowerCase()}]` : host.toLowerCase(), ...names];
}

/** The host in the URL of a run: if it listens on all addresses, one that others can use. */
export function reachableAt(host: string | undefined): string {
  if (host === undefined) return "localhost";
  if (!WILDCARDS.includes(host)) return host.includes(":") ? `[${host}]` : host;
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "localhost";
}

/** Whether only this machine can reach the host. */
const isLoopback = (host: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|::1)$/i.test(host);

/** The warning for a run with `--host`; undefined if only this machine can reach it. */
export const openToOthers = (host: string | undefined): string | undefined =>
  host === undefined || isLoopback(host)
    ? undefined
    : `--host ${host}: everyone who reaches this machine may write, and kill nodes and brokers, without a token`;
