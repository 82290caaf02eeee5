// Prints what the first view of web/dist loads, compressed, and fails above the budget.
import { readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const BUDGET = 450e3; // bytes
const DIST = resolve(import.meta.dirname, "../dist");

/** Fonts come compressed; the rest is compressed by hosts as it is here. */
function size(name) {
    const bytes = readFileSync(join(DIST, name));
    if (name.endsWith(".woff2")) return bytes.length;
    const params = {
        [constants.BROTLI_PARAM_QUALITY]: 11,
        [constants.BROTLI_PARAM_LGWIN]: 24,
    };
    return brotliCompressSync(bytes, { params }).length;
}

/** What is loaded when a model is opened or the 3D view is asked for, not before: the whole
 * compiler, for models of which the core of it does not know each operator. */
const LATER =
    /^assets\/(scene|layout\.worker|worker|oxide_xla)-|^examples\/.*\.onnx$|^sw\.js$/;

function filesOf(folder) {
    return readdirSync(join(DIST, folder), { withFileTypes: true }).flatMap((entry) => {
        const path = folder ? `${folder}/${entry.name}` : entry.name;
        return entry.isDirectory() ? filesOf(path) : [path];
    });
}

const files = filesOf("");
const text = files
    .filter((name) => /^index\.html$|^assets\/index-.*\.(js|css)$/.test(name))
    .map((name) => readFileSync(join(DIST, name), "utf8"))
    .join("\n");
let first = 0;
for (const name of files.sort()) {
    const later = LATER.test(name) || !isNamed(name);
    const bytes = size(name);
    if (!later) first += bytes;
    console.log(`${String(bytes).padStart(9)}  ${later ? "later" : "first"}  ${name}`);
}
console.log(
    `${String(first).padStart(9)}  first view, brotli; the budget is ${BUDGET}`,
);
if (first > BUDGET) {
    console.error("error: the first view is above its budget");
    process.exit(1);
}

/** Whether the page or one of its scripts names the file; the page names itself. */
function isNamed(name) {
    return name === "index.html" || text.includes(name.split("/").at(-1));
}
