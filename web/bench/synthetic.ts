/**
 * Reports of models that are made up: transformers with residual lines, a mask that all
 * layers read, and as many nodes as asked for; with modules or without any.
 */
import type { Report, ReportModule, ReportNode } from "../src/report";

const SHAPE = [1, 128, 256];
const HEADS = [1, 8, 128, 32];

/** Operator, module within the layer, inputs: "x" what comes in, "mask", or steps. */
type Step = [
    op: string,
    module: string,
    inputs: (number | "x" | "mask")[],
    shape?: number[],
];

const LAYER: Step[] = [
    ["LayerNormalization", "norm1", ["x"]],
    ...["query", "key", "value"].flatMap((name, k): Step[] => [
        ["MatMul", `attention.${name}`, [0]],
        ["Add", `attention.${name}`, [1 + 4 * k]],
        ["Reshape", "attention", [2 + 4 * k], HEADS],
        ["Transpose", "attention", [3 + 4 * k], HEADS],
    ]),
    ["Transpose", "attention", [8], HEADS],
    ["MatMul", "attention", [4, 13], [1, 8, 128, 128]],
    ["Mul", "attention", [14], [1, 8, 128, 128]],
    ["Add", "attention", [15, "mask"], [1, 8, 128, 128]],
    ["Softmax", "attention", [16], [1, 8, 128, 128]],
    ["MatMul", "attention", [17, 12], HEADS],
    ["Transpose", "attention", [18], HEADS],
    ["Reshape", "attention", [19]],
    ["MatMul", "attention.output", [20]],
    ["Add", "attention.output", [21]],
    ["Add", "", [22, "x"]],
    ["LayerNormalization", "norm2", [23]],
    ["MatMul", "mlp.fc1", [24], [1, 128, 1024]],
    ["Add", "mlp.fc1", [25], [1, 128, 1024]],
    ["Gelu", "mlp", [26], [1, 128, 1024]],
    ["MatMul", "mlp.fc2", [27]],
    ["Add", "mlp.fc2", [28]],
    ["Add", "", [29, 23]],
];

const CLASSES: Record<string, string> = {
    "": "Layer",
    attention: "Attention",
    mlp: "Mlp",
    norm1: "LayerNorm",
    norm2: "LayerNorm",
};

const tensor = (name: string, shape: number[]) => ({
    name,
    kind: "tensor" as const,
    dtype: "float32",
    shape,
});

function layerNodes(layer: number, x: string, modules: boolean, count: number) {
    const name = (step: number): string => `l${layer}_${step}`;
    return LAYER.slice(0, count).map(
        ([op, module, inputs, shape = SHAPE], i): ReportNode => {
            const path = ["layers", String(layer), module].filter(Boolean).join(".");
            const names = inputs.map((k) =>
                k === "x" ? x : k === "mask" ? "mask" : name(k),
            );
            const weight = op === "MatMul" && module ? `${path}.weight` : null;
            return {
                name: `node_${name(i)}`,
                op,
                domain: "ai.onnx",
                opset: 20,
                output_shape: shape,
                dtype: "float32",
                param_key: weight,
                param_keys: weight ? [weight] : [],
                inputs: names,
                outputs: [name(i)],
                output_types: [tensor(name(i), shape)],
                ...(modules ? { module: path } : {}),
            };
        },
    );
}

function moduleOf(path: string, nodes: ReportNode[]): Omit<ReportModule, "parent"> {
    const inside = nodes.filter(
        (node) => !path || node.module === path || node.module?.startsWith(path + "."),
    );
    const weights = inside.filter((node) => node.param_key !== null).length;
    const key = path.replace(/^layers\.\d+\.?/, "");
    const cls = path.startsWith("layers.") ? (CLASSES[key] ?? "Linear") : "";
    const param_elements = weights * 65536;
    const macs = weights * 128 * 65536;
    const sums = { param_elements, param_bytes: 4 * param_elements, macs };
    return { path, class: cls, nodes: inside.length, ...sums };
}

/** Modules of the first layer, and the same for all others: counting is quadratic. */
function listModules(layers: ReportNode[][]): ReportModule[] {
    const all = moduleOf("", layers.flat());
    const modules: ReportModule[] = [{ ...all, parent: null }];
    layers.forEach((nodes, layer) => {
        const paths = new Set([`layers.${layer}`]);
        for (const node of nodes) {
            const parts = node.module!.split(".");
            for (let k = 3; k <= parts.length; k++)
                paths.add(parts.slice(0, k).join("."));
        }
        const at = new Map<string, number>();
        for (const path of [...paths].sort()) {
            const parent = at.get(path.slice(0, path.lastIndexOf("."))) ?? 0;
            at.set(path, modules.length);
            modules.push({ ...moduleOf(path, nodes), parent });
        }
    });
    return modules;
}

/** A report with `size` nodes. */
export function synthetic(size: number, modules: boolean): Report {
    const layers: ReportNode[][] = [];
    let x = "x";
    for (let left = size; left > 0; left -= LAYER.length) {
        const nodes = layerNodes(layers.length, x, modules, left);
        layers.push(nodes);
        x = nodes.at(-1)!.outputs[0]!;
    }
    const nodes = layers.flat();
    const keys = nodes.flatMap((node) => node.param_keys);
    const shape = [256, 256];
    const params = keys.map((name) => ({
        name,
        dtype: "float32",
        shape,
        bytes: 262144,
    }));
    const ops: Record<string, number> = {};
    for (const { op } of nodes) ops[op] = (ops[op] ?? 0) + 1;
    return {
        schema_version: 2,
        model: {
            name: `synthetic ${size}`,
            graph: "main",
            producer: "synthetic",
            producer_version: "",
            domain: "",
            model_version: 0,
            ir_version: 10,
            opsets: { "ai.onnx": 20 },
            functions: [],
            metadata: {},
            doc: "",
        },
        inputs: [tensor("x", SHAPE), tensor("mask", [1, 1, 1, 128])],
        outputs: [tensor(x, SHAPE)],
        params,
        constants: [],
        nodes,
        modules: modules ? listModules(layers) : [],
        unsupported: [],
        statistics: {
            nodes: nodes.length,
            subgraphs: 0,
            ops,
            constants: 0,
            params: params.length,
            param_elements: params.length * 65536,
            param_bytes: params.length * 262144,
        },
    };
}
