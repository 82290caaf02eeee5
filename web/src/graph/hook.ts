/**
 * For tests: the element with data-testid="graph" has the property `graphHook`.
 *
 * ```js
 * const hook = document.querySelector("[data-testid=graph]").graphHook;
 * await hook.settled();
 * const conv = hook.boxes().find((box) => box.title === "Conv");
 * ```
 *
 * Other elements: graph-canvas, graph-live (what is selected, in words), graph-minimap,
 * graph-search, graph-search-results, graph-tooltip, breadcrumbs, module-tree,
 * tree-toggle, zoom-in, zoom-out, zoom-all, open-all, close-all.  The graph has
 * data-busy="true" while a layout is waited for.
 */
import { type GraphModel, groupOfPath } from "./model";
import type { Box } from "./scene";
import type { FrameStats, Stage } from "./stage";

/** A box on the screen; px from the corner of the canvas. */
export interface HookBox {
    type: Box["type"];
    title: string;
    /** Path of the module of a group; name of a node, an input, an output. */
    name: string;
    /** Index of the node in the report; -1 for other boxes. */
    node: number;
    run: number;
    x: number;
    y: number;
    w: number;
    h: number;
}

/** See the head of this file. */
export interface GraphHook {
    boxes(): HookBox[];
    counts(): { boxes: number; wires: number; stubs: number };
    /** Opens or closes the group of a module path, as a click on its toggle does. */
    toggle(path: string): void;
    openAll(): void;
    closeAll(): void;
    camera(): { x: number; y: number; zoom: number };
    moveTo(view: { x: number; y: number; zoom: number }): void;
    /** Whole: all of it; otherwise what is legible. */
    showAll(whole: boolean): void;
    stats(): FrameStats;
    resetStats(): void;
    /** When layout, animations and flights are over. */
    settled(): Promise<void>;
}

/** What the hook needs of the view. */
export interface HookTarget {
    stage(): Stage | null;
    model(): GraphModel;
    waiting(): boolean;
    toggle(group: number): void;
    openAll(): void;
    closeAll(): void;
}

function hookBox(stage: Stage, model: GraphModel, box: Box): HookBox {
    const { x, y, zoom } = stage.camera.view;
    const group = model.groups[box.group]!;
    const entity = box.entity >= 0 ? model.entities[box.entity]! : null;
    return {
        type: box.type,
        title: entity ? entity.title : group.title,
        name: entity ? entity.name : group.path,
        node: box.type === "op" ? box.entity : -1,
        run: entity ? 1 : group.run,
        x: box.x * zoom + x,
        y: box.y * zoom + y,
        w: box.w * zoom,
        h: box.h * zoom,
    };
}

/** Makes the hook of a view. */
export function makeHook(target: HookTarget): GraphHook {
    const stage = (): Stage => {
        const s = target.stage();
        if (!s) throw new Error("the graph is not there yet");
        return s;
    };
    return {
        boxes: () => {
            const s = stage();
            return s.scene.boxes.map((box) => hookBox(s, target.model(), box));
        },
        counts: () => {
            const { boxes, wires, stubs } = stage().scene;
            return { boxes: boxes.length, wires: wires.length, stubs: stubs.length };
        },
        toggle: (path) => target.toggle(groupOfPath(target.model(), path)),
        openAll: () => target.openAll(),
        closeAll: () => target.closeAll(),
        camera: () => ({ ...stage().camera.view }),
        moveTo: (view) => {
            stage().camera.jump(view);
            stage().invalidate();
        },
        showAll: (whole) => stage().showAll(whole),
        stats: () => stage().stats,
        resetStats: () => {
            stage().stats.draws.length = 0;
            stage().stats.gaps.length = 0;
        },
        settled: () => settled(target),
    };
}

async function settled(target: HookTarget): Promise<void> {
    for (let quiet = 0; quiet < 3;) {
        await new Promise((done) => setTimeout(done, 30));
        const stage = target.stage();
        const busy =
            !stage ||
            target.waiting() ||
            stage.camera.moving ||
            stage.unfolding ||
            stage.width <= 1;
        quiet = busy ? 0 : quiet + 1;
    }
}
