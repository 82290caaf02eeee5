/** The compiler, and models that are open in it. */
import type { Bytes } from "./bytes.js";
import { CompileError, parseMessages } from "./errors.js";
import type { Diagnostic, Status } from "./errors.js";
import { Instance } from "./instance.js";
import type { Exports, Host } from "./instance.js";

/** What the module shall look like. What is left out has the command line's default. */
export interface Options {
    /** Repeated modules: one function each, `lax.scan` over their rows, or straight code. */
    layers?: "functions" | "scan" | "unrolled";
    /** `params["a.b"]`, or `params["a"]["b"]`. */
    params?: "flat" | "nested";
    /** The `jax_numpy_rank_promotion` that the module runs under: `x + b`, `x + b[None]`. */
    rankPromotion?: "allow" | "raise";
    /** Other shapes of inputs: `x=8,3,h,w`; a name or `?` stays open. */
    shapes?: readonly string[];
    /** Names of values to return instead of the outputs. */
    outputs?: readonly string[];
    /** `value=N`: pads a value whose size depends on data to N. */
    bounds?: readonly string[];
    /** `input=3`, `input=[1,2]`: fixes an input. */
    inputValues?: readonly string[];
    /** What `load_params` of the module reads; `none`: it has none. */
    weights?: "safetensors" | "npz" | "none";
    /**
     * What reads and writes weights: code of the module, or a file that modules share, which
     * it imports: see `Result.loader`.
     */
    loader?: "inline" | "module";
}

/** A parameter of the module. */
export interface Param {
    /** Its key in `params`: for PyTorch's exports that of the `state_dict`. */
    key: string;
    /** `float32`, `bfloat16`, `int4`, ... */
    dtype: string;
    shape: number[];
    /** Bytes of its data. */
    nbytes: number;
}

/** What `Model.compile` gives. */
export interface Result {
    /** The Python module. */
    source: string;
    /**
     * The text of `safetensors_io.py`, which is to lie beside the module where `loader` is
     * `module`, and is the same for every model; empty where the module does not import it.
     */
    loader: string;
    /** One line: `4 parameters, 156 values, 624 bytes; open: batch`. */
    summary: string;
    /** Warnings as the command line prints them; empty when there are none. */
    messages: string;
    /** The same, one by one. */
    diagnostics: Diagnostic[];
    /** The parameters, in the order of first use. */
    params: Param[];
    /**
     * JSON that says which lines of the source are made of which node; empty where the core
     * does not tell.
     */
    lineMap: string;
}

/** A piece of a weights file: bytes, or where they lie in the model's own files. */
export type Part = Uint8Array | Slice;

/** Bytes `[offset, offset + size)` of a file of the model. */
export interface Slice {
    /** The data file as the model names it; null: the model itself. */
    location: string | null;
    offset: number;
    size: number;
}

/** How `Model.inspect` describes a model. */
export interface InspectOptions {
    /** Other shapes of inputs, as in `Options`. */
    shapes?: readonly string[];
}

/** What `Compiler.load` may be told. */
export interface LoadOptions {
    /**
     * Bytes that the compiler may take for one model, without the weights, which stay in
     * their file. 2 GiB by default; 4 GiB is the end of WebAssembly's memory.
     */
    memoryLimit?: number;
}

/** WebAssembly code, or a response with it. */
export type WasmSource =
    BufferSource | Response | PromiseLike<Response> | WebAssembly.Module;

// The order is that of the enums of oxide_xla.h.
const LAYERS = ["functions", "scan", "unrolled"] as const;
const PARAMS = ["flat", "nested"] as const;
const RANKS = ["allow", "raise"] as const;
const WEIGHTS = ["safetensors", "npz"] as const;
const LOADERS = ["inline", "module"] as const;
const STATUS = [null, "model", "unsupported", "usage", "io", "memory"] as const;

const DEFAULT_LIMIT = 2 ** 31;
const CHUNK = 1 << 20;

/** The number of a choice; `undefined` is the first. */
function choice(what: string, choices: readonly string[], value?: string): number {
    const number = value === undefined ? 0 : choices.indexOf(value);
    if (number < 0) throw new TypeError(`${what}: "${value}" is none of ${choices}`);
    return number;
}

