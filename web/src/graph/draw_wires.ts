/** Wires: smooth lines with vertical ends, arrow heads, and shapes where legible. */
import { DETAIL, type Frame, isSeen } from "./draw";
import type { Wire } from "./scene";
import { MONO } from "./theme";

/** Wires that are shorter on the screen are not drawn. */
const LEAST_PX = 1.2;

/** Adds a wire to the path that is open. */
function trace(ctx: CanvasRenderingContext2D, points: number[], curved: boolean): void {
    ctx.moveTo(points[0]!, points[1]!);
    for (let i = 2; i < points.length; i += 2) {
        const [x0, y0] = [points[i - 2]!, points[i - 1]!];
        const [x, y] = [points[i]!, points[i + 1]!];
        if (!curved || Math.abs(x - x0) < 0.5) ctx.lineTo(x, y);
        else {
            const middle = (y0 + y) / 2;
            ctx.bezierCurveTo(x0, middle, x, middle, x, y);
        }
    }
}

function arrow(ctx: CanvasRenderingContext2D, points: number[]): void {
    const x = points.at(-2)!;
    const y = points.at(-1)!;
    ctx.moveTo(x, y);
    ctx.lineTo(x - 3.6, y - 6.5);
    ctx.lineTo(x + 3.6, y - 6.5);
    ctx.closePath();
}

/** Whether a wire has its end at a card, not at the inside of a border. */
function hasArrow(f: Frame, wire: Wire): boolean {
    const box = f.scene.boxes[wire.to]!;
    return box.type !== "open" || Math.abs(wire.points.at(-1)! - box.y) < 1;
}

function strokeAll(f: Frame, wires: Wire[], color: string, width: number): void {
    const { ctx, view } = f;
    if (wires.length === 0) return;
    const curved = view.zoom > 0.15;
    ctx.strokeStyle = color;
    ctx.lineWidth = Math.max(width, 0.8 / view.zoom);
    ctx.lineJoin = "round";
    ctx.beginPath();
    for (const wire of wires) trace(ctx, wire.points, curved);
    ctx.stroke();
    if (view.zoom < DETAIL.title) return;
    ctx.fillStyle = color;
    ctx.beginPath();
    for (const wire of wires) if (hasArrow(f, wire)) arrow(ctx, wire.points);
    ctx.fill();
}

function drawChip(
    f: Frame,
    label: string,
    [x, y, width]: [number, number, number],
    strong: boolean,
): void {
    const { ctx, theme } = f;
    ctx.fillStyle = theme.chip;
    ctx.globalAlpha = 0.92;
    ctx.beginPath();
    ctx.roundRect(x - width / 2, y - 7, width, 14, 7);
    ctx.fill();
    ctx.fillStyle = strong ? theme.wireStrong : theme.muted;
    ctx.globalAlpha = 1;
    ctx.fillText(label, x, y + 0.5);
}

/** Says the shape at the first wire of each value, where there is room between cards. */
function drawShapes(f: Frame, wires: Wire[]): void {
    const { ctx, model } = f;
    ctx.font = `9.5px ${MONO}`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    const said = new Set<number>();
    const taken: [number, number, number][] = [];
    for (const wire of wires) {
        const value = wire.values[0]!;
        const { points } = wire;
        if (wire.port || said.has(value) || points[3]! - points[1]! < 22) continue;
        const { shape, dtype } = model.values[value]!;
        const more = wire.values.length > 1 ? `  +${wire.values.length - 1}` : "";
        const label = (shape || dtype) + more;
        if (!label) continue;
        const x = (points[0]! + points[2]!) / 2;
        const y = (points[1]! + points[3]!) / 2 - 2;
        const width = ctx.measureText(label).width + 10;
        const near = ([px, py, w]: [number, number, number]): boolean =>
            Math.abs(py - y) < 15 && Math.abs(px - x) < (w + width) / 2 + 3;
        if (taken.some(near)) continue;
        said.add(value);
        taken.push([x, y, width]);
        drawChip(f, label, [x, y, width], f.values.has(value));
    }
    ctx.globalAlpha = 1;
    ctx.textAlign = "left";
}

/** Straight wires first: they are the main line. */
function byBend(a: Wire, b: Wire): number {
    const bend = ({ points }: Wire): number => Math.abs(points[2]! - points[0]!);
    return bend(a) - bend(b);
}

/** All wires; those of the values that are selected or under the pointer are strong. */
export function drawWires(f: Frame): void {
    const seen: Wire[] = [];
    const strong: Wire[] = [];
    for (const wire of f.scene.wires) {
        const [x0, y0, x1, y1] = wire.box;
        if ((y1 - y0) * f.view.zoom < LEAST_PX) continue;
        if (!isSeen(f, x0 - 2, y0, x1 - x0 + 4, y1 - y0)) continue;
        const chosen = f.values.size > 0 && wire.values.some((v) => f.values.has(v));
        (chosen ? strong : seen).push(wire);
    }
    const { ctx } = f;
    ctx.globalAlpha = f.progress ** 3;
    strokeAll(f, seen, f.theme.wire, 1.4);
    strokeAll(f, strong, f.theme.wireStrong, 2.4);
    ctx.globalAlpha = 1;
    if (f.view.zoom > 0.72 && f.progress === 1)
        drawShapes(f, [...strong, ...seen.sort(byBend)]);
}
