/**
 * The package in Chromium, from the files as they were built: a page calls `compile` with
 * Blobs, which takes a worker, and says what came of it.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { test } from "node:test";

import { PROGRAM, root } from "./where.js";

const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };
const POLICY =
    "default-src 'none'; connect-src 'self'; worker-src 'self'; " +
    "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'";

const PAGE = `<!doctype html><script type="module">
  import { blobBytes, compile, weightsBlob } from "/web/compiler/dist/browser.js";
  const blob = async (path) => (await fetch(path)).blob();
  const hash = async (data) =>
    [...new Uint8Array(await crypto.subtle.digest("SHA-256", await data.arrayBuffer()))];
  const found = {};
  try {
    const model = await blob("/tests/fixtures/conv_bn_relu.onnx");
    const made = await compile(model, { name: "conv_bn_relu.onnx" });
    found.source = made.source;
    found.weights = await hash(weightsBlob(made.weights, model));
    const large = await blob("/build/wasm/cases/large/large.onnx");
    const data = new Blob([new Uint8Array(1 << 20)]);
    await compile(large, { files: new Map([["weights.bin", data]]) }).catch(
      (error) => (found.error = [error.name, error.status, error.messages]),
    );
    await compile(new Blob(["no model"])).catch((error) => (found.bad = error.status));
    try {
      blobBytes(model);
    } catch (error) {
      found.thread = String(error);
    }
  } catch (error) {
    found.failure = String(error?.stack ?? error);
  }
  await fetch("/found", { method: "POST", body: JSON.stringify(found) });
</script>`;

/** @param {(found: any) => void} done gets what the page says */
function serve(done) {
    return createServer(async (request, response) => {
        const { pathname } = new URL(request.url ?? "/", "http://localhost");
        if (request.method === "POST") {
            const parts = [];
            for await (const part of request) parts.push(part);
            response.end();
            done(JSON.parse(Buffer.concat(parts).toString()));
            return;
        }
        response.setHeader("Content-Security-Policy", POLICY);
        if (pathname === "/") {
            response.setHeader("Content-Type", "text/html");
            response.end(PAGE);
            return;
        }
        const type = TYPES[/** @type {keyof typeof TYPES} */ (extname(pathname))];
        if (type) response.setHeader("Content-Type", type);
        try {
            response.end(readFileSync(root(normalize(pathname).slice(1))));
        } catch {
            response.writeHead(404).end();
        }
    });
}

test("a page compiles Blobs", { timeout: 120_000 }, async () => {
    const profile = mkdtempSync(join(tmpdir(), "oxide-xla-chromium-"));
    /** @type {any} */
    let server;
    /** @type {Promise<any>} */
    const found = new Promise((settle) => (server = serve(settle)));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
    ];
    const page = `http://127.0.0.1:${server.address().port}/`;
    const browser = spawn(
        process.env.CHROMIUM ?? "chromium",
        [...flags, `--user-data-dir=${profile}`, page],
        { stdio: "ignore" },
    );
    try {
        const { failure, source, weights, error, bad, thread } = await found;
        assert.equal(failure, undefined);
        assert.equal(
            source,
            readFileSync(root("tests/golden/conv_bn_relu.py"), "utf8"),
        );
        assert.equal(weights.length, 32);
        assert.deepEqual(weights, nativeWeights(profile));
        assert.deepEqual(error.slice(0, 2), ["CompileError", "io"]);
        assert.match(error[2], /^error\[OX0005\]: /);
        assert.equal(bad, "model");
        assert.match(thread, /^TypeError: .*worker/);
    } finally {
        const gone = once(browser, "exit");
        browser.kill();
        await gone;
        server.closeAllConnections();
        server.close();
        rmSync(profile, { recursive: true, force: true, maxRetries: 20 });
    }
});

/** @param {string} folder */
function nativeWeights(folder) {
    const model = root("tests/fixtures/conv_bn_relu.onnx");
    const output = join(folder, "native.py");
    execFileSync(PROGRAM, ["compile", model, "--output", output, "--quiet"]);
    const file = readFileSync(join(folder, "native.safetensors"));
    return [...createHash("sha256").update(file).digest()];
}
