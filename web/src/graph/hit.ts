/** What is at a point of the world. */
import type { GraphModel } from "./model";
import { HEADER, type Scene, type Wire } from "./scene";

/** A hit: a box, its toggle, a tag or a wire; "none" otherwise. */
export type Hit =
    | { kind: "box" | "toggle"; box: number }
    | { kind: "stub"; stub: number }
    | { kind: "wire"; wire: number }
    | { kind: "none" };

function distance(wire: Wire, x: number, y: number): number {
    let least = Infinity;
    const { points } = wire;
    let [px, py] = [points[0]!, points[1]!];
    for (let i = 2; i < points.length; i += 2) {
        const [x0, y0, x1, y1] = [
            points[i - 2]!,
            points[i - 1]!,
            points[i]!,
            points[i + 1]!,
        ];
        const steps = Math.abs(x1 - x0) < 1 ? 1 : 10;
        for (let k = 1; k <= steps; k++) {
            const t = k / steps;
            const nx = x0 + (x1 - x0) * t * t * (3 - 2 * t);
            const ny = y0 + (y1 - y0) * t;
            least = Math.min(least, toSegment(px, py, nx, ny, x, y));
            [px, py] = [nx, ny];
        }
    }
    return least;
}

function toSegment(
    x0: number,
    y0: number,
    x1: number,
    y1: number,
    x: number,
    y: number,
): number {
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length = dx * dx + dy * dy;
    const at = length > 0 ? ((x - x0) * dx + (y - y0) * dy) / length : 0;
    const t = Math.max(0, Math.min(1, at));
    return Math.hypot(x0 + dx * t - x, y0 + dy * t - y);
}

function hitWire(scene: Scene, x: number, y: number, reach: number): number {
    let found = -1;
    let least = reach;
    scene.wires.forEach((wire, i) => {
        const [x0, y0, x1, y1] = wire.box;
        if (x < x0 - reach || x > x1 + reach || y < y0 - reach || y > y1 + reach)
            return;
        const d = distance(wire, x, y);
        if (d < least) [least, found] = [d, i];
    });
    return found;
}

/** The topmost thing at (x, y); `px` is the size of a screen px in the world. */
export function hitTest(scene: Scene, x: number, y: number, px: number): Hit {
    const stub = scene.stubs.findIndex(
        (s) => x >= s.x && x <= s.x + s.w && y >= s.y - 2 && y <= s.y + s.h + 2,
    );
    if (stub >= 0) return { kind: "stub", stub };
    for (let box = scene.boxes.length - 1; box >= 0; box--) {
        const b = scene.boxes[box]!;
        if (x < b.x || x > b.x + b.w || y < b.y || y > b.y + b.h) continue;
        if (b.type === "open") {
            if (y > b.y + HEADER) break;
            return { kind: x < b.x + 32 ? "toggle" : "box", box };
        }
        const onToggle = b.type === "group" && x < b.x + 36 && y < b.y + 36;
        return { kind: onToggle ? "toggle" : "box", box };
    }
    const wire = hitWire(scene, x, y, 7 * px);
    return wire >= 0 ? { kind: "wire", wire } : { kind: "none" };
}

/** Boxes by what they show, and who reads whom among those that are seen. */
export class SceneIndex {
    readonly ofEntity: Int32Array;
    readonly ofGroup: Int32Array;
    readonly before: number[][];
    readonly after: number[][];

    constructor(
        private readonly model: GraphModel,
        scene: Scene,
    ) {
        this.ofEntity = new Int32Array(model.entities.length).fill(-1);
        this.ofGroup = new Int32Array(model.groups.length).fill(-1);
        scene.boxes.forEach((box, b) => {
            if (box.entity >= 0) this.ofEntity[box.entity] = b;
            else this.ofGroup[box.group] = b;
        });
        this.before = scene.boxes.map(() => []);
        this.after = scene.boxes.map(() => []);
        const { edges } = model;
        const seen = new Set<number>();
        for (let i = 0; i < edges.length; i += 3) {
            const from = this.boxOf(edges[i]!);
            const to = this.boxOf(edges[i + 1]!);
            const key = from * scene.boxes.length + to;
            if (from === to || seen.has(key)) continue;
            seen.add(key);
            this.after[from]!.push(to);
            this.before[to]!.push(from);
        }
    }

    /** The box that shows an entity: its own, or the outermost closed group around it. */
    boxOf(entity: number): number {
        const own = this.ofEntity[entity]!;
        return own >= 0 ? own : this.boxOfGroup(this.model.entities[entity]!.group);
    }

    /** The box of a group, open or closed, or that of the closed group around it. */
    boxOfGroup(group: number): number {
        for (let g = group; g >= 0; g = this.model.groups[g]!.parent) {
            if (this.ofGroup[g]! >= 0) return this.ofGroup[g]!;
        }
        return -1;
    }
}
