/** The options of `oxide_xla compile` as controls; each change compiles at once. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Choice } from "../app/Tabs";
import type { ReportValue } from "../report";
import { setControls } from "../session";
import {
    DEFAULTS,
    shapeOptions,
    store,
    toTarget,
    WEIGHTS_OF,
    type Controls,
    type Weights,
} from "../state";
import { useStore } from "../store";
import { strings } from "../strings";

/** The command that does the same. */
export function commandLine(file: string, controls: Controls): string {
    const words = ["oxide_xla", "compile", quoted(file)];
    for (const name of ["target", "layers", "params", "weights"] as const) {
        if (name === "params" && controls.target !== "jax") continue;
        if (controls[name] !== DEFAULTS[name]) words.push(`--${name}`, controls[name]);
    }
    for (const shape of shapeOptions(controls.shapes))
        words.push("--shape", quoted(shape));
    return words.join(" ");
}

const quoted = (word: string) =>
    /^[\w.,=/+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

function ShapeField({ input }: { input: ReportValue }) {
    const controls = useStore(store, (s) => s.controls);
    const given = controls.shapes[input.name] ?? "";
    const [text, setText] = useState(given);
    // Not when the field appears: effects run late, and what was typed by then would go.
    const known = useRef(given);
    useEffect(() => {
        if (known.current !== given) setText(given);
        known.current = given;
    }, [given]);
    useEffect(() => {
        if (text === given) return;
        const timer = setTimeout(() => {
            const shapes = { ...store.get().controls.shapes, [input.name]: text };
            setControls({ shapes });
        }, 350);
        return () => clearTimeout(timer);
    }, [text]);
    return (
        <label class="shape">
            <span>{input.name}</span>
            <input
                type="text"
                spellcheck={false}
                autocomplete="off"
                aria-label={strings.shapeOf(input.name)}
                title={strings.shapeHint}
                placeholder={(input.shape ?? []).map((dim) => dim ?? "?").join(",")}
                value={text}
                onInput={(event) => setText(event.currentTarget.value)}
            />
        </label>
    );
}

function Shapes() {
    const report = useStore(store, (s) => s.report);
    const inputs = report?.inputs.filter((input) => input.kind === "tensor") ?? [];
    return (
        <fieldset class="shapes">
            <legend>{strings.shapes}</legend>
            {inputs.map((input) => (
                <ShapeField key={input.name} input={input} />
            ))}
            <p class="quiet">{strings.shapeHint}</p>
        </fieldset>
    );
}

/** What makes StableHLO, since a browser cannot. */
function StableHlo({ command }: { command: string }) {
    return (
        <section class="target-note" aria-label={strings.targetOf.stablehlo}>
            <p>{strings.stablehloWhy}</p>
            <pre class="usage" tabIndex={0}>
                {`pip install 'oxide_xla[stablehlo]'\n`}
                <code>{command}</code>
            </pre>
            <p class="quiet">{strings.stablehloBelow}</p>
        </section>
    );
}

/** The texts of the weights that the target takes. */
function weightsTexts({ target }: Controls): Record<Weights, string> {
    const texts = WEIGHTS_OF[target].map((w) => [w, strings.weightsOf[w]]);
    return Object.fromEntries(texts) as Record<Weights, string>;
}

/** The row of controls, the shapes below it, and the command line. */
export function Options() {
    const controls = useStore(store, (s) => s.controls);
    const opened = useStore(store, (s) => s.opened);
    const [open, setOpen] = useState(false);
    const given = shapeOptions(controls.shapes).length;
    const command = commandLine(opened?.name ?? "model.onnx", controls);
    return (
        <div class="options" role="group" aria-label={strings.options}>
            <div class="options-row">
                <Choice
                    label={strings.target}
                    options={strings.targetOf}
                    titles={strings.targetWhy}
                    current={controls.target}
                    onChange={(target) => setControls(toTarget(target, controls))}
                />
                <Choice
                    label={strings.layers}
                    options={strings.layersOf}
                    titles={strings.layersWhy}
                    current={controls.layers}
                    onChange={(layers) => setControls({ layers })}
                />
                {controls.target === "jax" && (
                    <Choice
                        label={strings.params}
                        options={strings.paramsOf}
                        titles={strings.paramsWhy}
                        current={controls.params}
                        onChange={(params) => setControls({ params })}
                    />
                )}
                <Choice
                    label={strings.weights}
                    options={weightsTexts(controls)}
                    titles={strings.weightsWhy}
                    current={controls.weights}
                    onChange={(weights) => setControls({ weights })}
                />
                <button
                    type="button"
                    class="button small"
                    aria-expanded={open}
                    onClick={() => setOpen(!open)}
                >
                    {strings.shapes}
                    {given > 0 && <span class="badge">{given}</span>}
                </button>
            </div>
            {open && <Shapes />}
            {controls.target === "jax" ? (
                <p class="command" title={strings.commandLine}>
                    <span class="unseen">{strings.commandLine}: </span>
                    <span aria-hidden="true">$ </span>
                    <code>{command}</code>
                </p>
            ) : (
                <StableHlo command={command} />
            )}
        </div>
    );
}
