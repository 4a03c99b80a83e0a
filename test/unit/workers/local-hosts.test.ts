import { describe, expect, it } from "vitest";
import { ownHosts } from "../../../scripts/local/own-hosts.ts";
import {
  ANY_ADDRESS,
  hasForeignHost,
  hasForeignOrigin,
  isOwnHost,
} from "../../../workers/api/auth/local-hosts.ts";

describe("the hosts of a local run", () => {
  it("[HTTP-37] are loopback by all its names, and those that it was started with", () => {
    for (const host of ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.1.2.3", "[::1]", "[::1]:8788"])
      expect([host, isOwnHost(host, [])]).toEqual([host, true]);
    const foreign = [
      ...[
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.localhost",
        "localhost.",
        "127.0.0.1.evil.example",
      ],
      ...[
        "evil.example:8080",
        "user@localhost",
        "localhost@evil.example",
        "localhost/x",
        "[::1].evil",
        "0.0.0.0",
      ],
      ...["192.168.1.7", "[fe80::1]", "localhost:x", "1270.0.0.1", "[::1"],
    ];
    for (const host of foreign) expect([host, isOwnHost(host, [])]).toEqual([host, false]);
    expect(isOwnHost("Box.local:8080", ["box.local"])).toBe(true);
    expect(isOwnHost("192.168.1.7:8080", ["192.168.1.7"])).toBe(true);
    expect(isOwnHost("192.168.1.8:8080", ["192.168.1.7"])).toBe(false);
  });

  it("[HTTP-37] are all addresses of the machine, but no other name, for a wildcard", () => {
    for (const wildcard of ["0.0.0.0", "::"]) {
      const hosts = ownHosts(wildcard);
      expect(hosts).toContain(ANY_ADDRESS);
      expect(["192.168.1.7:8080", "[fe80::1]"].map((host) => isOwnHost(host, hosts))).toEqual([true, true]);
      expect(isOwnHost("evil.example", hosts)).toBe(false);
      expect(isOwnHost(ANY_ADDRESS, hosts)).toBe(false);
    }
    expect(ownHosts(undefined)).toEqual([]);
    expect(ownHosts("FE80::1")[0]).toBe("[fe80::1]");
    expect(ownHosts("10.0.0.7")[0]).toBe("10.0.0.7");
  });

  it("[HTTP-37] have pages of their own; any other origin is foreign", () => {
    const host = "localhost:8787";
    const isForeign = (origin: string | undefined, at = host, hosts: readonly string[] = []): boolean =>
      hasForeignOrigin({ host: at, origin }, hosts);
    expect(
      [undefined, "http://localhost:8787", "http://localhost:5173", "https://127.0.0.1"].map((o) =>
        isForeign(o),
      ),
    ).toEqual([false, false, false, false]);
    const foreign = [
      "null",
      "",
      "http://evil.example:8787",
      "http://localhost.evil.example",
      "file://",
      "http://localhost/x",
    ];
    for (const origin of foreign) expect([origin, isForeign(origin)]).toEqual([origin, true]);
    // the page's own origin by an address of the machine; another address is another machine
    expect(isForeign("http://192.168.1.7:80", "192.168.1.7:80", [ANY_ADDRESS])).toBe(false);
    expect(isForeign("http://192.168.1.8:80", "192.168.1.7:80", [ANY_ADDRESS])).toBe(true);
    expect(isForeign("http://evil.example", "evil.example")).toBe(true);
    expect(hasForeignHost({ host: undefined, origin: undefined }, [])).toBe(false);
  });
});
