/** From a selection to lines, and from a line to nodes. */
import type { Selection } from "../graph";
import type { LineMap } from "../model/line_map";
import { valuesOf } from "../model/values";
import type { Report } from "../report";

/** Lines that belong to a selection. */
export interface SelectedLines {
    lines: ReadonlySet<number>;
    first: number | null;
}

const isInside = (path: string | undefined, module: string) =>
    path !== undefined &&
    (module === "" || path === module || path.startsWith(`${module}.`));

function nodesOf(report: Report, selection: Selection): number[] {
    if (selection.kind === "node") return [selection.node];
    if (selection.kind === "value") {
        const entry = valuesOf(report).get(selection.name);
        if (!entry) return [];
        if (entry.role === "parameter") return [];
        return entry.producer === null ? entry.consumers : [entry.producer];
    }
    if (selection.path === "") return [];
    const inside: number[] = [];
    report.nodes.forEach((node, i) => {
        if (isInside(node.module, selection.path)) inside.push(i);
    });
    return inside;
}

/** The lines of the selected node, or of all nodes of a module. */
export function linesOfSelection(
    report: Report | null,
    map: LineMap,
    selection: Selection | null,
): SelectedLines {
    const lines = new Set<number>();
    if (!report || !selection) return { lines, first: null };
    const spans = nodesOf(report, selection).flatMap((node) => map.linesOf(node));
    if (selection.kind === "value") spans.push(...map.linesOfParam(selection.name));
    if (selection.kind === "module") {
        // The whole function where the module has one, its head and docstring too.
        const own = map.functions.find((f) => f.modules.includes(selection.path));
        if (own) spans.push(own.lines);
    }
    for (const [from, to] of spans) {
        for (let line = from; line <= to; line++) lines.add(line);
    }
    return { lines, first: lines.size > 0 ? Math.min(...lines) : null };
}

/**
 * The node that a click on a line means: one of the selected module or beside the selected
 * node where there is one, else the first of those that have the fewest lines.
 */
export function nodeToSelect(
    report: Report | null,
    map: LineMap,
    line: number,
    selection: Selection | null,
): number | null {
    const nodes = map.nodesAt(line);
    const first = nodes[0];
    if (!report || first === undefined) return null;
    if (selection?.kind === "module") {
        const near = nodes.find((n) =>
            isInside(report.nodes[n]?.module, selection.path),
        );
        if (near !== undefined) return near;
    }
    if (selection?.kind === "node") {
        // A second click on a line of a shared function goes on to its next instance.
        const at = nodes.indexOf(selection.node);
        if (at >= 0) return nodes[(at + 1) % nodes.length]!;
    }
    return first;
}

/** The nodes of a line. */
export const nodesToLight = (map: LineMap, line: number): ReadonlySet<number> =>
    new Set(map.nodesAt(line));
