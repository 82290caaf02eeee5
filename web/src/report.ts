/**
 * What `oxide_xla inspect --format json` writes, as types.  Fields that only newer
 * versions of the report carry are optional.
 */

/** A dimension: a number, a symbol or an expression of symbols; null: unknown. */
export type Dim = number | string | null;

/** The type of a value; `shape` is null where not even the rank is known. */
export interface ValueType {
    kind: "tensor" | "sequence" | "optional" | "map";
    dtype?: string | null;
    shape?: Dim[] | null;
    elem?: ValueType;
}

/** An input, an output or an intermediate value. */
export interface ReportValue extends ValueType {
    name: string;
}

/** A parameter or a constant; `bytes` as stored in the file. */
export interface ReportParam {
    name: string;
    dtype: string | null;
    shape: Dim[] | null;
    bytes: number;
}

/** A graph in an attribute of a node: the body of a loop, a branch of an If. */
export interface ReportSubgraph {
    attribute: string;
    inputs: string[];
    outputs: string[];
    nodes: ReportNode[];
}

/** A node; inputs and outputs that are absent are "". */
export interface ReportNode {
    name: string;
    op: string;
    domain: string;
    opset: number;
    output_shape: Dim[] | null;
    dtype: string | null;
    param_key: string | null;
    param_keys: string[];
    /** Numbers, texts, lists of them; of others what they are. */
    attributes?: Record<string, unknown>;
    inputs: string[];
    outputs: string[];
    output_types: (ReportValue | null)[];
    /** Path of its module, and the place of that in `modules` (schema 3). */
    module?: string;
    module_index?: number;
    /** Multiply-adds, and bytes that it puts out; null: not known (schema 3). */
    macs?: number | null;
    activation_bytes?: number | null;
    subgraphs?: ReportSubgraph[];
}

/** A module that the compiler found, with sums over all that is inside. */
export interface ReportModule {
    path: string;
    class: string;
    /** Index in `modules`; null for the model itself, whose path is "". */
    parent: number | null;
    nodes: number;
    param_elements: number;
    param_bytes: number;
    macs: number;
    /** Modules of the same kind have the same structure (schema 3). */
    kind?: number;
    /** Bytes of what the nodes inside put out (schema 3). */
    activation_bytes?: number;
}

/** An operator that cannot be compiled. */
export interface ReportUnsupported {
    op: string;
    domain: string;
    opset: number;
    count: number;
    first_node: string;
    first_index: number;
}

/** The whole report. */
export interface Report {
    schema_version: number;
    model: {
        name: string;
        graph: string;
        producer: string;
        producer_version: string;
        domain: string;
        model_version: number;
        ir_version: number;
        opsets: Record<string, number>;
        functions: { domain: string; name: string; nodes: number }[];
        metadata: Record<string, string>;
        doc: string;
    };
    inputs: ReportValue[];
    outputs: ReportValue[];
    params: ReportParam[];
    constants: ReportParam[];
    nodes: ReportNode[];
    modules: ReportModule[];
    unsupported: ReportUnsupported[];
    /** What who ports the model should know, in sentences (schema 3). */
    notes?: string[];
    work?: {
        macs: number;
        activation_bytes?: number;
        expression: Dim;
        assumed: Record<string, number>;
        uncounted: number;
    };
    statistics: {
        nodes: number;
        subgraphs: number;
        ops: Record<string, number>;
        constants: number;
        params: number;
        param_elements: number;
        param_bytes: number;
    };
}
