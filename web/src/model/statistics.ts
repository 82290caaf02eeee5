/** Minimum, maximum, mean and histogram of a parameter, read a piece at a time. */
import { decoderOf } from "./decode";

/** What is known of the elements of a parameter; of floats, NaN and infinities apart. */
export interface Statistics {
    count: number;
    nans: number;
    infinities: number;
    zeros: number;
    /** Of the finite elements; NaN where there are none. */
    min: number;
    max: number;
    mean: number;
    deviation: number;
    /** How many finite elements lie in each of the equal steps from min to max. */
    histogram: number[];
}

const STEP = 1 << 20; // bytes read at once, a multiple of every element's size
const BINS = 48;

/** Reads bytes `[offset, offset + length)` of the parameter. */
export type Read = (offset: number, length: number) => Uint8Array;

function eachPiece(dtype: string, count: number, read: Read, see: (x: number) => void) {
    const { bits, decode } = decoderOf(dtype);
    const perStep = (STEP * 8) / bits;
    for (let first = 0; first < count; first += perStep) {
        const n = Math.min(perStep, count - first);
        const bytes = read((first * bits) / 8, Math.ceil((n * bits) / 8));
        decode(bytes, n, see);
    }
}

/** Statistics of `count` elements of type `dtype`, in two passes over the bytes. */
export function statisticsOf(dtype: string, count: number, read: Read): Statistics {
    const s: Statistics = {
        count,
        nans: 0,
        infinities: 0,
        zeros: 0,
        min: Infinity,
        max: -Infinity,
        mean: 0,
        deviation: 0,
        histogram: [],
    };
    let finite = 0;
    let squares = 0; // Welford's sum of squared distances from the mean
    eachPiece(dtype, count, read, (x) => {
        if (Number.isNaN(x)) s.nans++;
        else if (!Number.isFinite(x)) s.infinities++;
        else {
            finite++;
            if (x === 0) s.zeros++;
            if (x < s.min) s.min = x;
            if (x > s.max) s.max = x;
            const d = x - s.mean;
            s.mean += d / finite;
            squares += d * (x - s.mean);
        }
    });
    if (finite === 0) return { ...s, min: NaN, max: NaN, mean: NaN, deviation: NaN };
    s.deviation = Math.sqrt(squares / finite);
    s.histogram = histogram(dtype, count, read, s.min, s.max);
    return s;
}

function histogram(dtype: string, count: number, read: Read, min: number, max: number) {
    const integral = !/float/.test(dtype);
    const bins =
        max === min ? 1 : integral ? Math.min(BINS, Math.round(max - min) + 1) : BINS;
    const width = integral && max > min ? max - min + 1 : max - min;
    const counts = new Array<number>(bins).fill(0);
    eachPiece(dtype, count, read, (x) => {
        if (!Number.isFinite(x)) return;
        const bin = width > 0 ? Math.floor(((x - min) / width) * bins) : 0;
        counts[Math.min(bins - 1, bin)]!++;
    });
    return counts;
}
