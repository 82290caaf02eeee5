/** The package as users get it: packed, installed into an empty folder, and used. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
    copyFileSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";

import { PROGRAM, root } from "./where.js";

const folder = mkdtempSync(join(tmpdir(), "oxide-xla-"));
after(() => rmSync(folder, { recursive: true }));

/**
 * @param {string} program
 * @param {string[]} args
 */
const run = (program, ...args) =>
    execFileSync(program, args, { cwd: folder, encoding: "utf8" });

/** The code blocks of README.md. */
const examples = [
    ...readFileSync(root("web/compiler/README.md"), "utf8").matchAll(
        /```js\n(.*?)```/gs,
    ),
].map(([, code = ""]) => code);

test("it installs from a tarball, and has what it needs", () => {
    const packed = run("npm", "pack", "--json", root("web/compiler"));
    const [{ filename, files }] = JSON.parse(packed);
    const names = files.map((/** @type {{ path: string }} */ file) => file.path);
    for (const name of [
        "oxide_xla.wasm",
        "oxide_xla_core.wasm",
        "node.js",
        "node.d.ts",
        "browser.js",
        "worker.js",
    ])
        assert.ok(names.includes(`dist/${name}`), name);
    assert.ok(names.includes("README.md") && names.includes("LICENSE"));
    assert.deepEqual(
        names.filter((/** @type {string} */ n) => /test|src/.test(n)),
        [],
    );
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    run("npm", "install", "--offline", "--no-audit", "--no-fund", `./${filename}`);
    assert.deepEqual(readdirSync(join(folder, "node_modules")).sort(), [
        ".package-lock.json",
        "@oxide-xla",
    ]);
});

/** Runs an example that writes model.py and its weights, which the program writes, too.
 * @param {string} example @param {string[]} options */
const sameAsProgram = (example, ...options) => {
    copyFileSync(root("tests/fixtures/conv_bn_relu.onnx"), join(folder, "model.onnx"));
    writeFileSync(join(folder, "example.js"), example);
    const printed = run("node", "example.js");
    const read = (/** @type {string} */ name) => readFileSync(join(folder, name));
    const made = [read("model.py"), read("model.safetensors")];
    const output = ["--output", "model.py", "--force", "--quiet"];
    run(PROGRAM, "compile", "model.onnx", ...output, ...options);
    assert.deepEqual(made, [read("model.py"), read("model.safetensors")]);
    return printed;
};

test("the first example of the README writes what the program writes", () => {
    assert.match(sameAsProgram(examples[0] ?? ""), /^\d+ parameters/);
});

test("the example of the guide writes what the program writes", () => {
    const guide = readFileSync(root("docs/guides/embedding.md"), "utf8");
    const [, example = ""] = /```js\n(.*?)```/s.exec(guide) ?? [];
    sameAsProgram(example, "--layers", "scan");
});

test("the example step by step runs", () => {
    const code = `
    import { readFileSync } from "node:fs";
    import { createWriteStream } from "node:fs";
    const file = createWriteStream("copy.safetensors");
    const url = import.meta.resolve("@oxide-xla/compiler/oxide_xla.wasm");
    const wasm = readFileSync(new URL(url));
    ${examples[2]}`.replace("x=8,3,h,w", "x=8,3,8,8");
    writeFileSync(join(folder, "steps.js"), code);
    const printed = run("node", "steps.js");
    assert.doesNotMatch(printed, /OX\d{4}/);
    assert.match(printed, /param_elements/);
    assert.ok(readFileSync(join(folder, "copy.safetensors")).length > 0);
});

test("types are found by TypeScript", () => {
    const code = `import { compile, fileBytes, type Compiled } from "@oxide-xla/compiler";
const all: Compiled = await compile(fileBytes("model.onnx"), { params: "nested" });
export const shape: number[] | undefined = all.params[0]?.shape;
// @ts-expect-error there is no such style
await compile(fileBytes("model.onnx"), { params: "neste" });
`;
    writeFileSync(join(folder, "typed.ts"), code);
    const typescript = createRequire(import.meta.url).resolve(
        "typescript/package.json",
    );
    const tsc = join(dirname(typescript), "bin/tsc");
    const flags = [
        "--strict",
        "--noEmit",
        "--target",
        "es2022",
        "--module",
        "nodenext",
    ];
    run("node", tsc, ...flags, "--types", "", "--lib", "es2022,dom", "typed.ts");
});
