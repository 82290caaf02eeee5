/**
 * One WebAssembly instance, and what it asks of its host. The other side, with the
 * meanings of all numbers, is src/wasm/exports.c.
 */
import type { Bytes } from "./bytes.js";
import { CompileError } from "./errors.js";

type Pointer = number;
type Session = Pointer;

/** What exports.c exports. */
export interface Exports {
    memory: WebAssembly.Memory;
    _initialize(): void;
    allocate(size: number): Pointer;
    release(block: Pointer): void;
    session_new(limit: number): Session;
    session_free(session: Session): void;
    session_peak(session: Session): number;
    load(session: Session, file: number, size: number, name: Pointer): number;
    compile(
        session: Session,
        layers: number,
        params: number,
        weights: number,
        ranks: number,
        /** 0: no `load_params`; else one more than its OxLoader. */
        loader: number,
        lists: Pointer,
    ): number;
    inspect(session: Session, shapes: Pointer): number;
    ops(session: Session): number;
    send_weights(session: Session, file: number, format: number): number;
    read_param(
        session: Session,
        index: number,
        offset: number,
        to: Pointer,
        size: number,
    ): number;
    text_found(session: Session): Pointer;
    text_source(session: Session): Pointer;
    text_loader(session: Session): Pointer;
    text_summary(session: Session): Pointer;
    text_messages(session: Session): Pointer;
    /** From nodes to lines; builds of the core that have it. */
    text_line_map?(session: Session): Pointer;
    version(): Pointer;
    param_count(session: Session): number;
    param_key(session: Session, index: number): Pointer;
    param_dtype(session: Session, index: number): Pointer;
    param_rank(session: Session, index: number): number;
    param_dim(session: Session, index: number, axis: number): number;
    param_size(session: Session, index: number): number;
}

/** What a model lends to the instance while it is loaded. */
export interface Host {
    model: Bytes;
    beside(location: string): Bytes | null;
    /** Takes parts of a weights file. */
    write(bytes: Uint8Array): void;
    copy(location: string | null, offset: number, size: number): void;
    /** Bytes that were read so far. */
    bytesRead: number;
    /** The first exception of one of these functions. */
    failure: unknown;
}

interface OpenFile {
    bytes: Bytes;
    host: Host;
    /** The number of the model's own file. */
    model: number;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** A text for the core, which ends it at the first NUL. */
function encode(text: string): Uint8Array {
    if (text.includes("\0")) throw new TypeError("a text holds a NUL character");
    return encoder.encode(text);
}

export class Instance {
    readonly exports: Exports;
    /** The exception by which it ended; its memory is worth nothing since. */
    ended: unknown = null;
    #files = new Map<number, OpenFile>();
    #lastFile = 0;

    constructor(module: WebAssembly.Module) {
        const instance = new WebAssembly.Instance(module, {
            oxide_xla: {
                read: this.#read,
                open: this.#open,
                write: this.#write,
                copy: this.#copy,
            },
            wasi_snapshot_preview1: { clock_time_get: this.#clock },
        });
        this.exports = instance.exports as unknown as Exports;
        this.exports._initialize();
    }

    /** Bytes of memory that it has taken from the host. It never gives them back. */
    get memorySize(): number {
        return this.exports.memory.buffer.byteLength;
    }

    /** The number of a model's file, by which the core knows the host, too. */
    addModel(host: Host): number {
        return this.#add(host.model, host, this.#lastFile + 1);
    }

    /** Forgets a model's file, and those that were opened beside it. */
    removeModel(model: number): void {
        for (const [number, file] of this.#files)
            if (file.model === model) this.#files.delete(number);
    }

    #add(bytes: Bytes, host: Host, model: number): number {
        this.#files.set(++this.#lastFile, { bytes, host, model });
        return this.#lastFile;
    }

    /**
     * Runs calls of the core. It never throws by itself, so that an exception (a trap, the
     * end of the stack) leaves the instance in an unknown state, and ends it.
     */
    call<T>(work: (exports: Exports) => T): T {
        if (this.ended !== null) throw internal(this.ended);
        try {
            return work(this.exports);
        } catch (error) {
            this.#judge(error);
            throw this.ended === null ? error : internal(this.ended);
        }
    }

    /** Errors of the model and of the caller are thrown on purpose; no others are. */
    #judge(error: unknown): void {
        if (error instanceof CompileError || error instanceof TypeError) return;
        this.ended ??= error ?? new Error("unknown");
    }

