/**
 * A layered layout in about linear time, top to bottom: longest-path layers, order by
 * barycentres in a few sweeps, positions by isotonic regression that keeps the main line
 * straight.  Edges that are long, have many targets, or close a cycle are not routed:
 * the caller draws stubs for them, for which the layout leaves room.  Pure and
 * deterministic.
 */
import { layerItems, type Layers } from "./layout_layers";
import { orderRows } from "./layout_order";
import { placeItems } from "./layout_place";

/** An edge; `fromAt` and `toAt` are offsets in px from the middles of its ends. */
export interface LayoutEdge {
    from: number;
    to: number;
    fromAt?: number;
    toAt?: number;
    /** Edges of one item with the same bundle are one line until they part. */
    bundle?: number;
}

/** What is to be laid out. */
export interface LayoutInput {
    widths: ArrayLike<number>;
    heights: ArrayLike<number>;
    edges: readonly LayoutEdge[];
    /** Items of the first layer, in order (inputs of a group). */
    first?: readonly number[];
    /** Items from which the main line begins, rather than something beside it. */
    kept?: readonly number[];
    /** Items of the last layer. */
    last?: readonly number[];
}

/** Distances and limits. */
export interface LayoutOptions {
    /** Between the items of a layer. */
    gapX: number;
    /** Between layers. */
    gapY: number;
    /** Height of a row of stubs above or below an item. */
    stub: number;
    /** Layers that an edge may span. */
    reach: number;
    /** Targets that an edge of more than `fanReach` layers may have. */
    fan: number;
    fanReach: number;
    sweeps: number;
}

/** Where things are; the corner of everything is (0, 0). */
export interface LayoutResult {
    /** Left and upper corners of the items, without the room for stubs. */
    x: Float64Array;
    y: Float64Array;
    width: number;
    height: number;
    layers: Int32Array;
    /** x, y, x, y... from end to end; null: a stub at either end. */
    routes: (number[] | null)[];
}

/** What the graph is drawn with. */
export const DEFAULTS: LayoutOptions = {
    gapX: 26,
    gapY: 40,
    stub: 24,
    reach: 16,
    fan: 5,
    fanReach: 3,
    sweeps: 8,
};

interface Rows {
    top: Float64Array;
    bottom: Float64Array;
    height: number;
}

/** Room above and below the items that have stubs. */
function stubRoom(input: LayoutInput, layers: Layers, options: LayoutOptions) {
    const n = input.widths.length;
    const above = new Float64Array(n);
    const below = new Float64Array(n);
    input.edges.forEach((edge, e) => {
        if (!layers.stubs[e]) return;
        below[edge.from] = options.stub;
        above[edge.to] = options.stub;
    });
    return { above, below };
}

/** y of the layers; layers between which many lines cross get more room. */
function stackRows(layers: Layers, heights: Float64Array, gap: number): Rows {
    const rows = layers.rows;
    const top = new Float64Array(rows.length);
    const bottom = new Float64Array(rows.length);
    let y = 0;
    rows.forEach((row, r) => {
        let height = 0;
        for (const item of row) height = Math.max(height, heights[item] ?? 0);
        top[r] = y;
        bottom[r] = y + height;
        y += height + gap + Math.min(60, Math.max(0, row.length - 3) * 3);
    });
    return { top, bottom, height: rows.length ? bottom[rows.length - 1]! : 0 };
}

/** Lays out a graph; options not given are DEFAULTS. */
export function layout(
    input: LayoutInput,
    options: Partial<LayoutOptions> = {},
): LayoutResult {
    const o = { ...DEFAULTS, ...options };
    const n = input.widths.length;
    const layers = layerItems(input, o);
    const { above, below } = stubRoom(input, layers, o);
    const heights = new Float64Array(n);
    for (let i = 0; i < n; i++) heights[i] = input.heights[i]! + above[i]! + below[i]!;
    orderRows(layers, o.sweeps);
    const centre = placeItems(layers, o.gapX);
    const rows = stackRows(layers, heights, o.gapY);
    return finish(input, layers, { centre, above, heights, rows });
}

interface Placed {
    centre: Float64Array;
    above: Float64Array;
    heights: Float64Array;
    rows: Rows;
}

/** Corners of the items, and routes along the chains of dummies. */
function finish(input: LayoutInput, layers: Layers, at: Placed): LayoutResult {
    const n = input.widths.length;
    const x = new Float64Array(n);
    const y = new Float64Array(n);
    let left = Infinity;
    let right = -Infinity;
    for (let i = 0; i < layers.size; i++) {
        left = Math.min(left, at.centre[i]! - layers.widths[i]! / 2);
        right = Math.max(right, at.centre[i]! + layers.widths[i]! / 2);
    }
    if (left === Infinity) left = right = 0;
    for (let i = 0; i < n; i++) {
        const layer = layers.layer[i]!;
        const room = at.rows.bottom[layer]! - at.rows.top[layer]! - at.heights[i]!;
        x[i] = at.centre[i]! - input.widths[i]! / 2 - left;
        y[i] = at.rows.top[layer]! + room / 2 + at.above[i]!;
    }
    const routes = input.edges.map((edge, e) => {
        const chain = layers.chains[e];
        return chain ? route(input, edge, chain, layers, at, left, y) : null;
    });
    const { height } = at.rows;
    const layer = Int32Array.from(layers.layer.subarray(0, n));
    return { x, y, width: right - left, height, layers: layer, routes };
}

function route(
    input: LayoutInput,
    edge: LayoutEdge,
    chain: number[],
    layers: Layers,
    at: Placed,
    left: number,
    y: Float64Array,
): number[] {
    const { from, to } = edge;
    const { top, bottom } = at.rows;
    const points: number[] = [];
    const add = (px: number, py: number): void => {
        const n = points.length;
        const close = points[n - 2] === px && Math.abs(points[n - 1]! - py) < 1;
        if (n === 0 || !close) points.push(px, py);
        else if (n > 2) points[n - 1] = py;
    };
    const startX = at.centre[from]! - left + (edge.fromAt ?? 0);
    add(startX, y[from]! + input.heights[from]!);
    add(startX, bottom[layers.layer[from]!]!);
    for (const dummy of chain) {
        const px = at.centre[dummy]! - left;
        add(px, top[layers.layer[dummy]!]!);
        add(px, bottom[layers.layer[dummy]!]!);
    }
    const endX = at.centre[to]! - left + (edge.toAt ?? 0);
    add(endX, top[layers.layer[to]!]!);
    add(endX, y[to]!);
    return points;
}
