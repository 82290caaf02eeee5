import { expect, it } from "vitest";
import { statisticsOf } from "../../src/model/statistics";

const readerOf =
    (values: Float32Array | Int32Array) => (offset: number, length: number) =>
        new Uint8Array(values.buffer, offset, length);

it("counts what is not finite, and leaves it out of the rest", () => {
    const values = Float32Array.from([1, 2, 3, NaN, Infinity, 0, -2]);
    const s = statisticsOf("float32", values.length, readerOf(values));
    expect(s).toMatchObject({
        count: 7,
        nans: 1,
        infinities: 1,
        zeros: 1,
        min: -2,
        max: 3,
    });
    expect(s.mean).toBeCloseTo(0.8, 12);
    expect(s.deviation).toBeCloseTo(Math.sqrt((1 + 4 + 9 + 4) / 5 - 0.64), 12);
    expect(s.histogram.reduce((a, b) => a + b)).toBe(5);
});

it("reads in pieces, the last one short", () => {
    const n = 700_001;
    const values = Float32Array.from({ length: n }, (_, i) => i);
    const lengths: number[] = [];
    const s = statisticsOf("float32", n, (offset, length) => {
        lengths.push(length);
        return new Uint8Array(values.buffer, offset, length);
    });
    expect(Math.max(...lengths)).toBeLessThanOrEqual(1 << 20);
    expect(s).toMatchObject({ min: 0, max: n - 1 });
    expect(s.mean).toBeCloseTo((n - 1) / 2, 6);
});

it("has one bin for each of few integers, and one for a constant", () => {
    const values = Int32Array.from([0, 1, 1, 3]);
    expect(statisticsOf("int32", 4, readerOf(values)).histogram).toEqual([1, 2, 0, 1]);
    const same = Float32Array.from([5, 5]);
    expect(statisticsOf("float32", 2, readerOf(same)).histogram).toEqual([2]);
});

it("has no minimum where nothing is finite", () => {
    const s = statisticsOf("float32", 1, readerOf(Float32Array.from([NaN])));
    expect(s.min).toBeNaN();
    expect(s.histogram).toEqual([]);
});

it("an empty parameter", () => {
    expect(statisticsOf("float32", 0, () => new Uint8Array()).count).toBe(0);
});
