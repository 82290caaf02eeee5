/** The functions and classes of a module of Python, as stretches of lines to fold. */

/** Lines from 1; `head` stays when the rest is folded. */
export interface Fold {
    name: string;
    head: number;
    last: number;
}

/** Top-level functions and classes, decorators not included. */
export function findFolds(lines: readonly string[]): Fold[] {
    const folds: Fold[] = [];
    let open: Fold | null = null;
    let quoted = false;
    let brackets = false;
    lines.forEach((line, i) => {
        const outside = !quoted && !brackets;
        if (outside && /^\S/.test(line) && !/^[)\]}]/.test(line)) {
            open = null;
            const head = /^(?:async )?(?:def|class) (\w+)/.exec(line);
            if (head) folds.push((open = { name: head[1]!, head: i + 1, last: i + 1 }));
            // A signature of several lines ends with its bracket at the margin.
            brackets = head !== null && !/:\s*(#.*)?$/.test(line);
        } else if (brackets && /^\)/.test(line)) brackets = false;
        if (open && line.trim() !== "") open.last = i + 1;
        if ((line.match(/"""/g)?.length ?? 0) % 2 === 1) quoted = !quoted;
    });
    return folds.filter((fold) => fold.last > fold.head);
}

/**
 * Functions that no node became lines of, `forward` apart: the helpers of a module and
 * its loader, which a reader knows after the first model.
 */
export function helperFolds(
    folds: Fold[],
    isMapped: (line: number) => boolean,
): Fold[] {
    return folds.filter((fold) => {
        if (fold.name === "forward") return false;
        for (let line = fold.head; line <= fold.last; line++)
            if (isMapped(line)) return false;
        return true;
    });
}

/** The lines (from 1) that show when the folds with these heads are closed. */
export function visibleLines(
    count: number,
    folds: Fold[],
    closed: ReadonlySet<number>,
) {
    const hidden = folds.filter((fold) => closed.has(fold.head));
    const lines: number[] = [];
    let next = 0;
    for (let line = 1; line <= count; line++) {
        const fold = hidden[next];
        if (fold && line > fold.head) {
            line = fold.last;
            next++;
            continue;
        }
        lines.push(line);
    }
    return lines;
}
