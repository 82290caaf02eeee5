/** What is said of a thing: in the tooltip, and to those who cannot see the canvas. */
import type { Report, ReportParam } from "../report";
import { countText, shapeText, typeText } from "./format";
import type { Hit } from "./hit";
import type { GraphModel } from "./model";
import type { Scene } from "./scene";
import { graphStrings } from "../strings";

/** A heading and lines of two columns. */
export interface Description {
    title: string;
    subtitle: string;
    rows: [string, string][];
}

const ROWS_MAX = 8;

function valueRow(model: GraphModel, value: number): [string, string] {
    const { name, dtype, shape } = model.values[value]!;
    return [name, [dtype, shape].filter(Boolean).join(" ")];
}

/** Parameters and values of a report by name. */
interface Names {
    params: Map<string, ReportParam>;
    values: Map<string, number>;
}

const namesOf = new WeakMap<Report, Names>();

function lookUp(model: GraphModel, report: Report): Names {
    let names = namesOf.get(report);
    if (names) return names;
    names = {
        params: new Map(report.params.map((param) => [param.name, param])),
        values: new Map(model.values.map((value, i) => [value.name, i])),
    };
    namesOf.set(report, names);
    return names;
}

function describeNode(model: GraphModel, report: Report, entity: number): Description {
    const node = report.nodes[entity]!;
    const rows: [string, string][] = [];
    const outputs = node.output_types.filter((type) => type !== null);
    const { params, values } = lookUp(model, report);
    for (const name of node.inputs) {
        const value = values.get(name);
        const param = params.get(name);
        if (value !== undefined) rows.push([`→ ${name}`, valueRow(model, value)[1]]);
        else if (param)
            rows.push([name, `${param.dtype ?? ""} ${shapeText(param.shape)}`]);
    }
    const shown = rows.slice(0, ROWS_MAX);
    for (const type of outputs.slice(0, ROWS_MAX)) {
        shown.push([`${type.name} →`, typeText(type)]);
    }
    return { title: node.op, subtitle: node.module || node.name, rows: shown };
}

function describePort(model: GraphModel, entity: number): Description {
    const { title, name, shape, dtype } = model.entities[entity]!;
    return { title, subtitle: name, rows: [[dtype, shape]] };
}

function describeGroup(model: GraphModel, id: number): Description {
    const group = model.groups[id]!;
    const rows: [string, string][] = [[graphStrings.group(group.nodes), ""]];
    if (group.run > 1) rows.push([graphStrings.run(group.run), ""]);
    if (group.alike > 1) rows.push([graphStrings.alike(group.alike), ""]);
    if (group.params > 0) rows.push([graphStrings.params, countText(group.params)]);
    if (group.macs > 0) rows.push([graphStrings.macs, countText(group.macs)]);
    return { title: group.title, subtitle: group.own ? group.path : group.label, rows };
}

/** The description of a box. */
export function describeBox(
    model: GraphModel,
    report: Report,
    scene: Scene,
    b: number,
): Description | null {
    const box = scene.boxes[b];
    if (!box) return null;
    if (box.entity < 0) return describeGroup(model, box.group);
    if (box.entity >= model.nodeCount) return describePort(model, box.entity);
    return describeNode(model, report, box.entity);
}

function describeValue(model: GraphModel, value: number): Description {
    const { name, dtype, shape, from } = model.values[value]!;
    return {
        title: name,
        subtitle: model.entities[from]!.title,
        rows: [[dtype, shape]],
    };
}

/** The description of what was hit; null: nothing. */
export function describeHit(
    model: GraphModel,
    report: Report,
    scene: Scene,
    hit: Hit,
): Description | null {
    if (hit.kind === "none") return null;
    if (hit.kind === "stub") {
        const { value } = scene.stubs[hit.stub]!;
        const said = describeValue(model, value);
        return { ...said, rows: [...said.rows, [graphStrings.jump, ""]] };
    }
    if (hit.kind !== "wire") return describeBox(model, report, scene, hit.box);
    const { values } = scene.wires[hit.wire]!;
    if (values.length === 1) return describeValue(model, values[0]!);
    const rows = values.slice(0, ROWS_MAX).map((value) => valueRow(model, value));
    return { title: graphStrings.values(values.length), subtitle: "", rows };
}

/** One sentence or two, for a screen reader. */
export function speak(
    model: GraphModel,
    report: Report,
    scene: Scene,
    b: number,
    counts: { before: number; after: number },
): string {
    const said = describeBox(model, report, scene, b);
    const box = scene.boxes[b];
    if (!said || !box) return graphStrings.nothing;
    const words = [`${said.title} ${said.subtitle}`.trim()];
    if (box.entity >= 0) {
        const { dtype, shape, weight } = model.entities[box.entity]!;
        words.push(`${dtype} ${shape}`.trim());
        if (weight) words.push(`${graphStrings.weight} ${weight}`);
    } else {
        const state = box.type === "open" ? graphStrings.open : graphStrings.closed;
        words.push(...said.rows.map((row) => row.join(" ").trim()), state);
    }
    if (box.type !== "open") {
        words.push(
            graphStrings.inputs(counts.before),
            graphStrings.readers(counts.after),
        );
    }
    return words.filter(Boolean).join(", ");
}
