import { describe, expect, test } from "vitest";
import { synthetic } from "../../bench/synthetic";
import { operatorCategory } from "../../src/graph/categories";
import { countText, shapeText, typeText } from "../../src/graph/format";
import { buildModel, groupOfPath } from "../../src/graph/model";
import { SearchIndex } from "../../src/graph/search";
import type { Report, ReportNode } from "../../src/report";

function node(
    op: string,
    inputs: string[],
    output: string,
    module?: string,
): ReportNode {
    const type = {
        name: output,
        kind: "tensor" as const,
        dtype: "float32",
        shape: [2],
    };
    return {
        name: `node_${output}`,
        op,
        domain: "ai.onnx",
        opset: 20,
        output_shape: [2],
        dtype: "float32",
        param_key: null,
        param_keys: [],
        inputs,
        outputs: [output],
        output_types: [type],
        ...(module === undefined ? {} : { module }),
    };
}

/** A report of nodes, with the modules that their paths name. */
function reportOf(nodes: ReportNode[], classes: Record<string, string> = {}): Report {
    const report = synthetic(0, false);
    const paths = new Set<string>([""]);
    for (const { module } of nodes) {
        const parts = module ? module.split(".") : [];
        parts.forEach((_, k) => paths.add(parts.slice(0, k + 1).join(".")));
    }
    const list = [...paths];
    const modules = list.map((path) => {
        const parent = path
            ? list.indexOf(path.split(".").slice(0, -1).join("."))
            : null;
        const inside = nodes.filter(({ module = "" }) =>
            `${module}.`.startsWith(path + "."),
        );
        const none = { param_elements: 0, param_bytes: 0, macs: 0 };
        return {
            path,
            class: classes[path] ?? "",
            parent,
            nodes: inside.length,
            ...none,
        };
    });
    const last = nodes.at(-1)?.outputs[0] ?? "x";
    const outputs = [
        { name: last, kind: "tensor" as const, dtype: "float32", shape: [2] },
    ];
    return { ...report, nodes, modules, outputs };
}

describe("groups", () => {
    test("layers of one structure are a run, which is counted", () => {
        const model = buildModel(synthetic(31 * 12, true));
        const run = model.groups.find((group) => group.run > 1)!;
        expect([run.run, run.title, run.subtitle]).toEqual([
            12,
            "Layer",
            "layers.0 … 11",
        ]);
        expect(run.members).toHaveLength(12);
        expect(run.nodes).toBe(31 * 12);
        expect(groupOfPath(model, "layers.0")).not.toBe(run.id);
    });

    test("a layer that is different ends the run", () => {
        const report = synthetic(31 * 4, true);
        report.nodes[31 * 2 + 28]!.op = "Relu";
        const model = buildModel({
            ...report,
            modules: report.modules.map((module) => ({ ...module, class: "" })),
        });
        const layers = model.groups[0]!.members.filter((member) => member < 0);
        expect(layers.map((member) => model.groups[~member]!.run)).toEqual([2, 1, 1]);
    });

    test("what the compiler says of structures is believed", () => {
        const report = synthetic(31 * 4, true);
        const modules = report.modules.map((module, i) => ({ ...module, kind: i }));
        const model = buildModel({ ...report, modules });
        expect(model.groups.every((group) => group.run === 1)).toBe(true);
    });

    test("parallel modules of one structure are counted, but no run", () => {
        const model = buildModel(synthetic(31, true));
        const query = model.groups[groupOfPath(model, "layers.0.attention.query")]!;
        expect([query.run, query.alike]).toEqual([1, 4]);
    });

    test("a module of one node is that node; nodes without module are at the top", () => {
        const nodes = [node("Conv", ["x"], "a", "stem.conv"), node("Relu", ["a"], "b")];
        const model = buildModel(reportOf(nodes));
        expect(model.groups).toHaveLength(1);
        expect(model.entities[0]).toMatchObject({
            name: "stem.conv",
            group: 0,
            alone: true,
        });
        expect(model.entities[1]).toMatchObject({
            name: "node_b",
            group: 0,
            alone: false,
        });
    });

    test("a module that is called in several places is no group", () => {
        const nodes = [
            node("Conv", ["x"], "a", "block.conv1"),
            node("Relu", ["a"], "b", "block.relu"),
            node("Conv", ["b"], "c", "block.conv2"),
            node("Relu", ["c"], "d", "block.relu"),
        ];
        const model = buildModel(reportOf(nodes));
        expect(model.groups.map((group) => group.path)).toEqual(["", "block"]);
        expect(model.groups[1]!.members).toEqual([0, 1, 2, 3]);
    });

    test("a module of nothing but a run is named after its members", () => {
        const nodes = [0, 1, 2].flatMap((i) => [
            node("Conv", [i ? `r${i - 1}` : "x"], `c${i}`, `stage.${i}.conv`),
            node("Relu", [`c${i}`], `r${i}`, `stage.${i}.relu`),
        ]);
        const classes = {
            stage: "Stage",
            "stage.0": "B",
            "stage.1": "B",
            "stage.2": "B",
        };
        const model = buildModel(reportOf(nodes, classes));
        const stage = model.groups[groupOfPath(model, "stage")]!;
        expect([stage.run, stage.title, stage.subtitle]).toEqual([
            3,
            "B",
            "stage · Stage",
        ]);
        expect(stage.members).toHaveLength(3);
        expect(model.groups[~stage.members[1]!]!.label).toBe("1");
    });
});

