/**
 * Frame times of the canvas at 5,000 nodes, all of them open: npm run bench:frames.
 * Pans and zooms in a headless Chromium without a GPU, once where everything is in sight,
 * once where texts are legible; prints the median and the 95th percentile of what drawing
 * a frame takes, and of the time between frames.
 */
import { runnerImport } from "vite";
import { hook, startPage } from "./page.mjs";

const FRAMES = 240;

const { module } = await runnerImport(
    new URL("./synthetic.ts", import.meta.url).pathname,
);

function percentiles(times) {
    const sorted = times.slice().sort((a, b) => a - b);
    const at = (part) => sorted[Math.floor((sorted.length - 1) * part)] ?? NaN;
    return `median ${at(0.5).toFixed(1)}  95th ${at(0.95).toFixed(1)} ms`;
}

/** Moves the camera a little with every frame. */
function sweep(page, zoom) {
    return page.evaluate(
        async ([zoom, frames]) => {
            const { graphHook } = document.querySelector("[data-testid=graph]");
            const start = graphHook.camera();
            const view = zoom > 0 ? { x: 400, y: 200, zoom } : start;
            graphHook.resetStats();
            for (let i = 0; i < frames; i++) {
                const swing = Math.sin(i / 20);
                const factor = 1 + 0.15 * swing;
                const y = view.y - (zoom > 0 ? i * 37 : 0);
                graphHook.moveTo({
                    x: view.x + 60 * swing,
                    y,
                    zoom: view.zoom * factor,
                });
                await new Promise(requestAnimationFrame);
            }
            const { draws, gaps } = graphHook.stats();
            return { draws: [...draws], gaps: [...gaps] };
        },
        [zoom, FRAMES],
    );
}

const app = await startPage({
    modules: module.synthetic(5000, true),
    flat: module.synthetic(5000, false),
});
for (const name of ["flat", "modules"]) {
    const page = await app.open(name, { width: 1440, height: 900 });
    await hook(page, "openAll");
    await hook(page, "settled");
    await hook(page, "showAll", true);
    await hook(page, "settled");
    const { boxes } = await hook(page, "counts");
    for (const [what, zoom] of [
        ["all in sight", 0],
        ["small, without text", 0.15],
        ["titles", 0.35],
        ["legible", 0.8],
    ]) {
        const { draws, gaps } = await sweep(page, zoom);
        console.log(
            `${name.padEnd(8)} ${String(boxes).padStart(5)} boxes  ${what.padEnd(20)}` +
                ` draw ${percentiles(draws)}   between frames ${percentiles(gaps)}`,
        );
    }
    await page.close();
}
await app.close();
