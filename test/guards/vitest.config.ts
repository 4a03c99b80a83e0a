/** `npm run guards`: each guard of the source, violated in a copy of the repository, makes CI's command fail. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "guards",
    root: import.meta.dirname,
    environment: "node",
    testTimeout: 300_000,
    hookTimeout: 180_000,
  },
});
