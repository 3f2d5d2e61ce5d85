import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const FOLDER = "../graph/explorer/built";

// Compressed at build time, because Postern does not compress responses.
const compress: Plugin = {
  name: "compress",
  closeBundle() {
    for (const name of readdirSync(FOLDER).filter((name) => /\.(js|css|ttf)$/.test(name))) {
      const file = join(FOLDER, name);
      writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }));
    }
  },
};

export default defineConfig({
  plugins: [react(), compress],
  resolve: { dedupe: ["graphql", "react", "react-dom"] },
  worker: { format: "es" },
  // The page is at /graphql, its files are at /explorer, below any path prefix of a proxy.
  experimental: {
    renderBuiltUrl: (name, { hostType }) =>
      hostType === "html" ? `explorer/${name}` : { relative: true },
  },
  build: {
    outDir: FOLDER,
    emptyOutDir: true,
    assetsDir: "",
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4000,
    license: { fileName: "licenses.md" },
    rolldownOptions: {
      onwarn(warning, warn) {
        // Irrelevant hints for React's compiler.
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning);
      },
    },
  },
});
