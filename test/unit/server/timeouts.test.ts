import { expect, it } from "vitest";
import { makeServerConfig, requestTimeouts } from "../../../core/server/config.ts";

it("[SERVER-49] the Worker waits for a write longer than a node keeps it, whatever the tick is", () => {
  for (const tickTimeMs of [10, 200, 1_000, 2_000, 60_000]) {
    const { keptMs, writeMs, readMs, retryMs } = requestTimeouts(tickTimeMs);
    expect(makeServerConfig({ tickTimeMs }).requestTimeoutMs).toBe(keptMs);
    expect(writeMs).toBeGreaterThanOrEqual(keptMs + 2_000);
    expect(retryMs).toBeGreaterThanOrEqual(keptMs);
    expect(readMs).toBeGreaterThan(2 * tickTimeMs);
  }
  expect(requestTimeouts(1_000)).toEqual({ keptMs: 5_000, writeMs: 7_000, readMs: 2_500, retryMs: 5_000 });
});
