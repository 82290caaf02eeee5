/** What both builds of the package, for browsers and for Node, export. */
export { memoryBytes } from "./bytes.js";
export type { Bytes } from "./bytes.js";
export { Compiler, Model } from "./compiler.js";
export type {
    InspectOptions,
    LoadOptions,
    Options,
    Param,
    Part,
    Result,
    Slice,
    WasmSource,
} from "./compiler.js";
export { coreIsEnough } from "./core.js";
export { CompileError, parseMessages } from "./errors.js";
export type { Diagnostic, Status } from "./errors.js";
export { weightsBlob } from "./quick.js";
export type { Compiled, QuickOptions } from "./quick.js";
