/**
 * The graph as the view needs it: the tree of modules with its repeated members, and
 * edges between nodes, inputs and outputs.  Plain data, so that a worker can have it.
 *
 * An entity is a node (its index in the report), a graph input (nodes.length + i) or a
 * graph output (nodes.length + inputs.length + i).
 */
import type { Report, ReportNode, ReportParam, ReportValue } from "../report";
import { type Category, operatorCategory } from "./categories";
import { dtypeText, shapeText } from "./format";
import { buildTree } from "./tree";

/** A module, or a run of modules of one structure; group 0 is the model. */
export interface Group {
    id: number;
    /** -1 for the model. */
    parent: number;
    /** Of the module; of a run: of its first member. */
    path: string;
    /** What the path adds to that of the parent. */
    label: string;
    /** Class of the module, "" where the file does not say. */
    cls: string;
    /** What the group goes by, and what is said beside it. */
    title: string;
    subtitle: string;
    /** How many modules of one structure it stands for or is made of; 1: none. */
    run: number;
    /** Whether it is a module itself; a run among other members is not. */
    own: boolean;
    /** Groups of the same kind have the same structure. */
    kind: number;
    /** Siblings with the same structure, itself included. */
    alike: number;
    /** In order of their first nodes: entities as they are, groups as ~id. */
    members: number[];
    /** Nodes inside, at any depth. */
    nodes: number;
    params: number;
    macs: number;
    depth: number;
    category: Category;
}

/** What a card of a node, an input or an output says. */
export interface Entity {
    title: string;
    name: string;
    shape: string;
    dtype: string;
    category: Category;
    /** Innermost group that shows it. */
    group: number;
    /** Shape of the first parameter, "" without parameters. */
    weight: string;
    /** Whether the node is all that its module has; the module is then no group. */
    alone: boolean;
}

/** A value between entities; parameters and constants are none. */
export interface Value {
    name: string;
    shape: string;
    dtype: string;
    /** Entity that puts it out. */
    from: number;
}

/** The data of a graph. */
export interface GraphModel {
    groups: Group[];
    entities: Entity[];
    nodeCount: number;
    inputCount: number;
    values: Value[];
    /** Triples (entity, entity, value), in order of the reading node. */
    edges: Int32Array;
}

interface Values {
    list: Value[];
    byName: Map<string, number>;
}

function addValue(values: Values, type: ReportValue, from: number): void {
    if (!type.name || values.byName.has(type.name)) return;
    values.byName.set(type.name, values.list.length);
    values.list.push({
        name: type.name,
        shape: shapeText(type.shape),
        dtype: type.kind === "tensor" ? (type.dtype ?? "") : type.kind,
        from,
    });
}

function collectValues(report: Report): Values {
    const values: Values = { list: [], byName: new Map() };
    report.inputs.forEach((input, i) => {
        addValue(values, input, report.nodes.length + i);
    });
    report.nodes.forEach((node, i) => {
        for (const type of node.output_types) if (type) addValue(values, type, i);
    });
    return values;
}

/** What a node reads, with what the graphs in its attributes read from outside. */
function readNames(node: ReportNode, names: Set<string>): void {
    for (const name of node.inputs) if (name) names.add(name);
    for (const graph of node.subgraphs ?? []) {
        const inside = new Set(graph.inputs);
        const read = new Set<string>(graph.outputs);
        for (const inner of graph.nodes) {
            readNames(inner, read);
            for (const name of inner.outputs) inside.add(name);
        }
        for (const name of read) if (!inside.has(name)) names.add(name);
    }
}

function collectEdges(report: Report, values: Values): Int32Array {
    const edges: number[] = [];
    const add = (name: string, to: number): void => {
        const value = values.byName.get(name);
        if (value !== undefined) edges.push(values.list[value]!.from, to, value);
    };
    report.nodes.forEach((node, i) => {
        const names = new Set<string>();
        readNames(node, names);
        for (const name of names) add(name, i);
    });
    const first = report.nodes.length + report.inputs.length;
    report.outputs.forEach((output, i) => add(output.name, first + i));
    return Int32Array.from(edges);
}

/** The part of a node's name that says most: its module's, or else its own last. */
function nodeLabel(node: ReportNode): string {
    if (node.module) return node.module;
    const parts = node.name.split(/[/.]/).filter(Boolean);
    return parts.at(-1) ?? "";
}

function nodeEntity(node: ReportNode, params: Map<string, ReportParam>): Entity {
    const param = node.param_key ? params.get(node.param_key) : undefined;
    return {
        title: node.op,
        name: nodeLabel(node),
        shape: shapeText(node.output_shape),
        dtype: dtypeText(node.dtype),
        category: operatorCategory(node.op),
        group: 0,
        weight: param ? shapeText(param.shape) : "",
        alone: false,
    };
}

function portEntity(type: ReportValue, what: string): Entity {
    const dtype = dtypeText(type.kind === "tensor" ? type.dtype : type.kind);
    return {
        title: type.name,
        name: what,
        shape: shapeText(type.shape),
        dtype,
        category: "data",
        group: 0,
        weight: "",
        alone: false,
    };
}

/** Labels of nodes relative to the group that shows them. */
function shortenNames(model: GraphModel): void {
    for (let i = 0; i < model.nodeCount; i++) {
        const entity = model.entities[i]!;
        const path = model.groups[entity.group]!.path;
        if (entity.name === path) entity.name = "";
        else if (path && entity.name.startsWith(path + ".")) {
            entity.name = entity.name.slice(path.length + 1);
        }
    }
}

/** The graph of a report. */
export function buildModel(report: Report): GraphModel {
    const params = new Map(report.params.map((param) => [param.name, param]));
    const values = collectValues(report);
    const entities = [
        ...report.nodes.map((node) => nodeEntity(node, params)),
        ...report.inputs.map((input) => portEntity(input, "input")),
        ...report.outputs.map((output) => portEntity(output, "output")),
    ];
    const edges = collectEdges(report, values);
    const model: GraphModel = {
        groups: buildTree(report, entities, edges),
        entities,
        nodeCount: report.nodes.length,
        inputCount: report.inputs.length,
        values: values.list,
        edges,
    };
    shortenNames(model);
    return model;
}

/** Ids of the groups around an entity, innermost first, the model last. */
export function enclosing(model: GraphModel, entity: number): number[] {
    return ancestors(model, model.entities[entity]!.group);
}

/** A group and those around it, innermost first. */
export function ancestors(model: GraphModel, group: number): number[] {
    const chain: number[] = [];
    for (let g = group; g >= 0; g = model.groups[g]!.parent) chain.push(g);
    return chain;
}

/** The group of a module path (not a run); -1: none, as for modules without nodes. */
export function groupOfPath(model: GraphModel, path: string): number {
    return model.groups.findIndex((g) => g.own && g.path === path);
}