    /** Memory of the core that `work` may use, zeroed. */
    withBlock<T>(size: number, work: (block: Pointer) => T): T {
        const block = this.exports.allocate(size + 1);
        if (block === 0) throw new CompileError("memory", OUT_OF_MEMORY);
        try {
            this.#bytes(block, size).fill(0);
            return work(block);
        } catch (error) {
            this.#judge(error);
            throw error;
        } finally {
            if (this.ended === null) this.exports.release(block);
        }
    }

    /** A text with a NUL behind it, while `work` runs. */
    withText<T>(text: string, work: (pointer: Pointer) => T): T {
        const bytes = encode(text);
        return this.withBlock(bytes.length + 1, (block) => {
            this.#bytes(block, bytes.length).set(bytes);
            return work(block);
        });
    }

    /** An array of `List` of exports.c, while `work` runs. */
    withLists<T>(lists: readonly string[][], work: (pointer: Pointer) => T): T {
        const texts = lists.flat().map(encode);
        const heads = lists.length * 8;
        const size = texts.reduce((n, t) => n + t.length + 1, heads + texts.length * 4);
        return this.withBlock(size, (block) => {
            const view = new DataView(this.exports.memory.buffer);
            let pointer = block + heads; // of a text
            let at = pointer + texts.length * 4;
            lists.forEach((list, i) => {
                view.setUint32(block + i * 8, pointer, true);
                view.setUint32(block + i * 8 + 4, list.length, true);
                pointer += list.length * 4;
            });
            texts.forEach((text, i) => {
                view.setUint32(block + heads + i * 4, at, true);
                this.#bytes(at, text.length).set(text);
                at += text.length + 1;
            });
            return work(block);
        });
    }

    /** A copy of bytes of the core. */
    copyOut(pointer: Pointer, size: number): Uint8Array {
        return this.#bytes(pointer, size).slice();
    }

    /** An OxText. */
    text(pointer: Pointer): string {
        const view = new DataView(this.exports.memory.buffer);
        const size = view.getUint32(pointer + 4, true);
        return decoder.decode(this.#bytes(view.getUint32(pointer, true), size));
    }

    /** A text that ends with a NUL. */
    cText(pointer: Pointer): string {
        const memory = new Uint8Array(this.exports.memory.buffer);
        return decoder.decode(memory.subarray(pointer, memory.indexOf(0, pointer)));
    }

    #bytes(pointer: Pointer, size: number): Uint8Array {
        return new Uint8Array(this.exports.memory.buffer, pointer, size);
    }

    // ---- what the core imports -----------------------------------------------------------

    /** Exceptions must not cross the core: they are kept, and it gets `instead`. */
    #guard<T>(file: number, instead: T, work: (open: OpenFile) => T): T {
        const open = this.#files.get(file);
        if (!open) return instead;
        try {
            return work(open);
        } catch (error) {
            open.host.failure ??= error;
            return instead;
        }
    }

    #read = (file: number, offset: number, to: Pointer, size: number): number =>
        this.#guard(file, 0, ({ bytes, host }) => {
            const part = bytes.read(offset, size >>> 0);
            if (part.length > size >>> 0)
                throw new RangeError("more was read than asked for");
            new Uint8Array(this.exports.memory.buffer).set(part, to >>> 0);
            host.bytesRead += part.length;
            return part.length;
        });

    #open = (file: number, location: Pointer, size: Pointer): number =>
        this.#guard(file, 0, ({ host, model }) => {
            const bytes = host.beside(this.cText(location >>> 0));
            if (!bytes) return 0;
            new DataView(this.exports.memory.buffer).setFloat64(
                size >>> 0,
                bytes.size,
                true,
            );
            return this.#add(bytes, host, model);
        });

    #write = (file: number, from: Pointer, size: number): number =>
        this.#guard(file, 0, ({ host }) => {
            host.write(this.copyOut(from >>> 0, size >>> 0));
            return 1;
        });

    #copy = (file: number, location: Pointer, offset: number, size: number): number =>
        this.#guard(file, 0, ({ host }) => {
            host.copy(location ? this.cText(location >>> 0) : null, offset, size);
            return 1;
        });

    /** Of WASI: nanoseconds, for timings. */
    #clock = (_id: number, _precision: bigint, to: Pointer): number => {
        const now = BigInt(Math.round(performance.now() * 1e6));
        new DataView(this.exports.memory.buffer).setBigUint64(to >>> 0, now, true);
        return 0;
    };
}

const OUT_OF_MEMORY = "error[OX0004]: out of memory\n";

function internal(cause: unknown): CompileError {
    const what = cause instanceof Error ? cause.message : String(cause);
    return new CompileError("internal", `error: the compiler failed: ${what}\n`, {
        cause,
    });
}
