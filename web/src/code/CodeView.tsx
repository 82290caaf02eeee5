/** Lines of code, of which only those in sight are in the page. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { LineMap } from "../model/line_map";
import { store } from "../state";
import { useStore } from "../store";
import { strings } from "../strings";
import { visibleLines, type Fold } from "./folds";
import type { Highlighted } from "./highlight";
import { linesOfSelection, nodeToSelect, nodesToLight } from "./linking";
import type { Match } from "./search";
import { Tokens } from "./Tokens";

const LINE = 20; // px, as in code.css
const AROUND = 40; // lines drawn above and below what is in sight

interface Props {
    text: Highlighted;
    folds: Fold[];
    closed: ReadonlySet<number>;
    onClosed(closed: ReadonlySet<number>): void;
    lineMap: LineMap;
    changed: ReadonlySet<number>;
    matches: Match[];
    match: Match | null;
}

/** The fold whose lines behind the head include `line`. */
const foldAround = (folds: Fold[], line: number) =>
    folds.find((fold) => line > fold.head && line <= fold.last);

function byLine(matches: Match[]): Map<number, [number, number][]> {
    const map = new Map<number, [number, number][]>();
    for (const { line, from, to } of matches) {
        const list = map.get(line);
        if (list) list.push([from, to]);
        else map.set(line, [[from, to]]);
    }
    return map;
}

/** Scrolls lines, and says which of them are in sight. */
function useWindow(count: number) {
    const box = useRef<HTMLDivElement>(null);
    const [top, setTop] = useState(0);
    const [height, setHeight] = useState(800);
    useLayoutEffect(() => {
        const element = box.current!;
        const observer = new ResizeObserver(() => setHeight(element.clientHeight));
        observer.observe(element);
        return () => observer.disconnect();
    }, []);
    const first = Math.max(0, Math.floor(top / LINE) - AROUND);
    const last = Math.min(count, Math.ceil((top + height) / LINE) + AROUND);
    const reveal = (index: number, centre: boolean) => {
        const element = box.current!;
        const y = index * LINE;
        const from = element.scrollTop;
        const room = centre ? element.clientHeight / 3 : 2 * LINE;
        if (y >= from + LINE && y <= from + element.clientHeight - 3 * LINE) return;
        const above = y < from;
        element.scrollTop =
            centre || above ? y - room : y - element.clientHeight + LINE + room;
    };
    return { box, first, last, reveal, onScroll: () => setTop(box.current!.scrollTop) };
}

