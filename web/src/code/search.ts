/** Finding text in lines. */

/** A match: its line (from 1) and columns [from, to). */
export interface Match {
    line: number;
    from: number;
    to: number;
}

const MOST = 5000;

/** Where `query` is, in any case; at most MOST matches. */
export function findMatches(lines: readonly string[], query: string): Match[] {
    const wanted = query.toLowerCase();
    const matches: Match[] = [];
    if (wanted === "") return matches;
    for (const [i, line] of lines.entries()) {
        const text = line.toLowerCase();
        let at = text.indexOf(wanted);
        while (at >= 0) {
            matches.push({ line: i + 1, from: at, to: at + wanted.length });
            if (matches.length === MOST) return matches;
            at = text.indexOf(wanted, at + wanted.length);
        }
    }
    return matches;
}
