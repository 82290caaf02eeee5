// The playground's build: relative addresses, so that web/dist works from any folder.
import { resolve } from "node:path";
import { defineConfig } from "vite";
import { bundledExamples } from "./tools/bundled_examples.ts";
import { offline } from "./tools/offline.ts";

const root = import.meta.dirname;
const compiler = resolve(root, "compiler/dist");

export default defineConfig({
    root,
    base: "./",
    plugins: [bundledExamples(resolve(root, "../build/web-examples")), offline()],
    build: {
        outDir: resolve(root, "dist"),
        target: "es2022",
        assetsInlineLimit: 0, // data: addresses are not allowed by the page's policy
        modulePreload: { polyfill: false },
        chunkSizeWarningLimit: 800,
    },
    worker: { format: "es" },
    resolve: {
        // The package as `make wasm` builds it.
        alias: [
            { find: /^@oxide-xla\/compiler$/, replacement: `${compiler}/browser.js` },
            { find: /^@oxide-xla\/compiler\//, replacement: `${compiler}/` },
        ],
    },
});
