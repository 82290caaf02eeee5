import { expect, it } from "vitest";
import { linesOfSelection, nodeToSelect } from "../../src/code/linking";
import { readLineMap } from "../../src/model/line_map";
import type { Report } from "../../src/report";

// Two calls of one function (lines 10 to 12), and a node of its own in line 20.
const map = readLineMap(
    JSON.stringify({
        version: 1,
        nodes: [
            { node: 0, lines: [[11, 11]] },
            { node: 1, lines: [[11, 11]] },
            { node: 2, lines: [[20, 20]] },
        ],
        functions: [
            {
                name: "block",
                class: "Block",
                lines: [10, 12],
                modules: ["layer.0", "layer.1"],
                calls: [[19, 19]],
            },
        ],
        params: [{ name: "layer.0.weight", lines: [[11, 11]] }],
    }),
);
const node = (name: string, module: string, input: string) => ({
    name,
    module,
    inputs: [input],
    outputs: [name],
    output_types: [{ name, kind: "tensor" }],
});
const report = {
    inputs: [{ name: "x", kind: "tensor" }],
    outputs: [],
    params: [{ name: "layer.0.weight", dtype: "float32", shape: [1], bytes: 4 }],
    constants: [],
    nodes: [node("a", "layer.0", "x"), node("b", "layer.1", "a"), node("c", "", "b")],
} as unknown as Report;

const lines = (selection: Parameters<typeof linesOfSelection>[2]) => [
    ...linesOfSelection(report, map, selection).lines,
];

it("a selection has the lines of its nodes, a module those of its function", () => {
    expect(lines({ kind: "node", node: 1 })).toEqual([11]);
    expect(lines({ kind: "module", path: "layer.1" }).sort()).toEqual([10, 11, 12]);
    expect(lines({ kind: "value", name: "layer.0.weight" })).toEqual([11]);
    expect(lines({ kind: "value", name: "b" })).toEqual([11]);
    expect(lines({ kind: "value", name: "x" })).toEqual([11]);
    expect(lines(null)).toEqual([]);
    expect(linesOfSelection(report, map, { kind: "node", node: 2 }).first).toBe(20);
});

it("a line selects the instance that is looked at, or goes on to the next one", () => {
    expect(nodeToSelect(report, map, 11, null)).toBe(0);
    expect(nodeToSelect(report, map, 11, { kind: "module", path: "layer.1" })).toBe(1);
    expect(nodeToSelect(report, map, 11, { kind: "node", node: 0 })).toBe(1);
    expect(nodeToSelect(report, map, 11, { kind: "node", node: 1 })).toBe(0);
    expect(nodeToSelect(report, map, 5, null)).toBeNull();
});
