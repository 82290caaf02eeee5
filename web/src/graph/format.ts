/** How shapes, types and numbers read in the graph. */
import type { Dim, ValueType } from "../report";
import { graphStrings } from "../strings";

/** "1×64×56×56"; "scalar"; "" where the shape is unknown. */
export function shapeText(shape: Dim[] | null | undefined): string {
    if (!shape) return "";
    if (shape.length === 0) return "scalar";
    return shape.map((dim) => (dim === null ? "?" : String(dim))).join("×");
}

const SHORT_DTYPES: Record<string, string> = {
    float32: "f32",
    float16: "f16",
    bfloat16: "bf16",
    float64: "f64",
    int64: "i64",
    int32: "i32",
    int8: "i8",
    uint8: "u8",
};

/** "f32" for "float32"; other names as they are. */
export function dtypeText(dtype: string | null | undefined): string {
    return dtype ? (SHORT_DTYPES[dtype] ?? dtype) : "";
}

/** "float32 1×64×56×56", "sequence of float32 3". */
export function typeText(type: ValueType): string {
    if (type.kind !== "tensor") {
        return type.elem ? `${type.kind} of ${typeText(type.elem)}` : type.kind;
    }
    return [type.dtype ?? "", shapeText(type.shape)].filter(Boolean).join(" ");
}

const UNITS: [number, string][] = [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
];

/** Three digits and a unit: "11.7 M", "380 M", "512". */
export function countText(n: number): string {
    for (const [size, unit] of UNITS) {
        if (n >= size * 0.9995) {
            const x = n / size;
            return `${x.toFixed(x < 9.995 ? 2 : x < 99.95 ? 1 : 0)} ${unit}`;
        }
    }
    return String(Math.round(n));
}

/**
 * How wide a text will be, in px at a font size; a little generous.  The worker has no
 * fonts to measure with, and the layout must not depend on those of a machine.
 */
export function textWidth(text: string, size: number, mono = false): number {
    if (mono) return text.length * size * 0.605;
    let width = 0;
    for (const c of text) {
        if ("iIljt.,:;'|!()[] ".includes(c)) width += 0.34;
        else if (c > "\u2e7f") width += 1;
        else if (c >= "A" && c <= "Z") width += c === "M" || c === "W" ? 0.9 : 0.7;
        else width += c === "m" || c === "w" ? 0.86 : 0.58;
    }
    return width * size;
}

/** "1.77 M params · 380 M MACs", or how many nodes there are. */
export function groupFacts(group: { params: number; macs: number; nodes: number }) {
    const facts: string[] = [];
    if (group.params > 0)
        facts.push(`${countText(group.params)} ${graphStrings.params}`);
    if (group.macs > 0) facts.push(`${countText(group.macs)} ${graphStrings.macs}`);
    return facts.length > 0 ? facts.join(" · ") : graphStrings.node(group.nodes);
}
