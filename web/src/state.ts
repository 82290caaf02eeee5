/** The page's state and all that changes it. */
import type { Options } from "@oxide-xla/compiler";
import type { Selection } from "./graph";
import { changedLines } from "./code/diff";
import { compilerCode, Engine, Failure } from "./model/engine";
import { exampleFile, type Example } from "./model/examples";
import { chooseModel, type Choice, type Found } from "./model/files";
import { readLineMap, type LineMap } from "./model/line_map";
import type { Compiled, MadeUp } from "./model/protocol";
import type { Report } from "./report";
import { createStore } from "./store";
import { strings } from "./strings";

/** How repeated modules are written. */
export type Layers = "functions" | "scan" | "unrolled";
/** How params is keyed. */
export type Params = "flat" | "nested";
/** The format of the weights, if load_params is there. */
export type Weights = "safetensors" | "npz" | "none";

/** The controls of the code pane; shapes by input, as typed. */
export interface Controls {
    layers: Layers;
    params: Params;
    weights: Weights;
    shapes: Record<string, string>;
}

/** What the command line does without options. */
export const DEFAULTS: Controls = {
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

let engine: Engine | null = null;
let found: Found[] = [];
let turn = 0; // counts models, so that what comes late is dropped

const messagesOf = (error: unknown) =>
    error instanceof Failure ? error.messages : `error: ${String(error)}\n`;

/** Shapes as the compiler takes them: "x=1,3,h,w". */
export function shapeOptions(shapes: Record<string, string>): string[] {
    return Object.entries(shapes)
        .filter(([, text]) => text.trim() !== "")
        .map(
            ([name, text]) =>
                `${name}=${text.replace(/[×x\s]+/g, ",").replace(/,+/g, ",")}`,
        );
}

/** The controls as options of the compiler. */
export function optionsOf(controls: Controls): Options {
    const { layers, params, weights } = controls;
    return { layers, params, weights, shapes: shapeOptions(controls.shapes) };
}

/** Forgets the model. */
export function closeModel(): void {
    turn++;
    engine?.close();
    engine = null;
    found = [];
    store.set({
        phase: "empty",
        title: "",
        opened: null,
        report: null,
        compiled: null,
        lineMap: readLineMap(""),
        failure: "",
        compiling: false,
        selection: null,
        lit: new Set(),
        changed: new Set(),
        view: "graph",
    });
}

async function open(opened: Opened): Promise<void> {
    closeModel();
    const mine = new Engine();
    engine = mine;
    store.set({
        phase: "opening",
        title: opened.name,
        opened,
        controls: { ...DEFAULTS },
        notice: "",
    });
    try {
        const wasm = await compilerCode();
        if (engine !== mine) return;
        const { report } = await mine.ask("open", {
            wasm,
            file: opened.file,
            name: opened.name,
            beside: [...opened.beside],
            madeUp: opened.madeUp,
        });
        if (engine !== mine) return;
        store.set({ report: JSON.parse(report) as Report, phase: "open" });
        await compile();
    } catch (error) {
        if (engine === mine) store.set({ phase: "failed", failure: messagesOf(error) });
    }
}

function openChoice(choice: Choice): Promise<void> {
    const { model, others, beside } = choice;
    return open({
        name: model.file.name,
        size: model.file.size,
        file: model.file,
        beside,
        others: others.map((other) => other.path),
        madeUp: null,
    });
}

/**
 * Opens the model among `files`. Without one, they are data files of the model that
 * could not be opened without them.
 */
export async function openFiles(files: Found[]): Promise<void> {
    if (files.length === 0) return;
    const isModel = files.some((f) => /\.onnx$/i.test(f.path));
    const together =
        !isModel && store.get().phase === "failed" && found.length > 0
            ? [...found, ...files]
            : files;
    const choice = chooseModel(together);
    if (!choice) {
        store.set({ notice: strings.noModelIn(files.length) });
        return;
    }
    const opening = openChoice(choice);
    found = together;
    await opening;
}

/** Opens another model of the same drop. */
export async function openOther(path: string): Promise<void> {
    const all = found;
    const choice = chooseModel(all, path);
    if (!choice) return;
    const opening = openChoice(choice);
    found = all;
    await opening;
}

/** Opens a bundled example. */
export async function openExample(example: Example): Promise<void> {
    closeModel();
    const mine = turn;
    store.set({ phase: "opening", title: example.title });
    try {
        const file = await exampleFile(example);
        if (turn !== mine) return;
        const { size } = file;
        await open({
            name: file.name,
            size,
            file,
            beside: new Map(),
            others: [],
            madeUp: example.data,
        });
    } catch (error) {
        if (turn === mine) store.set({ phase: "failed", failure: messagesOf(error) });
    }
}

let again = false;

/** Compiles as the controls say; of changes that come meanwhile only the last counts. */
async function compile(): Promise<void> {
    if (store.get().compiling) {
        again = true;
        return;
    }
    const mine = engine;
    if (!mine) return;
    store.set({ compiling: true });
    let failure = "";
    do {
        again = false;
        const { controls, compiled: before } = store.get();
        try {
            const compiled = await mine.ask("compile", optionsOf(controls));
            if (engine !== mine) return;
            failure = "";
            store.set({
                compiled,
                lineMap: readLineMap(compiled.lineMap),
                changed: before
                    ? changedLines(before.source, compiled.source)
                    : new Set(),
                lit: new Set(),
            });
        } catch (error) {
            if (engine !== mine) return;
            failure = messagesOf(error);
        }
    } while (again);
    store.set({ compiling: false, failure });
}

let shapesSeen = "";

/** Changes controls, and compiles again. */
export function setControls(change: Partial<Controls>): void {
    const controls = { ...store.get().controls, ...change };
    store.set({ controls });
    void compile();
    const shapes = shapeOptions(controls.shapes);
    if (change.shapes && shapes.join() !== shapesSeen) void inspectAgain(shapes);
}

async function inspectAgain(shapes: string[]): Promise<void> {
    const mine = engine;
    shapesSeen = shapes.join();
    try {
        const report = await mine?.ask("inspect", { shapes });
        if (!report || engine !== mine || shapes.join() !== shapesSeen) return;
        store.set({ report: JSON.parse(report) as Report });
    } catch {
        // compile() says what is wrong with the shapes; the old report stays.
    }
}

/** Asks the open model's worker; rejects with a Failure. */
export function ask(): Engine {
    if (!engine) throw new Failure("error: no model is open\n");
    return engine;
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
