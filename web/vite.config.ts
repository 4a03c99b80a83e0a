import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Where `vite dev` finds the Worker; `wrangler dev` listens there. */
const worker = process.env.ZOOWEEPER_URL ?? "http://localhost:8787";

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // light-dark() and oklch() reach the browser as they are written.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
  },
  server: {
    port: 5173,
    strictPort: true,
    proxy: {
      "/api": {
        target: worker,
        ws: true,
        changeOrigin: true,
        rewrite: (path) => path.slice("/api".length) || "/",
      },
    },
  },
});
