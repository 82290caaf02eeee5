/**
 * The overview in a corner.  A scene that is much taller than wide would be a line: it is
 * shown in part, and what is shown moves with the view, as a scroll bar does.
 */
import type { Camera } from "./camera";
import type { GraphModel } from "./model";
import type { Scene } from "./scene";
import { mix, type Theme } from "./theme";

/** A canvas, what was drawn for it, and where that is. */
export interface Minimap {
    canvas: HTMLCanvasElement;
    picture?: OffscreenCanvas;
    scene?: Scene;
    theme?: Theme;
    frame?: Frame;
}

/** Map = world * scale + (x, y). */
interface Frame {
    scale: number;
    x: number;
    y: number;
    whole: boolean;
}

/** What is on the screen. */
interface Seen {
    camera: Camera;
    width: number;
    height: number;
}

const WIDTH = 132;
const HEIGHT = 190;
const MARGIN = 6;
/** Part of the map that a scene fills at least. */
const FILL = 0.2;

function frameOf(scene: Scene, seen: Seen): Frame {
    const across = (WIDTH - 2 * MARGIN) / Math.max(1, scene.width);
    const along = (HEIGHT - 2 * MARGIN) / Math.max(1, scene.height);
    const scale = Math.min(across, Math.max(along, Math.min(across * FILL, 0.1)));
    const x = (WIDTH - scene.width * scale) / 2;
    const hidden = scene.height * scale - (HEIGHT - 2 * MARGIN);
    if (hidden <= 1)
        return { scale, x, y: (HEIGHT - scene.height * scale) / 2, whole: true };
    const { view } = seen.camera;
    const middle = (seen.height / 2 - view.y) / view.zoom / scene.height;
    const y = MARGIN - hidden * Math.max(0, Math.min(1, middle));
    return { scale, x, y, whole: false };
}

function paint(
    ctx: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
    { scale, x, y }: Frame,
    model: GraphModel,
    scene: Scene,
    theme: Theme,
): void {
    for (const box of scene.boxes) {
        const top = y + box.y * scale;
        const h = Math.max(0.7, box.h * scale);
        if (top > HEIGHT || top + h < 0) continue;
        const of =
            box.entity >= 0 ? model.entities[box.entity]! : model.groups[box.group]!;
        const color = theme.category[of.category];
        ctx.fillStyle = box.type === "open" ? mix(theme.card, color, 0.16) : color;
        ctx.fillRect(x + box.x * scale, top, Math.max(1, box.w * scale), h);
    }
}

/** A whole scene is painted once per scene and theme. */
function pictureOf(map: Minimap, model: GraphModel, scene: Scene, theme: Theme): void {
    if (map.scene === scene && map.theme === theme) return;
    const ratio = devicePixelRatio;
    map.picture = new OffscreenCanvas(WIDTH * ratio, HEIGHT * ratio);
    map.scene = scene;
    map.theme = theme;
    const ctx = map.picture.getContext("2d")!;
    ctx.scale(ratio, ratio);
    paint(ctx, map.frame!, model, scene, theme);
}

function drawView(
    ctx: CanvasRenderingContext2D,
    f: Frame,
    theme: Theme,
    seen: Seen,
): void {
    const { view } = seen.camera;
    const at = f.scale / view.zoom;
    const left = Math.max(1, f.x - view.x * at);
    const top = Math.max(1, f.y - view.y * at);
    const right = Math.min(WIDTH - 1, f.x + (seen.width - view.x) * at);
    const bottom = Math.min(HEIGHT - 1, f.y + (seen.height - view.y) * at);
    ctx.strokeStyle = theme.accent;
    ctx.fillStyle = theme.dark ? "rgba(127, 176, 255, 0.14)" : "rgba(37, 99, 201, 0.1)";
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.roundRect(left, top, Math.max(5, right - left), Math.max(5, bottom - top), 3);
    ctx.fill();
    ctx.stroke();
}

/** Draws the boxes and the frame of the view. */
export function drawMinimap(
    map: Minimap,
    model: GraphModel,
    scene: Scene,
    theme: Theme,
    seen: Seen,
): void {
    const { canvas } = map;
    const ratio = devicePixelRatio;
    if (canvas.width !== WIDTH * ratio) {
        canvas.width = WIDTH * ratio;
        canvas.height = HEIGHT * ratio;
    }
    const ctx = canvas.getContext("2d")!;
    map.frame = frameOf(scene, seen);
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    if (map.frame.whole) {
        pictureOf(map, model, scene, theme);
        ctx.drawImage(map.picture!, 0, 0);
    }
    ctx.scale(ratio, ratio);
    if (!map.frame.whole) paint(ctx, map.frame, model, scene, theme);
    drawView(ctx, map.frame, theme, seen);
}

/** The point of the world at a point of the minimap, in CSS px. */
export function minimapToWorld(map: Minimap, px: number, py: number) {
    const { scale, x, y } = map.frame ?? { scale: 1, x: 0, y: 0 };
    const shrink = WIDTH / (map.canvas.clientWidth || WIDTH);
    return { x: (px * shrink - x) / scale, y: (py * shrink - y) / scale };
}
