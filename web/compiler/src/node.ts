/** The package in Node: files are read where the compiler asks for bytes. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";

import { memoryBytes } from "./bytes.js";
import type { Bytes } from "./bytes.js";
import { Compiler } from "./compiler.js";
import { compileBytes, nameOf } from "./quick.js";
import type { Compiled, QuickOptions } from "./quick.js";

export * from "./shared.js";

/** What `compile` takes as a file. Blobs are read as a whole: see `fileBytes`. */
export type ModelFile = Blob | Uint8Array | Bytes;

/** An open file, which is read on demand, so that it may be larger than memory. */
export interface FileBytes extends Bytes {
    /** Closes the file. */
    close(): void;
}

/**
 * Opens a file.
 *
 * @throws The error of `node:fs` when it cannot be opened.
 */
export function fileBytes(path: string | URL): FileBytes {
    const fd = openSync(path, "r");
    return {
        size: fstatSync(fd).size,
        read(offset, length) {
            const buffer = new Uint8Array(length);
            return buffer.subarray(0, readSync(fd, buffer, 0, length, offset));
        },
        close: () => closeSync(fd),
    };
}

let shared: Promise<Compiler> | null = null;

/** The compiler of the package, made when it is first asked for. */
export function compiler(): Promise<Compiler> {
    shared ??= readFile(new URL("./oxide_xla.wasm", import.meta.url)).then((wasm) =>
        Compiler.load(wasm),
    );
    return shared;
}

/**
 * Compiles a model.
 *
 * @throws CompileError when it cannot be compiled.
 */
export async function compile(
    file: ModelFile,
    options: QuickOptions<ModelFile> = {},
): Promise<Compiled> {
    const model = await readable(file);
    const files = new Map<string, Bytes>();
    for (const [location, data] of options.files ?? [])
        files.set(location, await readable(data));
    const beside = (location: string) => files.get(location) ?? null;
    const name = options.name ?? nameOf(file);
    return compileBytes(await compiler(), model, name, beside, options);
}

async function readable(file: ModelFile): Promise<Bytes> {
    if (file instanceof Uint8Array) return memoryBytes(file);
    if (!(file instanceof Blob)) return file;
    return memoryBytes(new Uint8Array(await file.arrayBuffer()));
}
