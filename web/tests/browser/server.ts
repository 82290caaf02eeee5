// Serves web/dist below a folder of its own, and writes down what is asked for.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize, resolve } from "node:path";
import type { AddressInfo } from "node:net";

// PLAYGROUND: another build of it.
export const DIST = resolve(
    process.env.PLAYGROUND ?? resolve(import.meta.dirname, "../../dist"),
);

const TYPES: Record<string, string> = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
};

/** A running server; `asked` has "METHOD /path bytes-of-body" of every request. */
export interface Server {
    origin: string;
    address: string;
    asked: string[];
    close(): Promise<void>;
}

export async function serve(folder = "/some/folder/"): Promise<Server> {
    const asked: string[] = [];
    const server = createServer((request, response) => {
        let body = 0;
        request.on("data", (chunk: Buffer) => (body += chunk.length));
        request.on("end", async () => {
            const path = decodeURI((request.url ?? "/").split("?")[0]!);
            asked.push(`${request.method} ${path} ${body}`);
            const inside = path.startsWith(folder) ? path.slice(folder.length) : null;
            const file = join(DIST, normalize(inside || "index.html"));
            try {
                if (inside === null || !file.startsWith(DIST))
                    throw new Error("outside");
                const bytes = await readFile(file);
                const type = TYPES[extname(file)] ?? "application/octet-stream";
                response.writeHead(200, { "Content-Type": type }).end(bytes);
            } catch {
                response.writeHead(404).end();
            }
        });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return {
        origin,
        address: origin + folder,
        asked,
        close: () => new Promise((done) => server.close(() => done())),
    };
}
