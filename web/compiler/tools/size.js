/**
 * Prints the sizes of the WebAssembly modules as servers send them, and fails above a limit,
 * or when one imports anything but what docs/browser.md says.
 */
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** Bytes. A change of the core that adds more than it should is noticed: but not what the
 * linker of zig makes, which is larger. */
const LIMITS = { oxide_xla_core: 260_000, oxide_xla: 308_000 };

const linker = new URL("../../../build/wasm/linker.txt", import.meta.url);
const isLimited = readFileSync(linker, "utf8").trim() === "lld";

const KNOWN = ["read", "open", "write", "copy", "clock_time_get"];
const kilobytes = (/** @type {number} */ n) => (n / 1000).toFixed(1);

for (const [name, limit] of Object.entries(LIMITS)) {
    const wasm = readFileSync(new URL(`../dist/${name}.wasm`, import.meta.url));
    const brotli = brotliCompressSync(wasm, {
        params: {
            [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
            [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
            [constants.BROTLI_PARAM_SIZE_HINT]: wasm.length,
        },
    }).length;
    console.log(
        `${name}.wasm: ${kilobytes(wasm.length)} KB, ` +
            `gzip ${kilobytes(gzipSync(wasm, { level: 9 }).length)} KB, ` +
            `brotli ${kilobytes(brotli)} KB of ${kilobytes(limit)}`,
    );
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(wasm));
    const foreign = imports.filter((entry) => !KNOWN.includes(entry.name));
    if (foreign.length > 0) throw new Error(`imports ${foreign.map((i) => i.name)}`);
    if (isLimited && brotli > limit)
        throw new Error(`brotli: ${brotli} bytes, more than ${limit}`);
}
