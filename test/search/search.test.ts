/** A small search for the fast lane. The whole scope is for the lanes that take minutes. */
import { describe, expect, it } from "vitest";
import { search } from "../../sim/node/search/index.ts";

describe("the search", { timeout: 60_000 }, () => {
  it("[SIM-20] every state of a small scope, to its end", async () => {
    const result = await search({ crashes: 1, elections: 1, txns: 2 });
    expect(result.violation).toBeUndefined();
    expect(result.terminated).toBe(true);
    expect(result.maxCommitted).toBe(2);
    expect(result.states).toBeGreaterThan(1_000);
  });

  it("[SIM-20] with votes in any order, checkpoints and broken links, up to its limits", async () => {
    const result = await search({ votes: "free", checkpoints: 1, breaks: 1, states: 20_000 });
    expect(result.violation).toBeUndefined();
    expect(result.states).toBeGreaterThanOrEqual(20_000);
    expect(result.maxCommitted).toBe(2);
  });
});
