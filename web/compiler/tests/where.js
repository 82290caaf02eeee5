/** Paths of the checkout, and the package as it was built. */
import { fileURLToPath } from "node:url";

/** @param {string} path from the root of the checkout */
export const root = (path) =>
    fileURLToPath(new URL(`../../../${path}`, import.meta.url));

export const PROGRAM = process.env.OXIDE_XLA ?? root("build/oxide_xla");
export const WASM = root("web/compiler/dist/oxide_xla.wasm");
export const CORE = root("web/compiler/dist/oxide_xla_core.wasm");
