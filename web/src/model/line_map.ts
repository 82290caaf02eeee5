/** Which lines of the module a node became, and back. */

type Span = readonly [first: number, last: number];

/** What `ox_line_map` writes. */
export interface LineMapJson {
    version: number;
    nodes: { node: number; lines: [number, number][] }[];
    functions: {
        name: string;
        class: string;
        lines: [number, number];
        modules: string[];
        calls?: [number, number][];
    }[];
    params?: { name: string; lines: [number, number][] }[];
}

/** A function of the module that stands for modules of the model, and where it is called. */
export interface MappedFunction {
    name: string;
    lines: Span;
    modules: string[];
    calls?: Span[];
}

/** The map from nodes to lines, which count from 1, and from lines to nodes. */
export interface LineMap {
    linesOf(node: number): readonly Span[];
    /** Nodes of a line, those that have the fewest lines first. */
    nodesAt(line: number): readonly number[];
    /** Where a parameter is read. */
    linesOfParam(name: string): readonly Span[];
    readonly functions: readonly MappedFunction[];
    readonly empty: boolean;
}

const NONE: readonly never[] = [];

/** Reads what `ox_line_map` wrote; "" is a map of nothing. */
export const readLineMap = (text: string): LineMap =>
    indexLines(text ? (JSON.parse(text) as LineMapJson) : null);

/** The map of what was read; null is a map of nothing. */
export function indexLines(read: LineMapJson | null): LineMap {
    const json = read ?? { version: 1, nodes: [], functions: [] };
    const lines = new Map<number, Span[]>();
    const size = (node: number) =>
        (lines.get(node) ?? NONE).reduce((sum, [a, b]) => sum + b - a + 1, 0);
    for (const entry of json.nodes) lines.set(entry.node, entry.lines);
    const params = new Map(json.params?.map((param) => [param.name, param.lines]));
    const nodes = new Map<number, number[]>();
    for (const [node, spans] of lines) {
        for (const [first, last] of spans) {
            for (let line = first; line <= last; line++) {
                const list = nodes.get(line);
                if (!list) nodes.set(line, [node]);
                else if (!list.includes(node)) list.push(node);
            }
        }
    }
    for (const list of nodes.values()) list.sort((a, b) => size(a) - size(b) || a - b);
    return {
        linesOf: (node) => lines.get(node) ?? NONE,
        nodesAt: (line) => nodes.get(line) ?? NONE,
        linesOfParam: (name) => params.get(name) ?? NONE,
        functions: json.functions,
        empty: lines.size === 0,
    };
}