/**
 * A WebAssembly instance of the compiler. Models may be opened in it one after the other
 * or side by side; one that makes it fail does not harm those that are opened later.
 */
export class Compiler {
    readonly #module: WebAssembly.Module;
    readonly #limit: number;
    #instance: Instance;

    private constructor(module: WebAssembly.Module, limit: number) {
        this.#module = module;
        this.#limit = limit;
        this.#instance = new Instance(module);
    }

    /**
     * Makes a compiler of `oxide_xla.wasm`. A response should be of type
     * `application/wasm`, which browsers compile while it arrives.
     */
    static async load(wasm: WasmSource, options: LoadOptions = {}): Promise<Compiler> {
        const limit = options.memoryLimit ?? DEFAULT_LIMIT;
        if (!(limit >= 0 && limit < 2 ** 32))
            throw new RangeError(`memoryLimit: ${limit} bytes is not below 4 GiB`);
        return new Compiler(await compileWasm(await wasm), Math.floor(limit));
    }

    /** The version of the compiler, which is that of this package. */
    get version(): string {
        return this.#live().call((x) => this.#instance.cText(x.version()));
    }

    /** Bytes of memory of the instance. It grows with the largest model so far. */
    get memorySize(): number {
        return this.#live().memorySize;
    }

    /** The operators that compile: what `oxide_xla ops --format json` prints, parsed. */
    ops(): unknown {
        return this.#briefly((instance, session) => {
            instance.exports.ops(session);
            return JSON.parse(instance.text(instance.exports.text_found(session)));
        });
    }

    /**
     * Opens a model and reads its graph; its weights stay where they are.
     *
     * @param model The bytes of the .onnx file. They are read until `Model.free`.
     * @param name What messages and the first line of the module call it.
     * @param beside Finds files of external data by their path from the model's folder,
     *   which is relative and never holds `..`; null when there is none. Without it models
     *   that have such data are an error of status `io`.
     * @throws CompileError when it is no model, or cannot be read.
     */
    open(
        model: Bytes,
        name: string,
        beside: (location: string) => Bytes | null = () => null,
    ): Model {
        return new Model(() => this.#live(), this.#limit, model, name, beside);
    }

    /** The instance; a new one when the last has failed. */
    #live(): Instance {
        if (this.#instance.ended !== null) this.#instance = new Instance(this.#module);
        return this.#instance;
    }

    /** With a session that holds no model. */
    #briefly<T>(work: (instance: Instance, session: number) => T): T {
        const instance = this.#live();
        return instance.call((x) => {
            const session = x.session_new(this.#limit);
            if (session === 0) throw outOfMemory();
            const result = work(instance, session);
            x.session_free(session);
            return result;
        });
    }
}

async function compileWasm(wasm: Awaited<WasmSource>): Promise<WebAssembly.Module> {
    if (wasm instanceof WebAssembly.Module) return wasm;
    if (!(typeof Response === "function" && wasm instanceof Response))
        return WebAssembly.compile(wasm as BufferSource);
    if (!wasm.ok) throw new Error(`the compiler is not there: HTTP ${wasm.status}`);
    const type = wasm.headers.get("Content-Type")?.split(";")[0]?.trim();
    return type === "application/wasm"
        ? WebAssembly.compileStreaming(wasm)
        : WebAssembly.compile(await wasm.arrayBuffer());
}

function outOfMemory(): CompileError {
    return new CompileError("memory", "error[OX0004]: out of memory\n");
}

/** A model that is loaded into an instance, until it is closed. */
class Loaded {
    readonly #session: number;
    readonly #file: number;
    /** Whether `ox_compile` has run: its memory is not given back before `close`. */
    used = false;

