/** The 3D view: its canvas, its keys, and what it says of the slab that is chosen. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Selection } from "../graph";
import type { Category } from "../graph/categories";
import type { Report } from "../report";
import { strings } from "../strings";
import type { SlabScene } from "./scene";
import { slabsOf, type Slab } from "./slabs";

interface Props {
    report: Report;
    selection: Selection | null;
    onSelect(selection: Selection | null): void;
    theme: "light" | "dark";
    reducedMotion: boolean;
}

const CATEGORIES: Category[] = [
    "conv",
    "linear",
    "attention",
    "norm",
    "activation",
    "pool",
    "math",
    "shape",
    "data",
    "control",
    "module",
];

/** The colours of the page, as CSS has them. */
function readColours(element: HTMLElement) {
    const style = getComputedStyle(element);
    const read = (name: string) => style.getPropertyValue(name).trim();
    const entries = CATEGORIES.map((c) => [c, read(`--solid-${c}`)]);
    return {
        colours: Object.fromEntries(entries) as Record<Category, string>,
        background: read("--canvas"),
        chosen: read("--accent-solid"),
    };
}

function Legend({ slabs }: { slabs: Slab[] }) {
    const there = CATEGORIES.filter((c) => slabs.some((slab) => slab.category === c));
    return (
        <ul class="legend" aria-label={strings.threeLegend}>
            {there.map((category) => (
                <li key={category} class={`k-${category}`}>
                    {category}
                </li>
            ))}
        </ul>
    );
}

/** Keeps a scene of the slabs in the canvas. */
function useScene(props: Props, slabs: Slab[]) {
    const { reducedMotion, theme, onSelect } = props;
    const canvas = useRef<HTMLCanvasElement>(null);
    const [scene, setScene] = useState<SlabScene | null>(null);
    const [failed, setFailed] = useState(false);
    const [hover, setHover] = useState<{ index: number; x: number; y: number } | null>(
        null,
    );
    useEffect(() => {
        let live = true;
        let made: SlabScene | null = null;
        import("./scene")
            .then(({ makeScene }) => {
                if (!live) return;
                made = makeScene(canvas.current!, slabs, !reducedMotion, {
                    onHover: (index, x, y) =>
                        setHover(index === null ? null : { index, x, y }),
                    onPick: (index) =>
                        onSelect(
                            index === null
                                ? null
                                : { kind: "node", node: slabs[index]!.node },
                        ),
                });
                setScene(made);
            })
            .catch(() => live && setFailed(true));
        return () => {
            live = false;
            made?.dispose();
            setScene(null);
        };
    }, [slabs, reducedMotion]);
    useEffect(() => {
        if (!scene || !canvas.current) return;
        const { colours, background, chosen } = readColours(canvas.current);
        scene.colours(colours, background, chosen);
    }, [scene, theme]);
    return { canvas, scene, failed, hover };
}

/** The pane: canvas, label, legend. */
export function ThreePane(props: Props) {
    const { report, selection, onSelect } = props;
    const slabs = useMemo(() => slabsOf(report), [report]);
    const { canvas, scene, failed, hover } = useScene(props, slabs);
    const chosen =
        selection?.kind === "node"
            ? slabs.findIndex((s) => s.node === selection.node)
            : -1;
    useEffect(() => scene?.choose(chosen < 0 ? null : chosen), [scene, chosen]);
    const walk = (by: number) => {
        const slab = slabs[Math.min(Math.max(chosen + by, 0), slabs.length - 1)];
        if (slab) onSelect({ kind: "node", node: slab.node });
    };
    const onKeyDown = (event: KeyboardEvent) => {
        const turns: Record<string, [number, number, number]> = {
            ArrowLeft: [-0.12, 0, 1],
            ArrowRight: [0.12, 0, 1],
            ArrowUp: [0, 0.1, 1],
            ArrowDown: [0, -0.1, 1],
            "+": [0, 0, 1.15],
            "=": [0, 0, 1.15],
            "-": [0, 0, 1 / 1.15],
        };
        const turn = turns[event.key];
        if (turn) scene?.turn(...turn);
        else if (event.key === "PageDown") walk(1);
        else if (event.key === "PageUp") walk(-1);
        else if (event.key === "Home") scene?.reset();
        else return;
        event.preventDefault();
    };
    if (failed) return <p class="quiet waiting">{strings.noWebGl}</p>;
    const shown = slabs[hover?.index ?? chosen];
    return (
        <div class="three">
            <canvas
                ref={canvas}
                tabIndex={0}
                role="application"
                aria-label={`${strings.threeLabel}. ${strings.threeHelp}`}
                data-ready={scene ? "" : undefined}
                onKeyDown={onKeyDown}
            />
            {!scene && <p class="quiet waiting">{strings.threeLoading}…</p>}
            <p class="three-label" role="status">
                {shown && (
                    <>
                        <b>{shown.label}</b> <code>{shown.type}</code>
                    </>
                )}
            </p>
            <div class="three-foot">
                <Legend slabs={slabs} />
                <span class="quiet">
                    {strings.threeSlabs(slabs.length, report.nodes.length)}
                </span>
                <button
                    type="button"
                    class="button small"
                    onClick={() => scene?.reset()}
                >
                    {strings.resetView}
                </button>
            </div>
        </div>
    );
}
