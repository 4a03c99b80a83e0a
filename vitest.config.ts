import { availableParallelism } from "node:os";
import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // most files wait for real alarms: on two cores one after the other, as is the default there, leaves both idle
    maxWorkers: Math.max(3, availableParallelism()),
    projects: [
      {
        test: {
          name: "unit",
          environment: "node",
          // they share no state, and to load the core anew for each file takes as long as the tests
          isolate: false,
          include: [
            "test/*.test.ts",
            "test/{unit,paper,interaction,contract,sim,history,nemesis,search}/**/*.test.ts",
          ],
          // properties and small campaigns take a while where other work runs beside
          testTimeout: 60_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            // else the runtime prints every refusal of a killed object, though the caller handles it
            verbose: false,
            // as our local runners have it; a short log, so that a test can outrun it, and a short way into sleep
            miniflare: {
              bindings: { FAULTS: "on", LOCAL: "on", LOG_RETAIN_TXNS: "100", QUIET_AFTER_MS: "3000" },
            },
          }),
        ],
        test: {
          name: "workers",
          include: ["test/workers/**/*.test.ts"],
          // tests wait until something holds, and this ends only what never will: a slow machine takes a while
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
    onUnhandledError(error) {
      // ctx.abort() inside an object surfaces as an unhandled rejection that would fail the run
      if ((error as { durableObjectReset?: boolean }).durableObjectReset) return false;
      // an object that was aborted starts again when it likes, also while its test file is being closed
      if (error.name === "EnvironmentTeardownError") return false;
    },
  },
});
