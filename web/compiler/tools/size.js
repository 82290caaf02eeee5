/**
 * Prints the size of the WebAssembly module as servers send it, and fails above a limit,
 * or when it imports anything but what docs/browser.md says.
 */
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** Bytes. A change of the core that adds more than it should is noticed. */
const LIMIT = 289_000;

const wasm = readFileSync(new URL("../dist/oxide_xla.wasm", import.meta.url));
const brotli = brotliCompressSync(wasm, {
    params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: wasm.length,
    },
}).length;
const kilobytes = (/** @type {number} */ n) => (n / 1000).toFixed(1);
console.log(
    `oxide_xla.wasm: ${kilobytes(wasm.length)} KB, ` +
        `gzip ${kilobytes(gzipSync(wasm, { level: 9 }).length)} KB, ` +
        `brotli ${kilobytes(brotli)} KB of ${kilobytes(LIMIT)}`,
);
const imports = WebAssembly.Module.imports(new WebAssembly.Module(wasm));
const known = ["read", "open", "write", "copy", "clock_time_get"];
const foreign = imports.filter(({ name }) => !known.includes(name));
if (foreign.length > 0) throw new Error(`imports ${foreign.map((i) => i.name)}`);
if (brotli > LIMIT) throw new Error(`brotli: ${brotli} bytes, more than ${LIMIT}`);
