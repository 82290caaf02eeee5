/** Squarified treemaps (Bruls, Huizing, van Wijk): rectangles near to squares. */

/** A rectangle in any unit. */
export interface Rect {
    x: number;
    y: number;
    width: number;
    height: number;
}

/** The worst ratio of sides in a row of areas along a side of length `side`. */
function worst(sum: number, least: number, most: number, side: number): number {
    const s = sum * sum;
    const w = side * side;
    return Math.max((w * most) / s, s / (w * least));
}

/**
 * Divides `box` in proportion to `sizes`, which are positive and fall or stay. The result
 * has a rectangle for each, in their order.
 */
export function squarify(sizes: readonly number[], box: Rect): Rect[] {
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const scale = total > 0 ? (box.width * box.height) / total : 0;
    const areas = sizes.map((size) => size * scale);
    const result: Rect[] = [];
    let free = { ...box };
    let start = 0;
    while (start < areas.length) {
        const side = Math.min(free.width, free.height);
        let end = start + 1;
        let sum = areas[start]!;
        while (end < areas.length) {
            const now = worst(sum, areas[end - 1]!, areas[start]!, side);
            const next = worst(sum + areas[end]!, areas[end]!, areas[start]!, side);
            if (next > now) break;
            sum += areas[end++]!;
        }
        free = place(areas.slice(start, end), sum, free, result);
        start = end;
    }
    return result;
}

/** Lays a row along the shorter side, and returns what is left of the box. */
function place(row: number[], sum: number, box: Rect, result: Rect[]): Rect {
    const upright = box.width >= box.height;
    const side = upright ? box.height : box.width;
    const depth = side > 0 ? sum / side : 0;
    let at = upright ? box.y : box.x;
    for (const area of row) {
        const length = depth > 0 ? area / depth : 0;
        result.push(
            upright
                ? { x: box.x, y: at, width: depth, height: length }
                : { x: at, y: box.y, width: length, height: depth },
        );
        at += length;
    }
    return upright
        ? { ...box, x: box.x + depth, width: Math.max(0, box.width - depth) }
        : { ...box, y: box.y + depth, height: Math.max(0, box.height - depth) };
}
