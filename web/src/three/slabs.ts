/** Which slabs a model is, and where: one for each tensor that a layer puts out. */
import { operatorCategory, type Category } from "../graph/categories";
import type { Dim, Report, ReportNode } from "../report";

/**
 * A box with its middle at (x, 0, z). The flow is along z, in rows as text is: the first
 * row has the largest x, which is the furthest from who looks.
 */
export interface Slab {
    node: number;
    label: string;
    type: string;
    category: Category;
    width: number;
    height: number;
    depth: number;
    x: number;
    z: number;
}

const MOST = 600;
const GAP = 0.35;
const BETWEEN_ROWS = 1.4;
const SHAPE = 1.2; // of all rows together, length to width

/** Sizes as numbers: the open ones are as the report assumes, the batch is left out. */
function sizesOf(shape: Dim[], assumed: Record<string, number>): number[] {
    const sizes = shape.map((dim) =>
        typeof dim === "number" ? dim : (assumed[dim ?? ""] ?? 1),
    );
    return sizes.length > 1 ? sizes.slice(1) : sizes;
}

/** Roots of the sizes, so that 7 and 2048 fit into one picture. */
const scaled = (n: number) => 0.18 + 0.22 * Math.sqrt(Math.max(1, n));

/**
 * Width, height and depth: of an image (C, H, W) the pixels are the face and the channels
 * the depth, of a sequence (S, D) the features are the width.
 */
export function boxOf(sizes: number[]): [number, number, number] {
    const tail = sizes.slice(-3);
    if (tail.length === 3) {
        const [c, h, w] = tail as [number, number, number];
        return [scaled(w), scaled(h), 0.22 * scaled(c)];
    }
    if (tail.length === 2) return [scaled(tail[1]!), scaled(tail[0]!), 0.25];
    return [scaled(tail[0] ?? 1), 0.35, 0.25];
}

/** Nodes worth a slab: those that compute floating-point arrays, not those that move them. */
function isLayer(node: ReportNode): boolean {
    if (!node.output_shape || node.output_shape.length === 0) return false;
    const moves = operatorCategory(node.op) === "shape" || node.op === "Constant";
    return /float/.test(node.dtype ?? "") && !moves;
}

/** Steps from the inputs to each node, the longest way. */
function depths(report: Report): number[] {
    const made = new Map<string, number>();
    return report.nodes.map((node) => {
        const depth =
            node.inputs.reduce((most, name) => Math.max(most, made.get(name) ?? 0), 0) +
            1;
        for (const output of node.outputs) made.set(output, depth);
        return depth;
    });
}

function chosenNodes(report: Report): number[] {
    const layers = report.nodes.flatMap((node, i) => (isLayer(node) ? [i] : []));
    if (layers.length <= MOST) return layers;
    const weighty = layers.filter((i) => report.nodes[i]!.param_keys.length > 0);
    const chosen = weighty.length > 0 ? weighty : layers;
    const step = Math.ceil(chosen.length / MOST);
    return chosen.filter((_, i) => i % step === 0);
}

/** Slabs of one depth, side by side around x = 0; z is to come. */
function column(
    report: Report,
    nodes: number[],
    assumed: Record<string, number>,
): Slab[] {
    const boxes = nodes.map((i) =>
        boxOf(sizesOf(report.nodes[i]!.output_shape!, assumed)),
    );
    let x = -boxes.reduce((sum, [width]) => sum + width + GAP, -GAP) / 2;
    return boxes.map(([width, height, depth], j) => {
        const node = report.nodes[nodes[j]!]!;
        const shape = node.output_shape!.map((dim) => dim ?? "?").join(",");
        x += width + GAP;
        return {
            node: nodes[j]!,
            label: node.name || node.op,
            type: `${node.op} ${node.dtype}[${shape}]`,
            category: operatorCategory(node.op),
            width,
            height,
            depth,
            x: x - GAP - width / 2,
            z: 0,
        };
    });
}

/** Lays columns out in rows, and moves the middle of all to the origin. */
function inRows(columns: Slab[][]): void {
    const deep = columns.map((slabs) => Math.max(...slabs.map((s) => s.depth)) + GAP);
    const wide = Math.max(
        ...columns.flat().map((slab) => 2 * Math.abs(slab.x) + slab.width),
    );
    const pitch = wide + BETWEEN_ROWS;
    const total = deep.reduce((sum, depth) => sum + depth, 0);
    const rows = Math.max(1, Math.round(Math.sqrt(total / (SHAPE * pitch))));
    const length = total / rows;
    let z = 0;
    let row = 0;
    columns.forEach((slabs, i) => {
        if (z + deep[i]! / 2 > length && row + 1 < rows) {
            z = 0;
            row++;
        }
        for (const slab of slabs) {
            slab.z = z + deep[i]! / 2 - length / 2;
            slab.x += ((rows - 1) / 2 - row) * pitch;
        }
        z += deep[i]!;
    });
}

/** The slabs of a model, those of one depth side by side. */
export function slabsOf(report: Report): Slab[] {
    const assumed = report.work?.assumed ?? {};
    const depth = depths(report);
    const byDepth = new Map<number, number[]>();
    for (const i of chosenNodes(report)) {
        const nodes = byDepth.get(depth[i]!);
        if (nodes) nodes.push(i);
        else byDepth.set(depth[i]!, [i]);
    }
    const columns = [...byDepth]
        .sort(([a], [b]) => a - b)
        .map(([, nodes]) => column(report, nodes, assumed));
    if (columns.length > 0) inRows(columns);
    return columns.flat();
}
