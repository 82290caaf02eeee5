/**
 * What the WebAssembly build makes of fixtures, golden models and ONNX's suite is, byte for
 * byte, what the native build makes of them: tests/cases.py has written both down.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";

import {
    CompileError,
    Compiler,
    compiler,
    coreIsEnough,
    fileBytes,
    memoryBytes,
} from "../dist/node.js";
import { CORE, PROGRAM, root } from "./where.js";

/**
 * @typedef {object} Case
 * @property {string} model
 * @property {import("../dist/node.js").Options} options
 * @property {number} status
 * @property {string} source
 * @property {string} summary
 * @property {import("../dist/node.js").Param[]} params
 * @property {string} messages
 * @property {string} weights SHA-256
 * @property {string} [inspect]
 */

const FOLDER = root("build/wasm/cases");
const STATUS = ["ok", "model", "unsupported", "usage", "io", "memory"];

/** @type {Case[]} */
const cases = JSON.parse(readFileSync(join(FOLDER, "native.json"), "utf8"));
const tool = await compiler();
const core = await Compiler.load(readFileSync(CORE));

/**
 * @param {import("../dist/node.js").Model} model
 * @param {Case} wanted
 */
function weightsHash(model, { options, weights }) {
    if (!weights) return "";
    const hash = createHash("sha256");
    const format = options.weights === "npz" ? "npz" : "safetensors";
    for (const bytes of model.weightsBytes(format)) hash.update(bytes);
    return hash.digest("hex");
}

/**
 * @param {Case} wanted
 * @returns {Case}
 */
function made(wanted, by = tool) {
    const { model: name, options } = wanted;
    const file = fileBytes(join(FOLDER, name));
    const empty = { source: "", summary: "", messages: "", weights: "", params: [] };
    const found = { ...wanted, ...empty, status: 0 };
    try {
        const model = by.open(file, name);
        if (wanted.inspect) found.inspect = model.inspect();
        try {
            const { source, summary, messages, params } = model.compile(options);
            const weights = weightsHash(model, wanted);
            return { ...found, source, summary, messages, params, weights };
        } finally {
            model.free();
        }
    } catch (error) {
        if (!(error instanceof CompileError)) throw error;
        const status = STATUS.indexOf(error.status);
        return { ...found, status, messages: error.messages };
    } finally {
        file.close();
    }
}

test("every case gives the bytes of the native library", () => {
    assert.ok(cases.length > 1400, `there are ${cases.length} cases only`);
    const different = [];
    for (const wanted of cases) {
        try {
            assert.deepStrictEqual(made(wanted), wanted);
        } catch (error) {
            different.push(error);
        }
    }
    if (different.length > 0) throw different[0];
});

test("the core gives them, too, where it is enough", () => {
    let count = 0;
    for (const wanted of cases) {
        if (!wanted.inspect) continue;
        const file = fileBytes(join(FOLDER, wanted.model));
        /** @type {string | null} */
        let report = null;
        try {
            const model = core.open(file, wanted.model);
            report = model.inspect();
            model.free();
        } catch (error) {
            if (!(error instanceof CompileError)) throw error;
        } finally {
            file.close();
        }
        // What it says itself decides, as it does in a page, and what all of it says agrees.
        if (report === null || !coreIsEnough(report)) continue;
        assert.ok(coreIsEnough(wanted.inspect), wanted.model);
        assert.deepStrictEqual(made(wanted, core), wanted);
        count++;
    }
    assert.ok(count > 1000, `it is enough for ${count} models only`);
});

test("the core lacks the operators of two domains alone", () => {
    /** @typedef {{ domain: string }[]} Ops */
    const all = /** @type {Ops} */ (tool.ops());
    const foreign = ["com.microsoft", "ai.onnx.ml"];
    const known = (/** @type {Ops} */ ops) =>
        ops.filter(({ domain }) => !foreign.includes(domain));
    assert.deepEqual(known(/** @type {Ops} */ (core.ops())), known(all));
    for (const name of foreign) assert.ok(all.some(({ domain }) => domain === name));
});