    constructor(
        readonly instance: Instance,
        readonly host: Host,
        limit: number,
        name: string,
    ) {
        this.#session = instance.call((x) => x.session_new(limit));
        if (this.#session === 0) throw outOfMemory();
        this.#file = instance.addModel(host);
        try {
            this.run((x, session, file) =>
                instance.withText(name, (text) =>
                    x.load(session, file, host.model.size, text),
                ),
            );
        } catch (error) {
            this.close();
            throw error;
        }
    }

    /** Calls what returns a status, and throws where that is an error. */
    run(work: (exports: Exports, session: number, file: number) => number): void {
        const number = this.instance.call((x) => work(x, this.#session, this.#file));
        const status = STATUS[number] as Status | null;
        if (status === null) return;
        const cause = this.host.failure;
        const options = cause === null ? undefined : { cause };
        throw new CompileError(status, this.messages, options);
    }

    /** Calls what returns a number. */
    number(work: (exports: Exports, session: number) => number): number {
        return this.instance.call((x) => work(x, this.#session));
    }

    /** Calls what returns an OxText. */
    text(work: (exports: Exports, session: number) => number): string {
        return this.instance.call((x) => this.instance.text(work(x, this.#session)));
    }

    get messages(): string {
        return this.text((x, session) => x.text_messages(session));
    }

    params(): Param[] {
        const count = this.number((x, session) => x.param_count(session));
        return Array.from({ length: count }, (_, i) => this.#param(i));
    }

    #param(i: number): Param {
        const rank = this.number((x, session) => x.param_rank(session, i));
        return {
            key: this.text((x, session) => x.param_key(session, i)),
            dtype: this.instance.call((x) =>
                this.instance.cText(x.param_dtype(this.#session, i)),
            ),
            shape: Array.from({ length: rank }, (_, axis) =>
                this.number((x, session) => x.param_dim(session, i, axis)),
            ),
            nbytes: this.number((x, session) => x.param_size(session, i)),
        };
    }

    close(): void {
        this.instance.removeModel(this.#file);
        if (this.instance.ended === null)
            this.instance.call((x) => x.session_free(this.#session));
    }
}

/** An open model. `free` it when done: its memory is the instance's, not JavaScript's. */
export class Model {
    readonly #live: () => Instance;
    readonly #limit: number;
    readonly #name: string;
    readonly #host: ModelHost;
    #loaded: Loaded | null;
    #compiled = false;

    /** @internal Use `Compiler.open`. */
    constructor(
        live: () => Instance,
        limit: number,
        bytes: Bytes,
        name: string,
        beside: (location: string) => Bytes | null,
    ) {
        this.#live = live;
        this.#limit = limit;
        this.#name = name;
        this.#host = new ModelHost(bytes, beside);
        this.#loaded = this.#load();
    }

    /** Bytes that were read from the model and its data files so far. */
    get bytesRead(): number {
        return this.#host.bytesRead;
    }

    /**
     * Describes the model, with inferred types, as JSON. No pass runs, and operators that do not
     * compile are listed, no error.
     *
     * @throws CompileError when the graph is malformed or a shape does not fit.
     */
    inspect(options: InspectOptions = {}): string {
        const shapes = [...(options.shapes ?? [])];
        // Its memory is given back at once, so that a page may ask again and again.
        const loaded = this.#load();
        try {
            loaded.run((x, session) =>
                loaded.instance.withLists([shapes], (list) => x.inspect(session, list)),
            );
            return loaded.text((x, session) => x.text_found(session));
        } finally {
            loaded.close();
        }
    }

    /**
     * Compiles the model to a Python module. May be called again with other options: the
     * results of the last call are those that `readParam` and `weights` are about.
     *
     * @throws CompileError; nothing is compiled then.
     */
    compile(options: Options = {}): Result {
        const layers = choice("layers", LAYERS, options.layers);
        const style = choice("params", PARAMS, options.params);
        const ranks = choice("rankPromotion", RANKS, options.rankPromotion);
        const none = options.weights === "none";
        const loader = choice("loader", LOADERS, options.loader);
        if (none && loader) throw new TypeError("weights: none has no loader");
        const format = choice("weights", WEIGHTS, none ? undefined : options.weights);
        const lists = [
            options.shapes,
            options.outputs,
            options.bounds,
            options.inputValues,
        ];
        const loaded = this.#fresh();
        loaded.run((x, session) =>
            loaded.instance.withLists(
                lists.map((list) => [...(list ?? [])]),
                (pointer) =>
                    x.compile(
                        session,
                        layers,
                        style,
                        format,
                        ranks,
                        none ? 0 : 1 + loader,
                        pointer,
                    ),
            ),
        );
        this.#compiled = true;
        return result(loaded);
    }

    /**
     * Bytes `[offset, offset + length)` of the data of a parameter, little-endian, as ONNX
     * has it.
     *
     * @param index Its place in `Result.params`.
     * @throws CompileError when there are no such bytes, or they cannot be read.
     */
    readParam(index: number, offset: number, length: number): Uint8Array {
        const loaded = this.#result();
        const all = new Uint8Array(length);
        for (let at = 0; at < length; at += CHUNK) {
            const size = Math.min(CHUNK, length - at);
            const { instance } = loaded;
            instance.withBlock(size, (block) => {
                loaded.run((x, session) =>
                    x.read_param(session, index, offset + at, block, size),
                );
                all.set(instance.copyOut(block, size), at);
            });
        }
        return all;
    }

    /**
     * The weights file of the last `compile`, from its first byte to its last. Weights that
     * lie in files of the model are slices of those, and are not read.
     *
     * @param format What `compile` was told.
     */
    weights(format: "safetensors" | "npz" = "safetensors"): Part[] {
        const number = choice("weights", WEIGHTS, format);
        this.#host.parts = [];
        this.#result().run((x, session, file) => x.send_weights(session, file, number));
        return this.#host.parts;
    }

    /** The same file as its bytes, which are read a piece of at most 1 MiB at a time. */
    *weightsBytes(
        format: "safetensors" | "npz" = "safetensors",
    ): Generator<Uint8Array> {
        for (const part of this.weights(format)) {
            if (part instanceof Uint8Array) yield part;
            else yield* this.#host.slice(part);
        }
    }

    /** Gives its memory back to the instance. Nothing else may be called after it. */
    free(): void {
        this.#loaded?.close();
        this.#loaded = null;
        this.#host.freed = true;
    }

    #load(): Loaded {
        if (this.#host.freed) throw new TypeError("the model was freed");
        this.#host.failure = null;
        return new Loaded(this.#live(), this.#host, this.#limit, this.#name);
    }

    /** Loaded and not compiled yet: a compiler gives no memory back between two runs. */
    #fresh(): Loaded {
        const last = this.#loaded;
        if (last === null || last.used || last.instance.ended !== null) {
            last?.close();
            this.#loaded = null;
            this.#loaded = this.#load();
        }
        const loaded = this.#loaded as Loaded;
        loaded.used = true;
        this.#compiled = false;
        return loaded;
    }

    #result(): Loaded {
        if (this.#host.freed) throw new TypeError("the model was freed");
        if (!this.#compiled || this.#loaded === null)
            throw new TypeError("the model is not compiled");
        this.#host.failure = null;
        return this.#loaded;
    }
}

function result(loaded: Loaded): Result {
    const { messages } = loaded;
    return {
        source: loaded.text((x, session) => x.text_source(session)),
        loader: loaded.text((x, session) => x.text_loader(session)),
        summary: loaded.text((x, session) => x.text_summary(session)),
        messages,
        diagnostics: parseMessages(messages),
        params: loaded.params(),
        lineMap: loaded.instance.exports.text_line_map
            ? loaded.text((x, session) => x.text_line_map?.(session) ?? 0)
            : "",
    };
}

/** A model and its data files, each of which is looked for once. */
class ModelHost implements Host {
    readonly #found = new Map<string, Bytes | null>();
    bytesRead = 0;
    failure: unknown = null;
    freed = false;
    parts: Part[] = [];

    constructor(
        readonly model: Bytes,
        readonly find: (location: string) => Bytes | null,
    ) {}

    beside(location: string): Bytes | null {
        let bytes = this.#found.get(location);
        if (bytes === undefined) {
            bytes = this.find(location);
            this.#found.set(location, bytes);
        }
        return bytes;
    }

    write(bytes: Uint8Array): void {
        this.parts.push(bytes);
    }

    copy(location: string | null, offset: number, size: number): void {
        this.parts.push({ location, offset, size });
    }

    *slice({ location, offset, size }: Slice): Generator<Uint8Array> {
        const bytes = location === null ? this.model : this.beside(location);
        for (let at = 0; at < size;) {
            const part = bytes?.read(offset + at, Math.min(CHUNK, size - at));
            if (!part?.length) throw new Error(`no bytes at ${offset + at}`);
            this.bytesRead += part.length;
            at += part.length;
            yield part;
        }
    }
}
