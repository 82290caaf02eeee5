/**
 * Which models `oxide_xla_core.wasm` is enough for: the module without the operators of
 * these domains, which is what a page loads first.
 */

/** Domains whose operators it lacks (cmake/wasm_module.cmake). */
const WITHOUT = ["com.microsoft", "ai.onnx.ml"];

interface Operator {
    domain: string;
    subgraphs?: { nodes: Operator[] }[];
}

interface Report {
    model: { functions: { domain: string }[] };
    nodes: Operator[];
    unsupported: unknown[];
}

/**
 * Whether `oxide_xla_core.wasm` says of a model what `oxide_xla.wasm` says, byte for byte.
 *
 * @param report What `Model.inspect` gave, in either of them. A model that it throws for is
 *   for `oxide_xla.wasm`.
 */
export function coreIsEnough(report: string): boolean {
    const { model, nodes, unsupported } = JSON.parse(report) as Report;
    const foreign = ({ domain }: { domain: string }) => WITHOUT.includes(domain);
    // Hints about an operator that there is none of name others, of any domain.
    if (unsupported.length > 0 || model.functions.some(foreign)) return false;
    const open = [...nodes];
    for (let node = open.pop(); node; node = open.pop()) {
        if (foreign(node)) return false;
        for (const graph of node.subgraphs ?? [])
            for (const inner of graph.nodes) open.push(inner);
    }
    return true;
}
