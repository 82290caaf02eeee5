/**
 * The canvas: a scene, a camera, what is selected and under the pointer, and the
 * animation of what opens and closes.  Knows nothing of the page around it.
 */
import { Camera, ease, fit, fitLegibly, type Rect, type View } from "./camera";
import { draw, type Frame } from "./draw";
import { type Hit, hitTest, SceneIndex } from "./hit";
import { drawMinimap, minimapToWorld, type Minimap } from "./minimap";
import type { GraphModel } from "./model";
import type { Box, Scene } from "./scene";
import { TextCache } from "./text";
import { themeOf } from "./theme";

/** What the stage tells the page. */
export interface StageEvents {
    onSelect(hit: Hit): void;
    onToggle(group: number): void;
    onHover(hit: Hit, x: number, y: number): void;
    /** After frames that moved the view. */
    onView(): void;
}

/** Times of frames since the last reset, in ms of drawing. */
export interface FrameStats {
    draws: number[];
    gaps: number[];
}

const UNFOLD_MS = 300;
const EMPTY: Scene = { boxes: [], wires: [], stubs: [], width: 0, height: 0 };

interface Unfold {
    from: Float64Array;
    old: Uint8Array;
    start: number;
}

/** See the head of this file. */
export class Stage {
    readonly camera = new Camera();
    readonly stats: FrameStats = { draws: [], gaps: [] };
    scene: Scene = EMPTY;
    index: SceneIndex;
    width = 1;
    height = 1;
    selected = -1;
    selectedValue = -1;
    hover: Hit = { kind: "none" };
    marked: ReadonlySet<number> = new Set();
    focused = false;
    #theme = themeOf("light");
    #ratio = 1;
    #text = new TextCache();
    #rects = new Float64Array(0);
    #ends = new Float64Array(0);
    #unfold: Unfold | null = null;
    #frame = 0;
    #last = 0;
    #ctx: CanvasRenderingContext2D;

    constructor(
        readonly canvas: HTMLCanvasElement,
        private readonly minimap: Minimap | null,
        readonly model: GraphModel,
        readonly events: StageEvents,
    ) {
        this.#ctx = canvas.getContext("2d", { alpha: false })!;
        this.index = new SceneIndex(model, EMPTY);
        void document.fonts?.ready.then(() => {
            this.#text.clear();
            this.invalidate();
        });
    }

    set theme(name: "light" | "dark") {
        this.#theme = themeOf(name);
        this.invalidate();
    }

    set reducedMotion(value: boolean) {
        this.camera.reducedMotion = value;
    }

    get unfolding(): boolean {
        return this.#unfold !== null;
    }

    resize(width: number, height: number, ratio: number): void {
        if (width === this.width && height === this.height && ratio === this.#ratio)
            return;
        const first = this.width === 1;
        this.width = width;
        this.height = height;
        this.#ratio = ratio;
        this.canvas.width = Math.round(width * ratio);
        this.canvas.height = Math.round(height * ratio);
        if (first && this.scene !== EMPTY) this.showAll(false);
        this.invalidate();
    }

    /** Shows a scene; `anchor` is the group that was opened or closed, -1: all is new. */
    setScene(scene: Scene, anchor: number): void {
        const before = { scene: this.scene, rects: this.#rects, index: this.index };
        const first = this.scene === EMPTY;
        this.scene = scene;
        this.index = new SceneIndex(this.model, scene);
        this.hover = { kind: "none" };
        this.#ends = Float64Array.from(
            scene.boxes.flatMap((b) => [b.x, b.y, b.w, b.h]),
        );
        const all = fit(this.#all(), this.width, this.height);
        this.camera.zoomMin = Math.min(0.2, all.zoom * 0.8);
        if (first) {
            this.#rects = this.#ends;
            this.showAll(false);
        } else this.#startUnfold(before, anchor);
        this.invalidate();
    }

    #startUnfold(
        before: { scene: Scene; rects: Float64Array; index: SceneIndex },
        anchor: number,
    ): void {
        const from = this.#ends.slice();
        const old = new Uint8Array(this.scene.boxes.length);
        this.scene.boxes.forEach((box, b) => {
            const own =
                box.entity >= 0
                    ? before.index.ofEntity[box.entity]!
                    : before.index.ofGroup[box.group]!;
            const source = own >= 0 ? own : before.index.boxOfGroup(box.group);
            if (own >= 0) old[b] = 1;
            if (source < 0) return;
            for (let k = 0; k < 4; k++) from[4 * b + k] = before.rects[4 * source + k]!;
        });
        const box = anchor >= 0 ? this.index.boxOfGroup(anchor) : -1;
        if (this.camera.reducedMotion) {
            this.#rects = this.#ends;
            this.#unfold = null;
        } else {
            this.#rects = from.slice();
            this.#unfold = { from, old, start: performance.now() };
        }
        if (box >= 0) this.#follow(box, from);
    }

    /** Keeps the top of a box where it is, or shows the box where it does not fit. */
    #follow(b: number, from: Float64Array): void {
        const { camera } = this;
        const end = this.scene.boxes[b]!;
        const { view } = camera;
        const sx = (from[4 * b]! + from[4 * b + 2]! / 2) * view.zoom + view.x;
        const sy = from[4 * b + 1]! * view.zoom + view.y;
        const still = {
            zoom: view.zoom,
            x: sx - (end.x + end.w / 2) * view.zoom,
            y: sy - end.y * view.zoom,
        };
        const bottom = (end.y + end.h) * still.zoom + still.y;
        const wide = end.w * still.zoom > this.width - 40;
        const fits = sy > 10 && bottom < this.height - 10 && !wide && still.zoom > 0.5;
        const open = end.type === "open";
        const to = fits || !open ? still : fitLegibly(end, this.width, this.height);
        camera.fly(to, performance.now());
    }

