/** Opening models and compiling them: what changes the page's state with a worker's help. */
import { changedLines } from "./code/diff";
import { compilerCode, Engine } from "./model/engine";
import { exampleFile, type Example } from "./model/examples";
import { Failure } from "./model/failure";
import { chooseModel, type Choice, type Found } from "./model/files";
import { readLineMap } from "./model/line_map";
import type { Report } from "./report";
import {
    DEFAULTS,
    optionsOf,
    shapeOptions,
    store,
    type Controls,
    type Opened,
} from "./state";
import { strings } from "./strings";

let engine: Engine | null = null;
let found: Found[] = [];
let turn = 0; // counts models, so that what comes late is dropped

const messagesOf = (error: unknown) =>
    error instanceof Failure ? error.messages : `error: ${String(error)}\n`;

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

/** What the core or the whole compiler reports of a model; null: it is not for the core. */
async function reportOf(
    mine: Engine,
    { file, name, beside, madeUp }: Opened,
    whole: boolean,
): Promise<string | null> {
    if (engine !== mine) return null;
    const wasm = await compilerCode(whole);
    if (engine !== mine) return null;
    const take = { wasm, whole, file, name, beside: [...beside], madeUp };
    return (await mine.ask("open", take))?.report ?? null;
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
        const report =
            (await reportOf(mine, opened, false)) ??
            (await reportOf(mine, opened, true));
        if (engine !== mine || report === null) return;
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
    if (!engine) throw new Failure(strings.noModel);
    return engine;
}
