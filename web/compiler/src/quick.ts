/** `compile` in one call, wherever the files come from. */
import type { Bytes } from "./bytes.js";
import type { Compiler, Options, Part, Result } from "./compiler.js";

/** What `compile` may be told beyond `Options`. */
export interface QuickOptions<File> extends Options {
    /** Files of external data by their paths from the model's folder. */
    files?: ReadonlyMap<string, File>;
    /** What the module calls the model; the name of a File, else `model.onnx`. */
    name?: string;
}

/** What `compile` gives. */
export interface Compiled extends Result {
    /** The weights file in pieces; empty with `weights: "none"`. See `weightsBlob`. */
    weights: Part[];
}

/** Opens, compiles and frees. */
export function compileBytes(
    compiler: Compiler,
    model: Bytes,
    name: string,
    beside: (location: string) => Bytes | null,
    options: Options,
): Compiled {
    const opened = compiler.open(model, name, beside);
    try {
        const result = opened.compile(options);
        const none = options.weights === "none" || result.params.length === 0;
        const format = options.weights === "npz" ? "npz" : "safetensors";
        return { ...result, weights: none ? [] : opened.weights(format) };
    } finally {
        opened.free();
    }
}

/** The name of a File, which a Blob has not. */
export function nameOf(file: unknown): string {
    const name = (file as { name?: unknown }).name;
    return typeof name === "string" && name ? name : "model.onnx";
}

/**
 * A weights file as a Blob of slices of the model's files: nothing is read, whatever its
 * size.
 *
 * @param parts What `Model.weights` or `compile` gave.
 * @param model The file that was compiled.
 * @param files Its data files.
 */
export function weightsBlob(
    parts: readonly Part[],
    model: Blob | Uint8Array,
    files?: ReadonlyMap<string, Blob | Uint8Array>,
): Blob {
    const pieces = parts.map((part) => {
        if (part instanceof Uint8Array) return part as BlobPart;
        const { location, offset, size } = part;
        const file = location === null ? model : files?.get(location);
        if (!file) throw new TypeError(`there is no file "${location}"`);
        return file instanceof Uint8Array
            ? (file.subarray(offset, offset + size) as BlobPart)
            : file.slice(offset, offset + size);
    });
    return new Blob(pieces, { type: "application/octet-stream" });
}
