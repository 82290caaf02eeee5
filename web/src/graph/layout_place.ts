/**
 * x of items: each layer is put as near as its order and gaps allow to where its
 * neighbours want it (weighted isotonic regression by pooling), down and up in turn.
 * Edges between neighbouring layers weigh most, then the inner parts of long ones, so
 * that the main line and the lines beside it are straight.
 */
import type { Layers, Links } from "./layout_layers";

const PASSES = 9;
/** How much dummies matter beside items: these push them away. */
const YIELD = 0.02;

/** Places the rows of one layout; what it needs is allocated once. */
class Placer {
    readonly centre: Float64Array;
    readonly #offsets: Float64Array;
    /** Pooled blocks of neighbours that touch. */
    readonly #sum: Float64Array;
    readonly #weight: Float64Array;
    readonly #begin: Int32Array;
    /** Of the item that was last asked about. */
    #wishSum = 0;
    #wishWeight = 0;

    constructor(
        private readonly layers: Layers,
        private readonly gap: number,
    ) {
        let longest = 0;
        for (const row of layers.rows) longest = Math.max(longest, row.length);
        this.centre = new Float64Array(layers.size);
        this.#offsets = new Float64Array(longest);
        this.#sum = new Float64Array(longest);
        this.#weight = new Float64Array(longest);
        this.#begin = new Int32Array(longest);
        for (const row of layers.rows) this.#start(row);
    }

    #start(row: number[]): void {
        const { widths } = this.layers;
        let at = 0;
        for (const item of row) {
            this.centre[item] = at + widths[item]! / 2;
            at += widths[item]! + this.gap;
        }
        for (const item of row) this.centre[item]! -= (at - this.gap) / 2;
    }

    #ask(links: Links, item: number): void {
        for (let i = links.start[item]!; i < links.start[item + 1]!; i++) {
            const weight = links.weight[i]!;
            this.#wishSum += (this.centre[links.to[i]!]! + links.shift[i]!) * weight;
            this.#wishWeight += weight;
        }
    }

    /** Where an item would be, by its neighbours; what nobody pulls stays. */
    #wish(item: number, up: boolean, down: boolean): number {
        this.#wishSum = this.#wishWeight = 0;
        if (up) this.#ask(this.layers.up, item);
        if (down) this.#ask(this.layers.down, item);
        if (this.#wishWeight > 0) return this.#wishSum / this.#wishWeight;
        this.#wishWeight = 0.1;
        return this.centre[item]!;
    }

    place(row: number[], up: boolean, down: boolean): void {
        if (row.length === 1) {
            this.centre[row[0]!] = this.#wish(row[0]!, up, down);
            return;
        }
        const { widths, items } = this.layers;
        let blocks = 0;
        let offset = 0;
        for (let i = 0; i < row.length; i++) {
            const item = row[i]!;
            if (i > 0) {
                const before = row[i - 1]!;
                const space =
                    before >= items && item >= items ? this.gap * 0.3 : this.gap;
                offset += widths[before]! / 2 + space + widths[item]! / 2;
            }
            this.#offsets[i] = offset;
            const at = this.#wish(item, up, down) - offset;
            const weight = this.#wishWeight * (item >= items ? YIELD : 1);
            blocks = this.#pool(blocks, at, weight, i);
        }
        this.#settle(row, blocks);
    }

    /** Adds a block, and merges what would overlap; returns how many there are. */
    #pool(blocks: number, at: number, w: number, begin: number): number {
        const sum = this.#sum;
        const weight = this.#weight;
        sum[blocks] = at * w;
        weight[blocks] = w;
        this.#begin[blocks] = begin;
        let k = blocks;
        for (; k > 0; k--) {
            if (sum[k - 1]! / weight[k - 1]! <= sum[k]! / weight[k]!) break;
            sum[k - 1]! += sum[k]!;
            weight[k - 1]! += weight[k]!;
        }
        return k + 1;
    }

    #settle(row: number[], blocks: number): void {
        for (let b = 0; b < blocks; b++) {
            const end = b + 1 < blocks ? this.#begin[b + 1]! : row.length;
            const base = this.#sum[b]! / this.#weight[b]!;
            for (let i = this.#begin[b]!; i < end; i++) {
                this.centre[row[i]!] = base + this.#offsets[i]!;
            }
        }
    }
}

/** Middles of all items and dummies. */
export function placeItems(layers: Layers, gap: number): Float64Array {
    const { rows } = layers;
    const placer = new Placer(layers, gap);
    for (let pass = 0; pass < PASSES; pass++) {
        const downwards = pass % 2 === 0;
        const both = pass === PASSES - 4;
        for (let k = 0; k < rows.length; k++) {
            const row = rows[downwards ? k : rows.length - 1 - k]!;
            placer.place(row, both || downwards, both || !downwards);
        }
    }
    return placer.centre;
}
