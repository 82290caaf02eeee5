/** Who makes and who reads the values of a model. */
import type { Report, ReportParam, ReportValue } from "../report";

/** A value by its name: its type, and the nodes around it by index. */
export interface ValueEntry {
    value: ReportValue | ReportParam;
    role: "input" | "parameter" | "constant" | "value";
    producer: number | null;
    consumers: number[];
}

const kept = new WeakMap<Report, Map<string, ValueEntry>>();

/** All values of the outer graph; made once for a report. */
export function valuesOf(report: Report): Map<string, ValueEntry> {
    let values = kept.get(report);
    if (!values) kept.set(report, (values = collect(report)));
    return values;
}

function collect(report: Report): Map<string, ValueEntry> {
    const values = new Map<string, ValueEntry>();
    const add = (
        value: ReportValue | ReportParam,
        role: ValueEntry["role"],
        producer: number | null,
    ) => values.set(value.name, { value, role, producer, consumers: [] });
    for (const input of report.inputs) add(input, "input", null);
    for (const param of report.params) add(param, "parameter", null);
    for (const constant of report.constants) add(constant, "constant", null);
    report.nodes.forEach((node, i) => {
        for (const type of node.output_types) if (type?.name) add(type, "value", i);
    });
    report.nodes.forEach((node, i) => {
        for (const name of new Set(node.inputs)) values.get(name)?.consumers.push(i);
    });
    return values;
}

/** "float32[batch,3,224,224]", as the command line writes it. */
export function typeOf(value: ReportValue | ReportParam): string {
    const dims = value.shape?.map((dim) => dim ?? "?").join(",");
    const kind = "kind" in value && value.kind !== "tensor" ? `${value.kind} ` : "";
    return `${kind}${value.dtype ?? ""}${dims === undefined ? "" : `[${dims}]`}`;
}
