/** `npm run test:mixed`: members of different versions in one ensemble, on the real runtime. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "mixed",
    root: import.meta.dirname,
    environment: "node",
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
