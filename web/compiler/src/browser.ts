/** The package in a browser: Blobs are read synchronously, which workers can. */
import { memoryBytes } from "./bytes.js";
import type { Bytes } from "./bytes.js";
import { Compiler } from "./compiler.js";
import { CompileError } from "./errors.js";
import { compileBytes, nameOf } from "./quick.js";
import type { Compiled, QuickOptions } from "./quick.js";
import type { Answer, Request } from "./worker.js";

export * from "./shared.js";

/** Of workers, which TypeScript does not describe together with pages. */
declare class FileReaderSync {
    readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** What `compile` takes as a file. */
export type ModelFile = Blob | Uint8Array;

/**
 * A Blob or File, which is read on demand, so that it may be larger than memory.
 *
 * @throws TypeError outside of workers, which alone have FileReaderSync.
 */
export function blobBytes(blob: Blob): Bytes {
    if (typeof FileReaderSync === "undefined")
        throw new TypeError("blobBytes works in a worker only");
    const reader = new FileReaderSync();
    return {
        size: blob.size,
        read: (offset, length) =>
            new Uint8Array(
                reader.readAsArrayBuffer(blob.slice(offset, offset + length)),
            ),
    };
}

let shared: Promise<Compiler> | null = null;

/** The compiler of the package, made when it is first asked for. */
export function compiler(): Promise<Compiler> {
    shared ??= Compiler.load(fetch(new URL("./oxide_xla.wasm", import.meta.url)));
    return shared;
}

/**
 * Compiles a model: in a worker, unless this is one already.
 *
 * @throws CompileError when it cannot be compiled.
 */
export async function compile(
    file: ModelFile,
    options: QuickOptions<ModelFile> = {},
): Promise<Compiled> {
    if (typeof FileReaderSync === "undefined") return askWorker(file, options);
    const beside = (location: string) => {
        const data = options.files?.get(location);
        return data ? readable(data) : null;
    };
    const name = options.name ?? nameOf(file);
    return compileBytes(await compiler(), readable(file), name, beside, options);
}

function readable(file: ModelFile): Bytes {
    return file instanceof Uint8Array ? memoryBytes(file) : blobBytes(file);
}

// ---- the worker ------------------------------------------------------------------------

let worker: Worker | null = null;
let requests = 0;
const waiting = new Map<number, (answer: Answer) => void>();

function startWorker(): Worker {
    const started = new Worker(new URL("./worker.js", import.meta.url), {
        type: "module",
    });
    started.onmessage = ({ data }: MessageEvent<Answer>) => {
        waiting.get(data.id)?.(data);
        waiting.delete(data.id);
    };
    started.onerror = (event) => {
        const message = event.message || "the worker could not be started";
        for (const [id, settle] of waiting) settle({ id, failure: message });
        waiting.clear();
        worker = null;
    };
    return started;
}

async function askWorker(
    file: ModelFile,
    options: QuickOptions<ModelFile>,
): Promise<Compiled> {
    worker ??= startWorker();
    const request: Request = { id: ++requests, file, options };
    const answer = await new Promise<Answer>((settle) => {
        waiting.set(request.id, settle);
        worker?.postMessage(request);
    });
    if ("result" in answer) return answer.result;
    if ("failure" in answer) throw new Error(answer.failure);
    throw new CompileError(answer.status, answer.messages);
}
