import { describe, expect, it } from "vitest";
import { squarify } from "../../src/report/squarify";
import { boxOf, slabsOf } from "../../src/three/slabs";
import { bytesText, countText, floatText, shareText } from "../../src/text";
import type { Report } from "../../src/report";

describe("squarify", () => {
    it("gives areas in proportion, inside the box, without overlap", () => {
        const sizes = [6, 6, 4, 3, 2, 2, 1];
        const boxes = squarify(sizes, { x: 10, y: 0, width: 6, height: 4 });
        boxes.forEach((box, i) => {
            expect(box.width * box.height).toBeCloseTo(sizes[i]!, 9);
            expect(box.x).toBeGreaterThanOrEqual(10);
            expect(box.x + box.width).toBeLessThanOrEqual(16 + 1e-9);
            expect(box.y + box.height).toBeLessThanOrEqual(4 + 1e-9);
        });
        for (const a of boxes)
            for (const b of boxes) {
                if (a === b) continue;
                const w = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
                const h = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
                expect(w > 1e-9 && h > 1e-9).toBe(false);
            }
        // The first row of the paper's example: two sixes on the left, 3 wide and 2 high.
        expect(boxes[0]).toMatchObject({ width: 3, height: 2 });
    });
    it("takes nothing and no room", () => {
        expect(squarify([], { x: 0, y: 0, width: 1, height: 1 })).toEqual([]);
        const [box] = squarify([1], { x: 0, y: 0, width: 0, height: 5 });
        expect(box!.width * box!.height).toBe(0);
    });
});

describe("slabs", () => {
    it("have pixels for a face and channels for a depth", () => {
        const [w, h, d] = boxOf([64, 56, 56]);
        expect(w).toBe(h);
        expect(boxOf([128, 56, 56])[2]).toBeGreaterThan(d);
        expect(boxOf([10])[0]).toBeGreaterThan(0);
    });
    it("stand side by side where branches are, and leave shape arithmetic out", () => {
        const node = (
            op: string,
            inputs: string[],
            output: string,
            dtype = "float32",
        ) => ({
            name: output,
            op,
            inputs,
            outputs: [output],
            dtype,
            output_shape: [1, 8, 4, 4],
            param_keys: [],
        });
        const report = {
            nodes: [
                node("Conv", ["x"], "a"),
                node("Relu", ["a"], "b"),
                node("Tanh", ["a"], "c"),
                node("Shape", ["a"], "s", "int64"),
                node("Transpose", ["a"], "t"),
                node("Add", ["b", "c"], "d"),
            ],
        } as unknown as Report;
        const slabs = slabsOf(report);
        expect(slabs.map((s) => s.label)).toEqual(["a", "b", "c", "d"]);
        expect(slabs[1]!.z).toBe(slabs[2]!.z);
        expect(slabs[1]!.x).toBeLessThan(slabs[2]!.x);
        expect(slabs[3]!.z).toBeGreaterThan(slabs[2]!.z);
    });
});

it("numbers read well", () => {
    expect(bytesText(46_827_520).replace("\u00a0", " ")).toBe("46.8 MB");
    expect(bytesText(999).replace("\u00a0", " ")).toBe("999 B");
    expect(countText(11_689_512).replace("\u00a0", " ")).toBe("11.7 M");
    expect(countText(0)).toBe("0");
    expect(floatText(0.052_345_678)).toBe("0.05235");
    expect(floatText(-1.234e-7)).toBe("-1.23e-7");
    expect(shareText(1, 0)).toBe("–");
});
