/** The modules of a model as a tree, with what each holds and computes. */
import { classCategory, type Category } from "../graph/categories";
import type { Report, ReportModule } from "../report";

/** What areas of the map may stand for. */
export const METRICS = ["params", "bytes", "flops", "activations"] as const;
/** One of them. */
export type Metric = (typeof METRICS)[number];

/** A module, or what a module does itself (`path` null). */
export interface ModuleTree {
    path: string | null;
    /** Its name from the module around it. */
    label: string;
    className: string;
    category: Category;
    params: number;
    bytes: number;
    flops: number;
    activations: number;
    children: ModuleTree[];
}

function treeOf(module: ReportModule, around: string): ModuleTree {
    const inner = around !== "" && module.path.startsWith(`${around}.`);
    return {
        path: module.path,
        label: inner ? module.path.slice(around.length + 1) : module.path,
        className: module.class,
        category: classCategory(module.class),
        params: module.param_elements,
        bytes: module.param_bytes,
        flops: 2 * module.macs,
        activations: module.activation_bytes ?? 0,
        children: [],
    };
}

/** The tree below the whole model; modules with parts have one more for their own work. */
export function moduleTree(report: Report, own: string): ModuleTree | null {
    const trees = report.modules.map((module) =>
        treeOf(
            module,
            module.parent === null ? "" : report.modules[module.parent]!.path,
        ),
    );
    report.modules.forEach((module, i) => {
        if (module.parent !== null) trees[module.parent]!.children.push(trees[i]!);
    });
    for (const tree of trees) {
        if (tree.children.length === 0) continue;
        const rest: ModuleTree = {
            ...tree,
            path: null,
            label: own,
            className: "",
            children: [],
        };
        for (const metric of METRICS) {
            const inside = tree.children.reduce((sum, child) => sum + child[metric], 0);
            rest[metric] = Math.max(0, tree[metric] - inside);
        }
        if (METRICS.some((metric) => rest[metric] > 0)) tree.children.push(rest);
    }
    return trees[report.modules.findIndex((module) => module.parent === null)] ?? null;
}

/** The module at `path` in the tree, and those around it, the whole model first. */
export function pathTo(root: ModuleTree, path: string): ModuleTree[] {
    const trail = [root];
    for (;;) {
        const here = trail.at(-1)!;
        if (here.path === path) return trail;
        const next = here.children.find(
            (child) =>
                child.path !== null &&
                (path === child.path || path.startsWith(`${child.path}.`)),
        );
        if (!next) return [root];
        trail.push(next);
    }
}

/** Children that a metric sees, the largest first. */
export function largestFirst(tree: ModuleTree, metric: Metric): ModuleTree[] {
    return tree.children
        .filter((child) => child[metric] > 0)
        .sort((a, b) => b[metric] - a[metric]);
}

/** "batch = 1, seq = 128"; "" where all sizes are known. */
export function assumedText(report: Report): string {
    return Object.entries(report.work?.assumed ?? {})
        .map(([name, size]) => `${name} = ${size}`)
        .join(", ");
}

/** Operators by how often they are there. */
export function operatorCounts(report: Report): [string, number][] {
    return Object.entries(report.statistics.ops).sort((a, b) => b[1] - a[1]);
}
