// The page of `inspect --format html`: one script and one style in web/viewer, which the
// build of the program embeds (CMakeLists.txt), and the frame that src/inspect/html.c
// fills.  No compiler, no worker, no font: all of it is in each page.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";

const root = import.meta.dirname;
const frame = resolve(root, "src/viewer/frame.html");

/** Where the playground starts a worker, the page does the work itself. */
const noWorkers: Plugin = {
    name: "no-workers",
    enforce: "pre",
    resolveId: (id) => (id.includes("?worker") ? "\0no-worker" : undefined),
    load: (id) => (id === "\0no-worker" ? 'export default "";' : undefined),
};

/** Adds the frame, and looks for what would end an element of it too early. */
const framed: Plugin = {
    name: "framed",
    generateBundle(_options, bundle) {
        for (const [name, item] of Object.entries(bundle)) {
            const text = item.type === "chunk" ? item.code : String(item.source);
            if (/<\/s(cript|tyle)|<!--/i.test(text))
                this.error(`${name} ends its element`);
        }
        const source = readFileSync(frame);
        this.emitFile({ type: "asset", fileName: "page.html", source });
    },
};

export default defineConfig({
    root,
    publicDir: false,
    plugins: [noWorkers, framed],
    build: {
        outDir: resolve(root, "viewer"),
        emptyOutDir: true,
        target: "es2022",
        lib: {
            entry: resolve(root, "src/viewer/start.tsx"),
            formats: ["iife"],
            name: "viewer",
            fileName: () => "page.js",
            cssFileName: "page",
        },
    },
});
