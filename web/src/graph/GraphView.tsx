/** The graph of a model, with its tree, search, path and overview. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Report } from "../report";
import { Breadcrumbs } from "./Breadcrumbs";
import { Controller, type Selection } from "./controller";
import type { GraphHook } from "./hook";
import { buildModel, type GraphModel } from "./model";
import { ModuleTree, type TreeItem } from "./ModuleTree";
import { firstOpen } from "./scene";
import { SearchBox } from "./SearchBox";
import { graphStrings } from "../strings";
import { Toolbar } from "./Toolbar";
import { Tooltip, type TooltipHandle } from "./Tooltip";
import "./graph.css";

/** What the page gives. */
export interface GraphViewProps {
    report: Report;
    selection: Selection | null;
    onSelect(selection: Selection | null): void;
    theme: "light" | "dark";
    /** Nodes to be marked. */
    highlight?: Set<number>;
    reducedMotion: boolean;
}

/** Pages up to this width, in px, have the tree over the graph. */
const NARROW = 760;

type HookElement = HTMLElement & { graphHook?: GraphHook };

/** The item of the tree that is, or shows, the selection. */
function treeItem(
    model: GraphModel,
    selection: Selection | null,
    group: number,
): TreeItem | null {
    const alone = selection?.kind === "node" && model.entities[selection.node]?.alone;
    if (alone) return ~selection.node;
    return group > 0 ? group : null;
}

/** Follows the size of the canvas. */
function watchSize(canvas: HTMLCanvasElement, controller: Controller): () => void {
    const measure = (): void => {
        const { clientWidth, clientHeight } = canvas;
        if (clientWidth > 0) {
            controller.stage.resize(clientWidth, clientHeight, devicePixelRatio);
        }
    };
    const observer = new ResizeObserver(measure);
    observer.observe(canvas);
    measure();
    return () => observer.disconnect();
}

/** See GraphViewProps. */
export function GraphView(props: GraphViewProps) {
    const { report, selection, theme, highlight, reducedMotion } = props;
    const generation = useRef(0);
    const model = useMemo(() => {
        generation.current++;
        return buildModel(report);
    }, [report]);
    const opened = useMemo(() => firstOpen(model), [model]);
    const canvas = useRef<HTMLCanvasElement>(null);
    const minimap = useRef<HTMLCanvasElement>(null);
    const root = useRef<HookElement>(null);
    const search = useRef<HTMLInputElement>(null);
    const onSelect = useRef(props.onSelect);
    onSelect.current = props.onSelect;
    const [controller, setController] = useState<Controller | null>(null);
    const tooltip = useRef<TooltipHandle>(null);
    const [told, setTold] = useState({ model, words: "", group: 0 });
    // What a controller said of another model is void.
    const shown = told.model === model ? told : { words: "", group: 0 };
    const [busy, setBusy] = useState(false);
    const [treeShown, setTreeShown] = useState(() => innerWidth > NARROW);

    useEffect(() => {
        const made = new Controller(model, report, canvas.current!, minimap.current, {
            onSelect: (s) => onSelect.current(s),
            onHover: (said, x, y) => tooltip.current?.show(said, x, y),
            onShown: (words, group) => setTold({ model, words, group }),
            onBusy: setBusy,
        });
        const unwatch = watchSize(canvas.current!, made);
        root.current!.graphHook = made.hook;
        setController(made);
        return () => {
            unwatch();
            made.dispose();
        };
    }, [model, report]);
    useEffect(() => {
        if (controller) controller.stage.theme = theme;
    }, [controller, theme]);
    useEffect(() => {
        if (controller) controller.stage.reducedMotion = reducedMotion;
    }, [controller, reducedMotion]);
    useEffect(() => controller?.setSelection(selection), [controller, selection]);
    useEffect(() => controller?.setHighlight(highlight), [controller, highlight]);

    const hasModules = useMemo(
        () => model.groups.length > 1 || model.entities.some((entity) => entity.alone),
        [model],
    );
    const pick = (item: TreeItem): void => {
        if (item >= 0) {
            controller?.selectGroup(item);
            controller?.goToGroup(item);
        } else {
            controller?.selectEntity(~item);
            controller?.goToEntity(~item);
        }
    };
    const onKeyDown = (event: KeyboardEvent): void => {
        if (event.key !== "/" || event.target === search.current) return;
        search.current?.focus();
        event.preventDefault();
    };
    return (
        <section
            class="oxg"
            data-theme={theme}
            data-testid="graph"
            data-busy={busy}
            aria-label={graphStrings.graph}
            ref={root}
            onKeyDown={onKeyDown}
        >
            <div class="oxg-bar">
                {hasModules && (
                    <button
                        type="button"
                        class="oxg-button"
                        aria-pressed={treeShown}
                        aria-label={graphStrings.treeToggle}
                        title={graphStrings.treeToggle}
                        data-testid="tree-toggle"
                        onClick={() => setTreeShown(!treeShown)}
                    >
                        ☰
                    </button>
                )}
                <Breadcrumbs
                    model={model}
                    name={report.model.name || report.model.graph}
                    selection={selection}
                    group={shown.group}
                    onGroup={(group) =>
                        group > 0 ? pick(group) : controller?.stage.showAll(true)
                    }
                />
                <SearchBox
                    key={generation.current}
                    model={model}
                    report={report}
                    input={search}
                    onPick={(found) =>
                        pick(found.kind === "group" ? found.id : ~found.id)
                    }
                />
            </div>
            <div class="oxg-body">
                {treeShown && hasModules && (
                    <ModuleTree
                        key={generation.current}
                        model={model}
                        selected={treeItem(model, selection, shown.group)}
                        expanded={opened}
                        onPick={(item) => {
                            pick(item);
                            if (innerWidth <= NARROW) setTreeShown(false);
                        }}
                    />
                )}
                <div class="oxg-stage">
                    <canvas
                        ref={canvas}
                        class="oxg-canvas"
                        tabIndex={0}
                        role="application"
                        aria-roledescription={graphStrings.canvasRole}
                        aria-label={`${graphStrings.graph}. ${graphStrings.canvasHelp}`}
                        data-testid="graph-canvas"
                    />
                    <div class="oxg-hidden" aria-live="polite" data-testid="graph-live">
                        {shown.words}
                    </div>
                    {busy && <p class="oxg-busy">{graphStrings.laying}</p>}
                    <Tooltip handle={tooltip} />
                    <Toolbar controller={controller} />
                    <canvas
                        ref={minimap}
                        class="oxg-minimap"
                        aria-hidden="true"
                        title={graphStrings.minimap}
                        data-testid="graph-minimap"
                        onPointerDown={(event) => {
                            event.currentTarget.setPointerCapture(event.pointerId);
                            controller?.stage.minimapTo(event.offsetX, event.offsetY);
                        }}
                        onPointerMove={(event) => {
                            if (!event.buttons) return;
                            controller?.stage.minimapTo(event.offsetX, event.offsetY);
                        }}
                    />
                </div>
            </div>
        </section>
    );
}
