/** The page's state, and what changes it without the compiler (session.ts has the rest). */
import type { Options } from "@oxide-xla/compiler";
import type { Selection } from "./graph";
import { readLineMap, type LineMap } from "./model/line_map";
import type { Compiled, MadeUp } from "./model/protocol";
import type { Report } from "./report";
import { createStore } from "./store";

/** How repeated modules are written. */
export type Layers = "functions" | "scan" | "unrolled";
/** How params is keyed. */
export type Params = "flat" | "nested";
/** What is generated: the module, or what JAX lowers it to. */
export type Target = "jax" | "stablehlo";
/** Where the weights go: a file of that format, constants of the StableHLO, nowhere. */
export type Weights = "safetensors" | "npz" | "inline" | "none";

/** The controls of the code pane; shapes by input, as typed. */
export interface Controls {
    target: Target;
    layers: Layers;
    params: Params;
    weights: Weights;
    shapes: Record<string, string>;
}

/** What the command line does without options. */
export const DEFAULTS: Controls = {
    target: "jax",
    layers: "functions",
    params: "flat",
    weights: "safetensors",
    shapes: {},
};

/** A model that is open. */
export interface Opened {
    name: string;
    size: number;
    file: Blob;
    beside: Map<string, Blob>;
    others: string[];
    madeUp: MadeUp | null;
}

/** What a tab shows. */
export type View = "graph" | "three" | "code" | "report";
/** The colours of the page. */
export type Theme = "light" | "dark";

/** All that components read. */
export interface State {
    phase: "empty" | "opening" | "open" | "failed";
    /** What is being opened, or was tried. */
    title: string;
    opened: Opened | null;
    report: Report | null;
    compiled: Compiled | null;
    lineMap: LineMap;
    controls: Controls;
    compiling: boolean;
    /** Messages of what failed last; "" when nothing did. */
    failure: string;
    /** Lines (from 1) that the last change of controls changed. */
    changed: ReadonlySet<number>;
    selection: Selection | null;
    /** Nodes of the line that the code's cursor is on. */
    lit: ReadonlySet<number>;
    view: View;
    theme: Theme;
    notice: string;
}

/** The one store of the page. */
export const store = createStore<State>({
    phase: "empty",
    title: "",
    opened: null,
    report: null,
    compiled: null,
    lineMap: readLineMap(""),
    controls: DEFAULTS,
    compiling: false,
    failure: "",
    changed: new Set(),
    selection: null,
    lit: new Set(),
    view: "graph",
    theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light",
    notice: "",
});

/** Shapes as the compiler takes them: "x=1,3,h,w". */
export function shapeOptions(shapes: Record<string, string>): string[] {
    return Object.entries(shapes)
        .filter(([, text]) => text.trim() !== "")
        .map(
            ([name, text]) =>
                `${name}=${text.replace(/[×x\s]+/g, ",").replace(/,+/g, ",")}`,
        );
}

/** The weights that each target takes. */
export const WEIGHTS_OF: Readonly<Record<Target, readonly Weights[]>> = {
    jax: ["safetensors", "npz", "none"],
    stablehlo: ["safetensors", "inline", "none"],
};

/** The change to another target; weights that it does not take become a file. */
export function toTarget(target: Target, { weights }: Controls): Partial<Controls> {
    const fits = WEIGHTS_OF[target].includes(weights);
    return { target, weights: fits ? weights : "safetensors" };
}

/** What `load_params` of the module reads; for StableHLO it is the module that is lowered. */
export const moduleWeights = ({ weights }: Controls) =>
    weights === "inline" ? "safetensors" : weights;

/** The controls as options of the compiler. */
export function optionsOf(controls: Controls): Options {
    const { target, layers, params } = controls;
    return {
        layers,
        params: target === "jax" ? params : DEFAULTS.params,
        weights: moduleWeights(controls),
        shapes: shapeOptions(controls.shapes),
    };
}

/** Selects a node, a module or a value; null: nothing. */
export function select(selection: Selection | null): void {
    store.set({ selection, lit: new Set() });
}

/** Chooses what a narrow screen shows, and what the tabs of a wide one do. */
export function show(view: View): void {
    store.set({ view });
}

/** Sets the colours, and remembers them where the browser lets it. */
export function setTheme(theme: Theme): void {
    store.set({ theme });
    document.documentElement.dataset.theme = theme;
    try {
        localStorage.setItem("oxide-xla-theme", theme);
    } catch {
        // Storage may be forbidden; the choice then lasts as long as the page.
    }
}

/** The colours that were chosen before, or else the system's. */
export function restoreTheme(): void {
    let theme = store.get().theme;
    try {
        const kept = localStorage.getItem("oxide-xla-theme");
        if (kept === "light" || kept === "dark") theme = kept;
    } catch {
        // As above.
    }
    store.set({ theme });
    document.documentElement.dataset.theme = theme;
}
