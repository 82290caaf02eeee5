/** Numbers as people read them. */

const units = (n: number, steps: readonly string[], gap: string): string => {
    let i = 0;
    while (i + 1 < steps.length && n >= 999.5) {
        n /= 1000;
        i++;
    }
    const digits = i === 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2;
    const unit = steps[i]!;
    return n.toFixed(digits) + (unit && gap + unit);
};

/** "46.8 MB" */
export const bytesText = (n: number) =>
    units(n, ["B", "kB", "MB", "GB", "TB"], "\u00a0");

/** "11.7 M", "1.81 G" */
export const countText = (n: number) =>
    units(n, ["", "k", "M", "G", "T", "P"], "\u00a0");

/** A float of a parameter, short: "0.0523", "-1.2e-7". */
export function floatText(x: number): string {
    if (Number.isNaN(x)) return "–";
    if (Number.isInteger(x) && Math.abs(x) < 1e7) return String(x);
    const size = Math.abs(x);
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) return x.toExponential(2);
    return String(Number(x.toPrecision(4)));
}

/** "12.3 %" */
export const shareText = (part: number, all: number) =>
    all === 0 ? "–" : `${((100 * part) / all).toFixed(1)}\u00a0%`;
