// Writes sw.js, a service worker that keeps the page's files: after one visit it opens
// without a network, and a new version replaces all files at once.
import { createHash } from "node:crypto";
import type { Plugin } from "vite";

const script = (version: string, files: string[]) => `// Keeps the files of one version.
const VERSION = ${JSON.stringify(version)};
const FILES = ${JSON.stringify(files)};
addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(caches.open(VERSION).then((cache) => cache.addAll(FILES)));
});
addEventListener("activate", (event) => {
  const old = (names) => names.filter((n) => n.startsWith("oxide-xla-") && n !== VERSION);
  event.waitUntil(
    caches.keys().then((names) => Promise.all(old(names).map((n) => caches.delete(n)))),
  );
});
addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  const kept = caches.match(event.request, { cacheName: VERSION, ignoreSearch: true });
  event.respondWith(kept.then((response) => response || fetch(event.request)));
});
`;

/** A plugin that lists what was built in sw.js. */
export function offline(): Plugin {
    return {
        name: "offline",
        apply: "build",
        enforce: "post",
        generateBundle: {
            order: "post",
            handler(_options, bundle) {
                const digest = createHash("sha256");
                const files = Object.keys(bundle).filter(
                    (name) => !name.endsWith(".map"),
                );
                for (const name of files.sort()) {
                    const item = bundle[name]!;
                    digest
                        .update(name)
                        .update(item.type === "chunk" ? item.code : item.source);
                }
                const version = `oxide-xla-${digest.digest("hex").slice(0, 16)}`;
                const source = script(version, ["./", ...files]);
                this.emitFile({ type: "asset", fileName: "sw.js", source });
            },
        },
    };
}