describe("edges", () => {
    test("are those of inputs, nodes and outputs", () => {
        const nodes = [node("Add", ["x", "mask"], "a"), node("Mul", ["a", "a"], "b")];
        const model = buildModel(reportOf(nodes));
        const pairs = [];
        for (let i = 0; i < model.edges.length; i += 3) {
            pairs.push([model.edges[i], model.edges[i + 1]]);
        }
        expect(pairs).toEqual([
            [2, 0],
            [3, 0],
            [0, 1],
            [1, 4],
        ]);
    });

    test("a loop reads what its body takes from outside, not what is inside", () => {
        const body = {
            attribute: "body",
            inputs: ["i", "x"],
            outputs: ["q"],
            nodes: [node("Mul", ["i", "a", "x"], "p"), node("Add", ["p", "mask"], "q")],
        };
        const loop = { ...node("Loop", [""], "b"), subgraphs: [body] };
        const model = buildModel(reportOf([node("Relu", ["x"], "a"), loop]));
        const read = [];
        for (let i = 0; i < model.edges.length; i += 3) {
            if (model.edges[i + 1] === 1)
                read.push(model.values[model.edges[i + 2]!]!.name);
        }
        expect(read.sort()).toEqual(["a", "mask"]);
    });
});

describe("search", () => {
    const report = synthetic(62, true);
    const search = new SearchIndex(buildModel(report), report);
    const titles = (query: string) => search.find(query).map((found) => found.title);

    test("by operator, whole words first", () => {
        expect(new Set(titles("softmax"))).toEqual(new Set(["Softmax"]));
        expect(titles("add")[0]).toBe("Add");
    });
    test("by module and class", () => {
        const found = search.find("layers.1.attention");
        expect(found[0]).toMatchObject({ kind: "group", detail: "layers.1.attention" });
        expect(titles("mlp")).toContain("Mlp");
    });
    test("by shape, however it is written", () => {
        for (const query of [
            "1x8x128x32",
            "[1, 8, 128, 32]",
            "1×8×128×32",
            "8,128,32",
        ]) {
            expect(new Set(titles(query))).toEqual(
                new Set(["Reshape", "Transpose", "MatMul"]),
            );
        }
    });
    test("every word counts, and nothing finds nothing", () => {
        expect(search.find("reshape layers.0")).toHaveLength(4);
        expect(search.find("reshape nowhere")).toEqual([]);
        expect(search.find("  ")).toEqual([]);
        expect(search.find("mask")[0]).toMatchObject({ kind: "entity", title: "mask" });
    });
    test("names that are hostile are only text", () => {
        expect(search.find("(.*[")).toEqual([]);
    });
});

test("texts", () => {
    expect(shapeText([1, "batch", null])).toBe("1×batch×?");
    expect([shapeText([]), shapeText(null)]).toEqual(["scalar", ""]);
    expect([0, 999, 1000, 11689512, 999999].map(countText)).toEqual([
        "0",
        "999",
        "1.00 k",
        "11.7 M",
        "1.00 M",
    ]);
    const elem = { kind: "tensor" as const, dtype: "int64", shape: [3] };
    expect(typeText({ kind: "sequence", elem })).toBe("sequence of int64 3");
    expect(["Conv", "Gelu", "Foo"].map(operatorCategory)).toEqual([
        "conv",
        "activation",
        "math",
    ]);
});
