import { expect, test } from "vitest";
import { openToOthers, reachableAt } from "../../../scripts/local/own-hosts.ts";

test("[PAGE-7] the address that is printed is one under which the run answers", () => {
  expect(reachableAt(undefined)).toBe("localhost");
  expect(reachableAt("192.168.1.5")).toBe("192.168.1.5");
  expect(reachableAt("fe80::1")).toBe("[fe80::1]");
  for (const all of ["0.0.0.0", "::", "*"]) expect(reachableAt(all)).toMatch(/^(localhost|\d+(\.\d+){3})$/);
});

test("[PAGE-7] a run that others can reach prints that they may write; one for this machine does not", () => {
  for (const host of [undefined, "localhost", "127.0.0.1", "127.1.2.3", "::1"])
    expect(openToOthers(host)).toBeUndefined();
  for (const host of ["0.0.0.0", "::", "192.168.1.5", "zoo.example"])
    expect(openToOthers(host)).toMatch(/everyone .* may write, and kill nodes/);
});