/** The lines, which arrow keys, clicks and the selection move through. */
export function CodeView(props: Props) {
    const { text, folds, closed, onClosed, lineMap, changed, matches, match } = props;
    const selection = useStore(store, (s) => s.selection);
    const report = useStore(store, (s) => s.report);
    const [cursor, setCursor] = useState(1);
    const [active, setActive] = useState(false);
    const count = text.lines.length;
    const lines = useMemo(
        () => visibleLines(count, folds, closed),
        [count, folds, closed],
    );
    const { box, first, last, reveal, onScroll } = useWindow(lines.length);
    const heads = useMemo(
        () => new Map(folds.map((fold) => [fold.head, fold])),
        [folds],
    );
    const marks = useMemo(() => byLine(matches), [matches]);
    const selected = useMemo(
        () => linesOfSelection(report, lineMap, selection),
        [report, lineMap, selection],
    );
    const longest = useMemo(
        () => text.lines.reduce((most, line) => Math.max(most, line.length), 0),
        [text],
    );
    const own = useRef(false); // whether the selection was made here
    const pending = useRef<number | null>(null);

    const goTo = (line: number) => {
        const fold = foldAround(folds, line);
        pending.current = line;
        if (fold && closed.has(fold.head)) {
            onClosed(new Set([...closed].filter((head) => head !== fold.head)));
        } else settle();
    };
    const settle = () => {
        const line = pending.current;
        if (line === null) return;
        const index = lines.indexOf(line);
        if (index < 0) return;
        pending.current = null;
        setCursor(line);
        reveal(index, true);
    };
    useEffect(settle, [lines]);
    useEffect(() => {
        if (match) goTo(match.line);
    }, [match]);
    useEffect(() => {
        if (own.current) own.current = false;
        else if (selected.first !== null) goTo(selected.first);
    }, [selected]);
    useEffect(() => {
        if (changed.size > 0) {
            const line = lines.find((l) => changed.has(l));
            if (line !== undefined) goTo(line);
        }
    }, [changed]);

    const toggle = (head: number, shut: boolean) => {
        const next = new Set(closed);
        if (shut) next.add(head);
        else next.delete(head);
        onClosed(next);
    };
    const choose = (line: number) => {
        const node = nodeToSelect(report, lineMap, line, selection);
        if (node === null) return;
        own.current = true;
        store.set({ selection: { kind: "node", node } });
    };
    const moveTo = (index: number) => {
        const line = lines[Math.min(Math.max(index, 0), lines.length - 1)]!;
        setCursor(line);
        reveal(lines.indexOf(line), false);
        store.set({ lit: nodesToLight(lineMap, line) });
    };
    const onKeyDown = (event: KeyboardEvent) => {
        const index = Math.max(0, lines.indexOf(cursor));
        const page = Math.max(1, Math.floor(box.current!.clientHeight / LINE) - 2);
        const steps: Record<string, number> = {
            ArrowDown: index + 1,
            ArrowUp: index - 1,
            PageDown: index + page,
            PageUp: index - page,
            Home: 0,
            End: lines.length - 1,
        };
        const to = steps[event.key];
        const fold = heads.get(cursor) ?? foldAround(folds, cursor);
        if (to !== undefined) moveTo(to);
        else if (event.key === "Enter" || event.key === " ") choose(cursor);
        else if (event.key === "ArrowLeft" && fold) {
            setCursor(fold.head);
            toggle(fold.head, true);
        } else if (event.key === "ArrowRight" && fold) toggle(fold.head, false);
        else return;
        event.preventDefault();
    };
    const onClick = (event: MouseEvent) => {
        const target = event.target as HTMLElement;
        const row = target.closest<HTMLElement>("[data-line]");
        if (!row || !getSelection()?.isCollapsed) return;
        const line = Number(row.dataset.line);
        setCursor(line);
        if (target.closest(".fold, .folded")) toggle(line, !closed.has(line));
        else choose(line);
    };

    const at = lines.indexOf(cursor);
    const inSight = at >= first && at < last;
    const classOf = (line: number) =>
        [
            "line",
            selected.lines.has(line) ? "selected" : "",
            changed.has(line) ? "changed" : "",
            line === cursor && active ? "cursor" : "",
            lineMap.nodesAt(line).length > 0 ? "linked" : "",
        ].join(" ");
    return (
        <div
            ref={box}
            class="code"
            role="listbox"
            aria-label={strings.codeLabel}
            aria-describedby="code-help"
            aria-activedescendant={inSight ? `line-${cursor}` : undefined}
            tabIndex={0}
            onScroll={onScroll}
            onKeyDown={onKeyDown}
            onFocus={() => setActive(true)}
            onBlur={() => setActive(false)}
            onClick={onClick}
            style={{ "--digits": String(count).length }}
        >
            <div
                class="code-lines"
                role="presentation"
                style={{ height: `${lines.length * LINE}px`, "--columns": longest + 4 }}
            >
                {lines.slice(first, last).map((line, i) => {
                    const fold = heads.get(line);
                    const shut = closed.has(line);
                    return (
                        <div
                            key={line}
                            id={`line-${line}`}
                            data-line={line}
                            role="option"
                            aria-selected={selected.lines.has(line)}
                            class={classOf(line)}
                            style={{ top: `${(first + i) * LINE}px` }}
                        >
                            <span class="number" aria-hidden="true">
                                {line}
                            </span>
                            <span
                                class={`fold ${fold ? (shut ? "shut" : "open") : ""}`}
                                aria-hidden="true"
                            />
                            <code>
                                {text.lines[line - 1] === "" && (
                                    <span class="unseen">{strings.blank}</span>
                                )}
                                <Tokens
                                    tokens={text.tokens(line)}
                                    marks={marks.get(line)}
                                />
                                {fold && shut && (
                                    <span class="folded">
                                        {strings.folded(fold.last - fold.head)}
                                    </span>
                                )}
                            </code>
                        </div>
                    );
                })}
            </div>
            <p id="code-help" hidden>
                {strings.codeHelp}
            </p>
        </div>
    );
}
