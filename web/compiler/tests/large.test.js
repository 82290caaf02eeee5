/** A model whose weights, 6.4 GB, are not read: how many bytes are, and what memory. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";

import { CompileError, Compiler, fileBytes } from "../dist/node.js";
import { PROGRAM, root, WASM } from "./where.js";

const FOLDER = root("build/wasm/cases/large");
const LAYERS = 24;
const LAYER_BYTES = 8192 * 8192 * 4;

const tool = await Compiler.load(readFileSync(WASM));
const weights = fileBytes(`${FOLDER}/weights.bin`);
const file = fileBytes(`${FOLDER}/large.onnx`);
const open = () =>
    tool.open(file, "large.onnx", (at) => (at === "weights.bin" ? weights : null));
after(() => {
    weights.close();
    file.close();
});

test("little is read, and the same each time", (t) => {
    const reads = [1, 2].map(() => {
        const model = open();
        model.compile();
        const { bytesRead } = model;
        model.free();
        return bytesRead;
    });
    assert.equal(weights.size, LAYERS * LAYER_BYTES);
    assert.equal(reads[0], reads[1]);
    const [read = 0] = reads;
    t.diagnostic(`${read} bytes of ${file.size + weights.size} were read`);
    assert.ok(read > file.size && read < 16 << 10, `${read} bytes were read`);
});

test("the instance stays small", (t) => {
    t.diagnostic(`the instance has ${tool.memorySize} bytes`);
    assert.ok(tool.memorySize < 4 << 20, `${tool.memorySize} bytes`);
});

test("the module is that of the program", () => {
    const model = open();
    const { source } = model.compile();
    model.free();
    const command = ["compile", "large.onnx", "--output", "-"];
    const native = spawnSync(PROGRAM, command, { cwd: FOLDER, encoding: "utf8" });
    assert.equal(native.status, 0, native.stderr);
    assert.equal(source, native.stdout);
});

test("weights are slices of the file, which nobody reads", () => {
    const model = open();
    const { params } = model.compile();
    const before = model.bytesRead;
    const parts = model.weights("safetensors");
    assert.equal(model.bytesRead, before);
    model.free();

    const [head] = parts;
    assert.ok(head instanceof Uint8Array);
    const length = Number(new DataView(head.buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(head.subarray(8, 8 + length)));
    const slices = parts.filter((part) => !(part instanceof Uint8Array));
    assert.deepEqual(slices, [
        { location: "weights.bin", offset: 0, size: weights.size },
    ]);
    for (const { key, nbytes } of params) {
        const start = Number(key.split(".")[1]) * LAYER_BYTES;
        assert.equal(nbytes, LAYER_BYTES);
        assert.deepEqual(header[key].data_offsets, [start, start + nbytes]);
    }
});

test("parameters are read where they lie, beyond 4 GiB, too", () => {
    const model = open();
    const { params } = model.compile();
    const index = params.findIndex(({ key }) => key === "layers.23.weight");
    const offset = 23 * LAYER_BYTES;
    assert.ok(offset > 2 ** 32);
    assert.deepEqual(model.readParam(index, 0, 128), weights.read(offset, 128));
    const end = LAYER_BYTES - 3;
    assert.deepEqual(model.readParam(index, end, 3), new Uint8Array(3));
    assert.throws(() => model.readParam(index, end, 4), CompileError);
    assert.throws(() => model.readParam(params.length, 0, 1), CompileError);
    assert.equal(model.readParam(index, 0, (3 << 20) + 5).length, (3 << 20) + 5);
    model.free();
});

/**
 * @param {string} pattern of the first message
 * @param {() => unknown} work
 * @returns {CompileError}
 */
function ioError(pattern, work) {
    try {
        work();
    } catch (error) {
        assert.ok(error instanceof CompileError);
        assert.equal(error.status, "io");
        assert.match(error.messages, new RegExp(`^error\\[OX0005\\]: .*${pattern}`));
        return error;
    }
    return assert.fail("there is no error");
}

test("data files that are missing are errors that name them", () => {
    ioError('"weights.bin" .*there is no such file', () => tool.open(file, "a.onnx"));
    const cause = new Error("no permission");
    const refuse = () => {
        throw cause;
    };
    const error = ioError('"weights.bin"', () => tool.open(file, "a.onnx", refuse));
    assert.equal(error.cause, cause);
});

test("data files that cannot be read, too", () => {
    const cause = new Error("the medium was removed");
    const beside = () => ({
        size: weights.size,
        read: () => {
            throw cause;
        },
    });
    const model = tool.open(file, "a.onnx", beside);
    model.compile();
    const error = ioError('"weights.bin" cannot be read', () =>
        model.readParam(0, 0, 8),
    );
    assert.equal(error.cause, cause);
    ioError('"weights.bin" cannot be read', () => model.readParam(1, 0, 8));
    assert.match(model.compile().source, /^# Generated/);
    model.free();
});
