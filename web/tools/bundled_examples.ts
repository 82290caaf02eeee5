// Puts the exported examples into the page's folder, and serves them in development.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

/** A plugin that copies `folder` to examples/. */
export function bundledExamples(folder: string): Plugin {
    return {
        name: "bundled-examples",
        buildStart() {
            if (existsSync(folder)) return;
            this.warn(`no examples: make web exports them to ${folder}`);
        },
        generateBundle() {
            if (!existsSync(folder)) return;
            for (const name of readdirSync(folder)) {
                const source = readFileSync(join(folder, name));
                this.emitFile({ type: "asset", fileName: `examples/${name}`, source });
            }
        },
        configureServer(server) {
            server.middlewares.use("/examples", (request, response, next) => {
                const path = join(folder, request.url ?? "");
                if (!path.startsWith(folder) || !existsSync(path)) return next();
                response.end(readFileSync(path));
            });
        },
    };
}