test("the cases have what there is to compare", () => {
    /** @param {(c: Case) => unknown} has */
    const count = (has) => cases.filter(has).length;
    assert.ok(count((c) => c.status !== 0) >= 10, "refusals");
    assert.ok(count((c) => c.status === 0 && c.messages) >= 10, "warnings");
    assert.ok(count((c) => c.source.includes("lax.scan")) >= 5, "scans");
    assert.ok(count((c) => c.inspect) >= 1400, "reports");
});

test("fixtures give the golden files", () => {
    const golden = readdirSync(root("tests/golden")).filter((f) => f.endsWith(".py"));
    assert.ok(golden.length >= 14);
    for (const name of golden) {
        const model = `${basename(name, ".py")}.onnx`;
        const found = made(/** @type {Case} */ ({ model, options: {}, weights: "" }));
        assert.equal(found.source, readFileSync(root(`tests/golden/${name}`), "utf8"));
    }
});

/** @param {string[]} args */
const printed = (...args) =>
    execFileSync(PROGRAM, args, { cwd: FOLDER, encoding: "utf8", stdio: "pipe" });

test("descriptions are those of the program", () => {
    const name = "repeated_layers.onnx";
    const model = tool.open(memoryBytes(readFileSync(join(FOLDER, name))), name);
    const report = model.inspect();
    assert.equal(report, printed("inspect", name, "-f", "json"));
    const [input] = JSON.parse(report).inputs;
    const shape = `${input.name}=${[7, ...input.shape.slice(1)]}`;
    const shapes = [shape];
    const other = printed("inspect", name, "-f", "json", "--shape", shape);
    assert.equal(model.inspect({ shapes }), other);
    assert.notEqual(other, report);
    model.free();
});

test("the file that modules share is that of the program", () => {
    const name = "linear_relu.onnx";
    const model = tool.open(memoryBytes(readFileSync(join(FOLDER, name))), name);
    const { source, loader } = model.compile({ loader: "module" });
    assert.equal(source, printed("compile", name, "-o", "-", "--loader", "module"));
    const folder = mkdtempSync(join(tmpdir(), "oxide-xla-"));
    const output = ["-o", join(folder, "m.py"), "--loader", "module", "--quiet"];
    execFileSync(PROGRAM, ["compile", name, ...output], { cwd: FOLDER });
    const file = readFileSync(join(folder, "safetensors_io.py"), "utf8");
    rmSync(folder, { recursive: true });
    assert.equal(loader, file);
    assert.equal(model.compile().loader, "");
    assert.throws(
        () => model.compile({ loader: "module", weights: "none" }),
        TypeError,
    );
    model.free();
});

test("lists of options arrive", () => {
    const name = "multi_output.onnx";
    const model = tool.open(memoryBytes(readFileSync(join(FOLDER, name))), name);
    const report = JSON.parse(model.inspect());
    const outputs = report.outputs.map((/** @type {{ name: string }} */ o) => o.name);
    assert.ok(outputs.length > 1);
    outputs.reverse();
    const args = ["compile", name, "-o", "-", "--outputs", outputs.join()];
    assert.equal(model.compile({ outputs }).source, printed(...args));
    const given = report.inputs[0].name;
    for (const [option, flag, value] of [
        ["bounds", "--bound", "nothing=3"],
        ["inputValues", "--input-value", `${given}=text`],
        ["shapes", "--shape", `${given}=2,2,2,2,2`],
    ]) {
        const native = spawnSync(
            PROGRAM,
            ["compile", name, "-o", "-", `${flag}`, `${value}`],
            {
                cwd: FOLDER,
                encoding: "utf8",
            },
        );
        assert.notEqual(native.status, 0);
        assert.throws(() => model.compile({ [`${option}`]: [`${value}`] }), {
            name: "CompileError",
            messages: native.stderr,
        });
    }
    model.free();
});

test("the operators are those of the program", () => {
    assert.deepEqual(tool.ops(), JSON.parse(printed("ops", "-f", "json")));
});
