// node tools/site_pictures.mjs [FOLDER]: pictures of the pages in build/site, to look at:
// wide and as on a phone, light and dark.  Needs `make web` once, for playwright-core, and
// Chromium.
import { createServer } from "node:http";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = resolve(fileURLToPath(import.meta.url), "../..");
const SITE = join(ROOT, "build/site");
const FOLDER = resolve(process.argv[2] ?? join(ROOT, "build/site-pictures"));
const MODULES = process.env.NODE_PATH ?? join(ROOT, "web/node_modules");
const { chromium } = (
  await import(pathToFileURL(join(MODULES, "playwright-core/index.js")).href)
).default;

const PAGES = process.env.PAGES?.split(" ") ?? [
  "",
  "guides/first_port/",
  "guides/fine_tuning/",
  "notebooks/vision/",
  "reference/options/",
  "reference/python/",
  "reference/c/",
  "operators/",
  "results/",
  "architecture/",
];
const SIZES = { wide: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
};

const server = createServer((request, response) => {
  try {
    let path = join(SITE, decodeURIComponent(new URL(request.url, "http://x").pathname));
    if (statSync(path).isDirectory()) path = join(path, "index.html");
    response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
    response.end(readFileSync(path));
  } catch {
    response.statusCode = 404;
    response.end();
  }
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const address = `http://127.0.0.1:${server.address().port}/`;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
mkdirSync(FOLDER, { recursive: true });
let wrong = 0;
for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await browser.newPage({ viewport, colorScheme });
    await page.route("**", (route) =>
      route.request().url().startsWith(address) ? route.continue() : route.abort(),
    );
    for (const name of PAGES) {
      await page.goto(address + name, { waitUntil: "load" });
      await page.waitForTimeout(300);
      const stem = name.replaceAll("/", "_") || "index_";
      await page.screenshot({ path: join(FOLDER, `${stem}${size}-${colorScheme}.png`) });
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      if (width > viewport.width) {
        console.log(`${name || "index"}: ${width} pixels wide, on ${viewport.width}`);
        wrong++;
      }
    }
    await page.close();
  }
}
await browser.close();
server.close();
process.exit(wrong ? 1 : 0);
