/** Random weights of the examples that come without (tools/web_examples.py). */

/** The float32 at position `index` (in floats): in [-0.05, 0.05). */
export function weightWord(index: number): number {
    let x = Math.imul(index, 2654435761);
    x ^= x >>> 15;
    x = Math.imul(x, 2246822519);
    x ^= x >>> 13;
    return ((x >>> 8) / 2 ** 24 - 0.5) / 10;
}

/** Bytes `[offset, offset + length)` of such a file. */
export function madeUpBytes(offset: number, length: number): Uint8Array {
    const first = Math.floor(offset / 4);
    const count = Math.ceil((offset + length) / 4) - first;
    const words = new Float32Array(count);
    for (let i = 0; i < count; i++) words[i] = weightWord(first + i);
    const start = offset - first * 4;
    return new Uint8Array(words.buffer, start, length);
}
