/** Layers of a layout: which item is in which, and dummies where edges pass layers. */
import type { LayoutEdge, LayoutInput, LayoutOptions } from "./layout";

/** Items and, after them, dummies, in layers. */
export interface Layers {
    /** Items and dummies. */
    size: number;
    /** Items alone. */
    items: number;
    layer: Int32Array;
    widths: Float64Array;
    /** Members of the layers, in order. */
    rows: number[][];
    /** Neighbours in the layers above and below. */
    up: Links;
    down: Links;
    /** Of each edge: whether it is drawn as stubs. */
    stubs: Uint8Array;
    /** Dummies along each edge; null: a stub. */
    chains: (number[] | null)[];
}

/**
 * Neighbours of all items in one direction: those of item i are at start[i] and up to
 * start[i + 1].  `shift` is the offset of the end there minus that of the end here.
 */
export interface Links {
    start: Int32Array;
    to: Int32Array;
    shift: Float64Array;
    weight: Float64Array;
}

const DUMMY_WIDTH = 10;
/** Weight of the ends of long edges: they bend, so that the main line does not. */
const LOOSE = 0.01;
/** Of edges between neighbouring layers: in the main line, and from beside it. */
const MAIN = 8;
const SIDE = 0.02;

/** Lists of edges by their upper ends. */
function outgoing(n: number, edges: readonly LayoutEdge[]): number[][] {
    const out: number[][] = Array.from({ length: n }, () => []);
    edges.forEach((edge, e) => out[edge.from]!.push(e));
    return out;
}

/** Marks edges that close cycles, by depth-first search in the order of items. */
function markBack(
    n: number,
    edges: readonly LayoutEdge[],
    out: number[][],
): Uint8Array {
    const back = new Uint8Array(edges.length);
    const state = new Uint8Array(n);
    const next = new Int32Array(n);
    for (let start = 0; start < n; start++) {
        const stack = state[start] ? [] : [start];
        while (stack.length > 0) {
            const item = stack.at(-1)!;
            state[item] = 1;
            const e = out[item]![next[item]!++];
            if (e === undefined) {
                state[item] = 2;
                stack.pop();
            } else if (state[edges[e]!.to] === 1) back[e] = 1;
            else if (state[edges[e]!.to] === 0) stack.push(edges[e]!.to);
        }
    }
    return back;
}

/** Longest paths from the top; the second result is a topological order. */
function longestPaths(
    n: number,
    edges: readonly LayoutEdge[],
    out: number[][],
    back: Uint8Array,
): { layer: Int32Array; order: number[] } {
    const layer = new Int32Array(n);
    const waiting = new Int32Array(n);
    edges.forEach((edge, e) => {
        if (!back[e]) waiting[edge.to]!++;
    });
    const order: number[] = [];
    for (let i = 0; i < n; i++) if (!waiting[i]) order.push(i);
    for (let k = 0; k < order.length; k++) {
        const item = order[k]!;
        for (const e of out[item]!) {
            if (back[e]) continue;
            const { to } = edges[e]!;
            layer[to] = Math.max(layer[to]!, layer[item]! + 1);
            if (--waiting[to]! === 0) order.push(to);
        }
    }
    return { layer, order };
}

/**
 * Items that are beside the main line: those without edges from above, and what is made
 * of such alone, unless of inputs that are `kept` (where none is, all are).
 */
function findSide(
    input: LayoutInput,
    out: number[][],
    order: number[],
    back: Uint8Array,
): Uint8Array {
    const side = new Uint8Array(input.widths.length).fill(1);
    const kept = new Uint8Array(input.widths.length);
    for (const item of input.first ?? []) side[item] = 0;
    const begins = input.kept ?? [];
    if (begins.length === 0 && !input.first?.length) kept.fill(1);
    for (const item of begins) kept[item] = 1;
    for (const item of order) {
        if (side[item] && !kept[item]) continue;
        for (const e of out[item]!) if (!back[e]) side[input.edges[e]!.to] = 0;
    }
    return side;
}

/** Moves what is beside the main line down to its first reader. */
function sinkSide(
    input: LayoutInput,
    out: number[][],
    order: number[],
    back: Uint8Array,
    side: Uint8Array,
    layer: Int32Array,
): void {
    for (let k = order.length - 1; k >= 0; k--) {
        const item = order[k]!;
        let least = Infinity;
        for (const e of side[item] ? out[item]! : []) {
            if (!back[e]) least = Math.min(least, layer[input.edges[e]!.to]!);
        }
        if (least < Infinity) layer[item] = least - 1;
    }
}

/** Puts `first` above all others and `last` below them. */
function pinEnds(input: LayoutInput, layer: Int32Array): void {
    const { first = [], last = [] } = input;
    if (first.length === 0 && last.length === 0) return;
    const pinned = new Uint8Array(layer.length);
    for (const i of first) pinned[i] = 1;
    for (const i of last) pinned[i] = 1;
    let least = Infinity;
    let most = -1;
    for (let i = 0; i < layer.length; i++) {
        if (pinned[i]) continue;
        least = Math.min(least, layer[i]!);
        most = Math.max(most, layer[i]!);
    }
    const shift = first.length > 0 && least < Infinity ? 1 - least : 0;
    for (let i = 0; i < layer.length; i++) layer[i]! += shift;
    for (const i of first) layer[i] = 0;
    for (const i of last)
        layer[i] = Math.max(first.length > 0 ? 1 : 0, most + shift + 1);
}

