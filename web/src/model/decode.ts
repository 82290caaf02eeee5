/** ONNX's raw tensor data as numbers: little-endian, types of 4 bits two to a byte. */

/** How elements of a type lie in memory, and how to look at them. */
export interface Decoder {
    bits: number;
    /** Calls `see` for each of the first `count` elements of `bytes`. */
    decode(bytes: Uint8Array, count: number, see: (x: number) => void): void;
}

/** A float of 16 bits or fewer from its bits, by the sizes of exponent and mantissa. */
function smallFloat(exponent: number, mantissa: number, finite: boolean) {
    const bias = 2 ** (exponent - 1) - 1;
    const top = 2 ** exponent - 1;
    return (bits: number): number => {
        const sign = bits >> (exponent + mantissa) ? -1 : 1;
        const e = (bits >> mantissa) & top;
        const m = bits & (2 ** mantissa - 1);
        if (!finite && e === top) return m ? NaN : sign * Infinity;
        const scale = 2 ** -mantissa;
        if (e === 0) return sign * m * scale * 2 ** (1 - bias);
        return sign * (1 + m * scale) * 2 ** (e - bias);
    };
}

const half = smallFloat(5, 10, false);
const e5m2 = smallFloat(5, 2, false);
const e4m3 = smallFloat(4, 3, true);
const e2m1 = smallFloat(2, 1, true);

/** float8_e4m3fn: no infinities, and NaN is all ones. */
const e4m3fn = (x: number) => ((x & 0x7f) === 0x7f ? NaN : e4m3(x));

/** The types with "uz" have one zero, NaN in place of the other, and a bias one larger. */
const unsignedZero = (f: (x: number) => number) => (x: number) =>
    x === 0x80 ? NaN : f(x) / 2;
const e5m2finite = smallFloat(5, 2, true);

const scratch = new DataView(new ArrayBuffer(4));
function bfloat16(bits: number): number {
    scratch.setUint32(0, bits * 65536);
    return scratch.getFloat32(0);
}

type Get = (view: DataView, at: number) => number;

function whole(size: number, get: Get): Decoder {
    return {
        bits: size * 8,
        decode(bytes, count, see) {
            const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
            for (let i = 0; i < count; i++) see(get(view, i * size));
        },
    };
}

function packed(bits: number, convert: (x: number) => number): Decoder {
    const each = 8 / bits;
    const mask = 2 ** bits - 1;
    return {
        bits,
        decode(bytes, count, see) {
            for (let i = 0; i < count; i++) {
                const byte = bytes[Math.floor(i / each)]!;
                see(convert((byte >> ((i % each) * bits)) & mask));
            }
        },
    };
}

const u8 = (f: (x: number) => number) => whole(1, (v, at) => f(v.getUint8(at)));
const signed = (bits: number) => (x: number) => (x >> (bits - 1) ? x - 2 ** bits : x);

const DECODERS: Record<string, Decoder> = {
    float64: whole(8, (v, at) => v.getFloat64(at, true)),
    float32: whole(4, (v, at) => v.getFloat32(at, true)),
    float16: whole(2, (v, at) => half(v.getUint16(at, true))),
    bfloat16: whole(2, (v, at) => bfloat16(v.getUint16(at, true))),
    float8_e4m3fn: u8(e4m3fn),
    float8_e4m3fnuz: u8(unsignedZero(e4m3)),
    float8_e5m2: u8(e5m2),
    float8_e5m2fnuz: u8(unsignedZero(e5m2finite)),
    float8_e8m0fnu: u8((x) => (x === 255 ? NaN : 2 ** (x - 127))),
    float4_e2m1fn: packed(4, e2m1),
    int64: whole(8, (v, at) => Number(v.getBigInt64(at, true))),
    uint64: whole(8, (v, at) => Number(v.getBigUint64(at, true))),
    int32: whole(4, (v, at) => v.getInt32(at, true)),
    uint32: whole(4, (v, at) => v.getUint32(at, true)),
    int16: whole(2, (v, at) => v.getInt16(at, true)),
    uint16: whole(2, (v, at) => v.getUint16(at, true)),
    int8: whole(1, (v, at) => v.getInt8(at)),
    uint8: u8((x) => x),
    bool: u8((x) => (x ? 1 : 0)),
    int4: packed(4, signed(4)),
    uint4: packed(4, (x) => x),
    int2: packed(2, signed(2)),
    uint2: packed(2, (x) => x),
};

/** The decoder of a type of ONNX that is a real number; throws for others. */
export function decoderOf(dtype: string): Decoder {
    const decoder = DECODERS[dtype];
    if (!decoder) throw new Error(`no statistics of ${dtype}`);
    return decoder;
}
