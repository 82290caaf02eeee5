/** What the page asks of the compiler's worker, and what it answers. */
import type { Options, Param } from "@oxide-xla/compiler";
import type { Statistics } from "./statistics";

/** Random weights of an example, which the worker makes up as it reads them. */
export interface MadeUp {
    location: string;
    size: number;
}

/** A run of bytes of a weights file: given, or a slice of the model's own files. */
export type Part =
    Uint8Array | { location: string | null; offset: number; size: number };

/** A compiled module. */
export interface Compiled {
    source: string;
    summary: string;
    messages: string;
    params: Param[];
    lineMap: string;
}

/** Each request by its name: what it takes and what it gives. */
export interface Requests {
    /**
     * Loads a model; gives the report of `inspect` as JSON, or null where `wasm` is the core
     * and the model needs the whole compiler.
     */
    open: {
        take: {
            wasm: WebAssembly.Module;
            whole: boolean;
            file: Blob;
            name: string;
            beside: [string, Blob][];
            madeUp: MadeUp | null;
        };
        give: { report: string } | null;
    };
    /** The report with other input shapes. */
    inspect: { take: { shapes: string[] }; give: string };
    compile: { take: Options; give: Compiled };
    /** Statistics of a parameter of the module that was compiled last. */
    statistics: { take: { key: string }; give: Statistics };
    weights: { take: { format: "safetensors" | "npz" }; give: Part[] };
}

/** The name of a request. */
export type RequestName = keyof Requests;

/** A request on its way to the worker. */
export interface Envelope<K extends RequestName = RequestName> {
    id: number;
    name: K;
    take: Requests[K]["take"];
}

/** The worker's answer; `messages` are those of the command line. */
export type Answer =
    | { id: number; ok: true; give: unknown }
    | { id: number; ok: false; messages: string };
