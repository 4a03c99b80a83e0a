import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          environment: "node",
          include: [
            "test/*.test.ts",
            "test/{unit,paper,interaction,contract,sim,history,nemesis,search}/**/*.test.ts",
          ],
          // properties and small campaigns take a while where other work runs beside
          testTimeout: 30_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            // as our local runners have it; a short log, so that a test can outrun it, and a short way into sleep
            miniflare: {
              bindings: { FAULTS: "on", LOCAL: "on", LOG_RETAIN_TXNS: "100", QUIET_AFTER_MS: "3000" },
            },
          }),
        ],
        test: {
          name: "workers",
          include: ["test/workers/**/*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
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
