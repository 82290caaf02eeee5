/**
 * The graph view in a headless browser: a server of this folder, reports from files, and
 * a page of a given size.
 */
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { createServer } from "vite";

const ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

function serveReports(reports) {
    return {
        name: "reports",
        configureServer(server) {
            server.middlewares.use((request, response, next) => {
                const name = /^\/reports\/(\w+)/.exec(request.url ?? "")?.[1];
                if (!name || !reports[name]) return next();
                response.setHeader("content-type", "application/json");
                response.end(JSON.stringify(reports[name]));
            });
        },
    };
}

/** Reads a report that `oxide_xla inspect --format json` wrote. */
export function readReport(path) {
    return JSON.parse(readFileSync(path, "utf8"));
}

/** Starts a server and a browser; `reports` are objects by name. */
export async function startPage(reports) {
    const server = await createServer({
        root: new URL("..", import.meta.url).pathname,
        logLevel: "error",
        server: { port: 0, hmr: false, watch: null },
        plugins: [serveReports(reports)],
    });
    await server.listen();
    const { port } = server.httpServer.address();
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
        args: ARGS,
    });
    return {
        async open(
            name,
            { theme = "light", still = true, width, height, scale = 1 } = {},
        ) {
            const viewport = { width: width ?? 1440, height: height ?? 900 };
            const page = await browser.newPage({ viewport, deviceScaleFactor: scale });
            page.on("pageerror", (error) =>
                console.error("page error:", error.message),
            );
            page.on("console", (message) => {
                if (message.type() === "error")
                    console.error("console:", message.text());
            });
            const query = `report=/reports/${name}&theme=${theme}${still ? "&still" : ""}`;
            await page.goto(`http://localhost:${port}/dev/graph.html?${query}`);
            await page.waitForFunction(
                () => document.querySelector("[data-testid=graph]")?.graphHook,
            );
            await hook(page, "settled");
            return page;
        },
        async close() {
            await browser.close();
            await server.close();
        },
    };
}

/** Calls a method of the view's hook. */
export function hook(page, method, ...values) {
    return page.evaluate(
        ([name, list]) =>
            document.querySelector("[data-testid=graph]").graphHook[name](...list),
        [method, values],
    );
}
