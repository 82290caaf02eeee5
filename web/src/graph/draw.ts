/**
 * Drawing of a scene: containers, wires, cards, tags.  What is outside of the view is
 * skipped, and what would be too small to read is not written.
 */
import { drawCard, drawContainer, drawContainerHeader, drawTag } from "./draw_cards";
import { drawWires } from "./draw_wires";
import type { View } from "./camera";
import type { GraphModel } from "./model";
import type { Box, Scene } from "./scene";
import type { TextCache } from "./text";
import type { Theme } from "./theme";

/** What a frame shows. */
export interface Frame {
    ctx: CanvasRenderingContext2D;
    text: TextCache;
    model: GraphModel;
    scene: Scene;
    theme: Theme;
    view: View;
    width: number;
    height: number;
    ratio: number;
    /** Corners of the boxes (x, y, w, h), as an animation has them. */
    rects: Float64Array;
    /** 0 to 1: how far an animation is; new boxes and wires fade in. */
    progress: number;
    /** Boxes that were there before; null: all. */
    old: Uint8Array | null;
    selected: number;
    hovered: number;
    hoveredStub: number;
    /** Values whose wires are strong. */
    values: ReadonlySet<number>;
    marked: ReadonlySet<number>;
    focused: boolean;
}

/** Levels of detail by zoom. */
export const DETAIL = { text: 0.42, title: 0.26, plain: 0.26 };

/** Whether a rectangle of the world is seen. */
export function isSeen(f: Frame, x: number, y: number, w: number, h: number): boolean {
    const { view } = f;
    const left = x * view.zoom + view.x;
    const top = y * view.zoom + view.y;
    return (
        left < f.width &&
        top < f.height &&
        left + w * view.zoom > 0 &&
        top + h * view.zoom > 0
    );
}

let dots: { key: string; canvas: OffscreenCanvas } | null = null;

/** The ground: dots that stay with the world. */
function drawGround(f: Frame): void {
    const { ctx, theme, view, ratio } = f;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.fillStyle = theme.background;
    ctx.fillRect(0, 0, f.width * ratio, f.height * ratio);
    let step = 28 * view.zoom * ratio;
    while (step < 18 * ratio) step *= 2;
    const size = Math.round(step);
    const key = `${size} ${theme.dot} ${ratio}`;
    if (dots?.key !== key) {
        const canvas = new OffscreenCanvas(size, size);
        const pen = canvas.getContext("2d")!;
        pen.fillStyle = theme.dot;
        pen.beginPath();
        pen.arc(size / 2, size / 2, 0.9 * ratio, 0, 7);
        pen.fill();
        dots = { key, canvas };
    }
    const pattern = ctx.createPattern(dots.canvas, "repeat");
    if (!pattern) return;
    ctx.setTransform(1, 0, 0, 1, (view.x * ratio) % size, (view.y * ratio) % size);
    ctx.fillStyle = pattern;
    ctx.fillRect(-size, -size, f.width * ratio + 2 * size, f.height * ratio + 2 * size);
}

function worldTransform(f: Frame): void {
    const { view, ratio } = f;
    const scale = view.zoom * ratio;
    f.ctx.setTransform(scale, 0, 0, scale, view.x * ratio, view.y * ratio);
}

/** Cards too small for letters: filled rectangles, one path a colour. */
function drawPlainCards(f: Frame, boxes: number[]): void {
    const paths = new Map<string, number[]>();
    for (const b of boxes) {
        const color = boxColor(f, f.scene.boxes[b]!);
        const list = paths.get(color);
        if (list) list.push(b);
        else paths.set(color, [b]);
    }
    for (const [color, list] of paths) {
        f.ctx.fillStyle = color;
        f.ctx.globalAlpha = 0.85;
        for (const b of list) {
            const at = 4 * b;
            f.ctx.fillRect(
                f.rects[at]!,
                f.rects[at + 1]!,
                f.rects[at + 2]!,
                f.rects[at + 3]!,
            );
        }
    }
    f.ctx.globalAlpha = 1;
}

/** The colour of a box's category. */
export function boxColor(f: Frame, box: Box): string {
    const of =
        box.entity >= 0 ? f.model.entities[box.entity]! : f.model.groups[box.group]!;
    return f.theme.category[of.category];
}

/** Draws everything; returns how many boxes were seen. */
export function draw(f: Frame): number {
    drawGround(f);
    worldTransform(f);
    const cards: number[] = [];
    const containers: number[] = [];
    f.scene.boxes.forEach((box, b) => {
        const at = 4 * b;
        const [x, y] = [f.rects[at]! - 8, f.rects[at + 1]! - 8];
        if (!isSeen(f, x, y, f.rects[at + 2]! + 24, f.rects[at + 3]! + 24)) return;
        (box.type === "open" ? containers : cards).push(b);
    });
    for (const b of containers) drawContainer(f, b);
    drawWires(f);
    if (f.view.zoom < DETAIL.plain) {
        drawPlainCards(f, cards);
        for (const b of cards) if (b === f.selected || f.marked.has(b)) drawCard(f, b);
    } else for (const b of cards) drawCard(f, b);
    for (const b of containers) drawContainerHeader(f, b);
    if (f.view.zoom >= DETAIL.title && f.progress === 1) {
        f.scene.stubs.forEach((stub, s) => {
            if (isSeen(f, stub.x, stub.y, stub.w, stub.h)) drawTag(f, s);
        });
    }
    return cards.length + containers.length;
}
