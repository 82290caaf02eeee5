/** Order within layers: barycentre sweeps, of which the one with least crossings stays. */
import type { Layers, Links } from "./layout_layers";

/** Layouts with more items than this do without counting crossings. */
const COUNT_MAX = 1200;
/** Rows up to this length are sorted by insertion. */
const INSERTION_MAX = 24;

function barycentre(links: Links, item: number, position: Float64Array): number {
    const begin = links.start[item]!;
    const end = links.start[item + 1]!;
    if (begin === end) return position[item]!;
    let sum = 0;
    for (let i = begin; i < end; i++) {
        sum += position[links.to[i]!]! + links.shift[i]! * 1e-6;
    }
    return sum / (end - begin);
}

/** Sorts a row by keys of its items; whether anything moved. */
function insertionSort(row: number[], key: Float64Array): boolean {
    let moved = false;
    for (let i = 1; i < row.length; i++) {
        const item = row[i]!;
        let k = i;
        for (; k > 0 && key[row[k - 1]!]! > key[item]!; k--) row[k] = row[k - 1]!;
        if (k !== i) moved = true;
        row[k] = item;
    }
    return moved;
}

function sortRow(
    row: number[],
    from: Links,
    position: Float64Array,
    key: Float64Array,
) {
    for (const item of row) key[item] = barycentre(from, item, position);
    if (row.length <= INSERTION_MAX) return insertionSort(row, key);
    const before = row.slice();
    row.sort((a, b) => key[a]! - key[b]!);
    return row.some((item, i) => item !== before[i]);
}

/** Positions spread over [0, 1], so that layers of different sizes compare. */
function number(row: number[], position: Float64Array): void {
    const n = row.length;
    for (let i = 0; i < n; i++) position[row[i]!] = (i + 0.5) / n;
}

/** Crossings between two layers: inversions, counted with a Fenwick tree. */
function crossings(
    row: number[],
    below: number[],
    down: Links,
    at: Int32Array,
): number {
    if (row.length < 2 || below.length < 2) return 0;
    below.forEach((item, i) => (at[item] = i));
    const tree = new Int32Array(below.length + 1);
    let count = 0;
    let total = 0;
    for (const item of row) {
        const ends = down.to.subarray(down.start[item]!, down.start[item + 1]!);
        for (const end of ends) {
            let before = 0;
            for (let i = at[end]! + 1; i > 0; i -= i & -i) before += tree[i]!;
            count += total - before;
        }
        for (const end of ends) {
            for (let i = at[end]! + 1; i < tree.length; i += i & -i) tree[i]!++;
        }
        total += ends.length;
    }
    return count;
}

function allCrossings(layers: Layers, at: Int32Array): number {
    let count = 0;
    for (let r = 0; r + 1 < layers.rows.length; r++) {
        count += crossings(layers.rows[r]!, layers.rows[r + 1]!, layers.down, at);
    }
    return count;
}

/** Orders the rows in place. */
export function orderRows(layers: Layers, sweeps: number): void {
    const { rows } = layers;
    const position = new Float64Array(layers.size);
    const key = new Float64Array(layers.size);
    for (const row of rows) number(row, position);
    const counted = layers.size <= COUNT_MAX;
    const at = new Int32Array(counted ? layers.size : 0);
    let best = counted ? allCrossings(layers, at) : 0;
    let kept: number[][] | null = null;
    for (
        let s = 0, still = 0;
        s < sweeps && still < 2 && !(counted && best === 0);
        s++
    ) {
        const from = s % 2 === 0 ? layers.up : layers.down;
        let moved = false;
        for (let k = 0; k < rows.length; k++) {
            const row = rows[s % 2 === 0 ? k : rows.length - 1 - k]!;
            if (row.length < 2 || !sortRow(row, from, position, key)) continue;
            number(row, position);
            moved = true;
        }
        still = moved ? 0 : still + 1;
        if (!counted || !moved) continue;
        const now = allCrossings(layers, at);
        if (now >= best) continue;
        best = now;
        kept = rows.map((row) => row.slice());
    }
    if (kept) layers.rows = kept;
}
