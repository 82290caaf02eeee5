/** Which lines of a text are new, by the shortest script of edits between two texts. */

const LIMIT = 3000; // edits after which positions no longer matter

/** The lines (from 1) of `after` that no line of `before` became. */
export function changedLines(before: string, after: string): Set<number> {
    const a = before.split("\n");
    const b = after.split("\n");
    let start = 0;
    while (start < a.length && start < b.length && a[start] === b[start]) start++;
    let cut = 0;
    while (
        cut < a.length - start &&
        cut < b.length - start &&
        a[a.length - 1 - cut] === b[b.length - 1 - cut]
    ) {
        cut++;
    }
    const from = a.slice(start, a.length - cut);
    const to = b.slice(start, b.length - cut);
    const inserted = insertions(from, to) ?? strangers(from, to);
    return new Set([...inserted].map((line) => line + start + 1));
}

/** Lines of `to` that are nowhere in `from`. */
function strangers(from: string[], to: string[]): Set<number> {
    const known = new Set(from);
    const result = new Set<number>();
    to.forEach((line, i) => {
        if (!known.has(line)) result.add(i);
    });
    return result;
}

/** Myers' greedy algorithm; null past LIMIT edits. */
function insertions(from: string[], to: string[]): Set<number> | null {
    const n = from.length;
    const m = to.length;
    const most = Math.min(n + m, LIMIT);
    const ends = new Int32Array(2 * most + 3); // by diagonal, the furthest x
    const middle = most + 1;
    const history: Int32Array[] = [];
    for (let d = 0; d <= most; d++) {
        // Only diagonals -d-1 .. d+1 are known or looked at.
        history.push(ends.slice(middle - d - 1, middle + d + 2));
        for (let k = -d; k <= d; k += 2) {
            const down =
                k === -d || (k !== d && ends[middle + k - 1]! < ends[middle + k + 1]!);
            let x = down ? ends[middle + k + 1]! : ends[middle + k - 1]! + 1;
            while (x < n && x - k < m && from[x] === to[x - k]) x++;
            ends[middle + k] = x;
            if (x >= n && x - k >= m) return walkBack(history, n, m);
        }
    }
    return null;
}

/** Follows the script from its end; `history[d]` begins at diagonal -d-1. */
function walkBack(history: Int32Array[], n: number, m: number): Set<number> {
    const inserted = new Set<number>();
    let x = n;
    let y = m;
    for (let d = history.length - 1; d > 0; d--) {
        const at = (k: number) => history[d]![k + d + 1]!;
        const k = x - y;
        const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
        const before = down ? k + 1 : k - 1;
        x = at(before);
        y = x - before;
        if (down) inserted.add(y);
    }
    return inserted;
}