/** Which edges are drawn as stubs: cycles, long ones, and long ones of many. */
function chooseStubs(
    input: LayoutInput,
    layer: Int32Array,
    back: Uint8Array,
    o: LayoutOptions,
): Uint8Array {
    const stubs = Uint8Array.from(back);
    const far = new Map<string, number>();
    const key = (edge: LayoutEdge): string => `${edge.from} ${edge.bundle ?? -1}`;
    const span = (edge: LayoutEdge): number => layer[edge.to]! - layer[edge.from]!;
    for (const edge of input.edges) {
        if (span(edge) > o.fanReach) far.set(key(edge), (far.get(key(edge)) ?? 0) + 1);
    }
    input.edges.forEach((edge, e) => {
        const long = span(edge);
        const many = long > o.fanReach && far.get(key(edge))! > o.fan;
        if (long < 1 || long > o.reach || many) stubs[e] = 1;
    });
    return stubs;
}

/** Ends, shifts and weights of links, as they are found. */
class LinkList {
    readonly from: number[] = [];
    readonly to: number[] = [];
    readonly shift: number[] = [];
    readonly weight: number[] = [];

    add(from: number, to: number, shift: number, weight: number): void {
        this.from.push(from);
        this.to.push(to);
        this.shift.push(shift);
        this.weight.push(weight);
    }

    /** The links by one of their ends; downwards by the upper. */
    group(size: number, downwards: boolean): Links {
        const count = this.from.length;
        const here = downwards ? this.from : this.to;
        const there = downwards ? this.to : this.from;
        const sign = downwards ? -1 : 1;
        const start = new Int32Array(size + 1);
        for (let i = 0; i < count; i++) start[here[i]! + 1]!++;
        for (let i = 0; i < size; i++) start[i + 1]! += start[i]!;
        const next = start.slice();
        const to = new Int32Array(count);
        const shift = new Float64Array(count);
        const weight = new Float64Array(count);
        for (let i = 0; i < count; i++) {
            const at = next[here[i]!]!++;
            to[at] = there[i]!;
            shift[at] = sign * this.shift[i]!;
            weight[at] = this.weight[i]!;
        }
        return { start, to, shift, weight };
    }
}

class ChainBuilder {
    readonly layer: number[];
    readonly widths: number[];
    readonly links = new LinkList();
    readonly chains: (number[] | null)[] = [];
    /** Items that the main line leads to. */
    readonly #fed: Uint8Array;
    /** Chains of dummies that edges of one bundle share. */
    readonly #shared = new Map<string, number[]>();

    constructor(
        private readonly input: LayoutInput,
        layer: Int32Array,
        private readonly side: Uint8Array,
    ) {
        this.layer = Array.from(layer);
        this.widths = Array.from(input.widths);
        this.#fed = new Uint8Array(layer.length);
        for (const { from, to } of input.edges) if (!side[from]) this.#fed[to] = 1;
    }

    #dummy(layer: number): number {
        this.layer.push(layer);
        this.widths.push(DUMMY_WIDTH);
        return this.layer.length - 1;
    }

    add(e: number): void {
        const edge = this.input.edges[e]!;
        const fromAt = edge.fromAt ?? 0;
        const toAt = edge.toAt ?? 0;
        const passed = this.layer[edge.to]! - this.layer[edge.from]! - 1;
        if (passed === 0) {
            const beside = this.side[edge.from] && this.#fed[edge.to];
            const weight = beside ? SIDE : MAIN;
            this.links.add(edge.from, edge.to, fromAt - toAt, weight);
            this.chains.push([]);
            return;
        }
        const key = `${edge.from} ${edge.bundle ?? -1 - e}`;
        const shared = this.#shared.get(key) ?? [];
        this.#shared.set(key, shared);
        while (shared.length < passed) {
            const dummy = this.#dummy(this.layer[edge.from]! + 1 + shared.length);
            const before = shared.at(-1);
            if (before === undefined) this.links.add(edge.from, dummy, fromAt, LOOSE);
            else this.links.add(before, dummy, 0, 4);
            shared.push(dummy);
        }
        this.links.add(shared[passed - 1]!, edge.to, -toAt, LOOSE);
        this.chains.push(shared.slice(0, passed));
    }
}

/** Layers of a graph, with dummies; rows are in the order of a search from the top. */
export function layerItems(input: LayoutInput, o: LayoutOptions): Layers {
    const n = input.widths.length;
    const out = outgoing(n, input.edges);
    const back = markBack(n, input.edges, out);
    const { layer, order } = longestPaths(n, input.edges, out, back);
    const side = findSide(input, out, order, back);
    sinkSide(input, out, order, back, side, layer);
    pinEnds(input, layer);
    const stubs = chooseStubs(input, layer, back, o);
    const build = new ChainBuilder(input, layer, side);
    for (let e = 0; e < input.edges.length; e++) {
        if (stubs[e]) build.chains.push(null);
        else build.add(e);
    }
    return {
        size: build.layer.length,
        items: n,
        layer: Int32Array.from(build.layer),
        widths: Float64Array.from(build.widths),
        rows: fillRows(build.layer, order, input.first),
        up: build.links.group(build.layer.length, false),
        down: build.links.group(build.layer.length, true),
        stubs,
        chains: build.chains,
    };
}

function fillRows(
    layer: number[],
    order: number[],
    first?: readonly number[],
): number[][] {
    let most = -1;
    for (const l of layer) most = Math.max(most, l);
    const rows: number[][] = Array.from({ length: most + 1 }, () => []);
    const pinned = new Set(first ?? []);
    for (const item of pinned) rows[layer[item]!]!.push(item);
    for (const item of order) if (!pinned.has(item)) rows[layer[item]!]!.push(item);
    for (let d = order.length; d < layer.length; d++) rows[layer[d]!]!.push(d);
    return rows;
}