    #all(): Rect {
        return { x: 0, y: 0, w: this.scene.width, h: this.scene.height };
    }

    /** Shows the whole scene; at first what is legible of it. */
    showAll(whole: boolean): void {
        const { width, height, camera } = this;
        const rect = this.#all();
        if (whole) camera.fly(fit(rect, width, height), performance.now());
        else camera.jump(this.#opening(fitLegibly(rect, width, height, 0.55, 1.05)));
        this.invalidate();
    }

    /** A view, moved to where the graph begins if it is too wide for it. */
    #opening(view: View): View {
        const { boxes, width } = this.scene;
        if (width * view.zoom <= this.width) return view;
        const top = boxes.filter((box) => box.parent < 0).sort((a, b) => a.y - b.y);
        const box = top.find(({ type }) => type === "input") ?? top[0];
        if (!box) return view;
        return { ...view, x: this.width / 2 - (box.x + box.w / 2) * view.zoom };
    }

    /** Brings a box into view, legibly. */
    reveal(b: number, always: boolean): void {
        const box = this.scene.boxes[b];
        if (!box) return;
        const view = this.camera.target;
        const x = box.x * view.zoom + view.x;
        const y = box.y * view.zoom + view.y;
        const h = box.type === "open" ? 40 : box.h;
        const margin = 30;
        const inside =
            x > margin &&
            y > margin &&
            x + box.w * view.zoom < this.width - margin &&
            y + h * view.zoom < this.height - margin;
        if (inside && view.zoom > 0.45 && !always) return;
        const zoom = Math.max(0.8, Math.min(1.2, view.zoom));
        const to =
            box.type === "open"
                ? fitLegibly(box, this.width, this.height)
                : {
                      zoom,
                      x: this.width / 2 - (box.x + box.w / 2) * zoom,
                      y: this.height / 2 - (box.y + box.h / 2) * zoom,
                  };
        this.camera.fly(to, performance.now());
        this.invalidate();
    }

    hitAt(px: number, py: number): Hit {
        const { x, y } = this.camera.toWorld(px, py);
        return hitTest(this.scene, x, y, 1 / this.camera.view.zoom);
    }

    /** The box nearest to the middle of the view; -1 without boxes. */
    nearest(): number {
        const { x, y } = this.camera.toWorld(this.width / 2, this.height / 2);
        let found = -1;
        let least = Infinity;
        this.scene.boxes.forEach((box, b) => {
            if (box.type === "open") return;
            const d = Math.hypot(box.x + box.w / 2 - x, box.y + box.h / 2 - y);
            if (d < least) [least, found] = [d, b];
        });
        return found;
    }

    /** The neighbour of a box in a direction: along edges, or beside it. */
    neighbour(b: number, dx: number, dy: number): number {
        const from = this.scene.boxes[b];
        if (!from) return this.nearest();
        if (from.type === "open") return dy > 0 ? this.#firstInside(b) : b;
        const middle = (box: Box): number => box.x + box.w / 2;
        const off = (c: number): number =>
            Math.abs(middle(this.scene.boxes[c]!) - middle(from));
        if (dy !== 0) {
            const list = (dy > 0 ? this.index.after : this.index.before)[b]!;
            return list.slice().sort((p, q) => off(p) - off(q) || p - q)[0] ?? b;
        }
        const beside = this.scene.boxes.flatMap((box, c) => {
            const apart = Math.abs(box.y + box.h / 2 - from.y - from.h / 2);
            const side = Math.sign(middle(box) - middle(from)) === dx;
            return c !== b && box.type !== "open" && side && apart < 60 ? [c] : [];
        });
        return beside.sort((p, q) => off(p) - off(q))[0] ?? b;
    }

    #firstInside(b: number): number {
        const inside = this.scene.boxes.findIndex((box) => box.parent === b);
        return inside < 0 ? b : inside;
    }

    setHover(hit: Hit, x: number, y: number): void {
        const same = JSON.stringify(hit) === JSON.stringify(this.hover);
        this.hover = hit;
        this.events.onHover(hit, x, y);
        if (!same) this.invalidate();
    }

    /** Draws with the next frame. */
    invalidate(): void {
        if (this.#frame === 0)
            this.#frame = requestAnimationFrame((t) => this.#tick(t));
    }

    dispose(): void {
        cancelAnimationFrame(this.#frame);
        this.#frame = -1;
    }

    #tick(now: number): void {
        this.#frame = 0;
        const gap = now - this.#last;
        if (gap < 500) this.stats.gaps.push(gap);
        this.#last = now;
        const moving = this.camera.moving;
        this.camera.step(performance.now(), Math.min(50, gap));
        const progress = this.#stepUnfold();
        const start = performance.now();
        draw(this.#makeFrame(progress));
        if (this.minimap)
            drawMinimap(this.minimap, this.model, this.scene, this.#theme, this);
        this.stats.draws.push(performance.now() - start);
        if (this.stats.draws.length > 5000) this.stats.draws.length = 0;
        if (this.stats.gaps.length > 5000) this.stats.gaps.length = 0;
        if (moving) this.events.onView();
        if (this.camera.moving || this.#unfold) this.invalidate();
    }

    #stepUnfold(): number {
        const unfold = this.#unfold;
        if (!unfold) return 1;
        const t = Math.min(1, (performance.now() - unfold.start) / UNFOLD_MS);
        const e = ease(t);
        for (let i = 0; i < this.#rects.length; i++) {
            this.#rects[i] = unfold.from[i]! + (this.#ends[i]! - unfold.from[i]!) * e;
        }
        if (t >= 1) {
            this.#unfold = null;
            this.#rects = this.#ends;
        }
        return t;
    }

    /** Values whose wires stand out: those of what is selected, or else under the pointer. */
    #strongValues(): Set<number> {
        const values = new Set<number>();
        if (this.selectedValue >= 0) values.add(this.selectedValue);
        const { hover } = this;
        if (hover.kind === "wire") {
            for (const v of this.scene.wires[hover.wire]?.values ?? []) values.add(v);
        }
        if (hover.kind === "stub")
            values.add(this.scene.stubs[hover.stub]?.value ?? -1);
        const b = this.selected;
        if (b < 0 || this.scene.boxes[b]?.type === "open") return values;
        for (const wire of this.scene.wires) {
            if (wire.from === b || wire.to === b)
                for (const v of wire.values) values.add(v);
        }
        return values;
    }

    #makeFrame(progress: number): Frame {
        const { hover } = this;
        return {
            ctx: this.#ctx,
            text: this.#text,
            model: this.model,
            scene: this.scene,
            theme: this.#theme,
            view: this.camera.view,
            width: this.width,
            height: this.height,
            ratio: this.#ratio,
            rects: this.#rects,
            progress,
            old: this.#unfold?.old ?? null,
            selected: this.selected,
            hovered: hover.kind === "box" || hover.kind === "toggle" ? hover.box : -1,
            hoveredStub: hover.kind === "stub" ? hover.stub : -1,
            values: this.#strongValues(),
            marked: this.marked,
            focused: this.focused,
        };
    }

    /** Centres the view on a point of the minimap. */
    minimapTo(px: number, py: number): void {
        if (!this.minimap) return;
        const { x, y } = minimapToWorld(this.minimap, px, py);
        const { zoom } = this.camera.view;
        this.camera.jump({
            zoom,
            x: this.width / 2 - x * zoom,
            y: this.height / 2 - y * zoom,
        });
        this.invalidate();
        this.events.onView();
    }
}
