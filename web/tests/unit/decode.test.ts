import { describe, expect, it } from "vitest";
import { decoderOf } from "../../src/model/decode";

function numbers(dtype: string, bytes: number[], count: number): number[] {
    const found: number[] = [];
    decoderOf(dtype).decode(Uint8Array.from(bytes), count, (x) => found.push(x));
    return found;
}

describe("decode", () => {
    it("float16: ones, subnormals, infinities, NaN", () => {
        const bytes = [
            0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc, 0x00, 0x7e, 0xff, 0x7b, 0x00, 0x80,
        ];
        expect(numbers("float16", bytes, 6)).toEqual([
            1,
            2 ** -24,
            -Infinity,
            NaN,
            65504,
            -0,
        ]);
    });
    it("bfloat16 is the upper half of float32", () => {
        expect(numbers("bfloat16", [0x80, 0x3f, 0x49, 0xc0, 0xc0, 0x7f], 3)).toEqual([
            1,
            -3.140625,
            NaN,
        ]);
    });
    it("floats of 8 bits", () => {
        expect(numbers("float8_e4m3fn", [0x38, 0x7e, 0x7f, 0x01], 4)).toEqual([
            1,
            448,
            NaN,
            2 ** -9,
        ]);
        expect(numbers("float8_e5m2", [0x3c, 0x7b, 0x7c], 3)).toEqual([
            1,
            57344,
            Infinity,
        ]);
        expect(numbers("float8_e4m3fnuz", [0x40, 0x7f, 0x80], 3)).toEqual([
            1,
            240,
            NaN,
        ]);
        expect(numbers("float8_e5m2fnuz", [0x40, 0x7f, 0x80], 3)).toEqual([
            1,
            57344,
            NaN,
        ]);
    });
    it("types of 4 bits: the lower half first", () => {
        expect(numbers("int4", [0x87, 0x0f], 3)).toEqual([7, -8, -1]);
        expect(numbers("uint4", [0x87], 2)).toEqual([7, 8]);
        expect(numbers("float4_e2m1fn", [0x72, 0x09], 3)).toEqual([1, 6, -0.5]);
    });
    it("integers and booleans", () => {
        expect(
            numbers("int64", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 1),
        ).toEqual([-1]);
        expect(numbers("uint8", [255], 1)).toEqual([255]);
        expect(numbers("int8", [255], 1)).toEqual([-1]);
        expect(numbers("bool", [0, 1], 2)).toEqual([0, 1]);
    });
    it("refuses what is no number", () => {
        expect(() => decoderOf("string")).toThrow("string");
        expect(() => decoderOf("complex64")).toThrow("complex64");
    });
});
