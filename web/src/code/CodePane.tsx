/** The generated module: options, search, and the code itself. */
import { useContext, useEffect, useMemo, useState } from "preact/hooks";
import { Icons } from "../app/icons";
import { Messages } from "../app/Messages";
import { Parts } from "../app/parts";
import { saveText } from "../report/saving";
import { store } from "../state";
import { useStore } from "../store";
import { strings } from "../strings";
import { CodeView } from "./CodeView";
import { findFolds, helperFolds } from "./folds";
import { highlight } from "./highlight";
import { findMatches } from "./search";

function CopyButton({ text }: { text: string }) {
    const [done, setDone] = useState(false);
    useEffect(() => {
        if (!done) return;
        const timer = setTimeout(() => setDone(false), 1600);
        return () => clearTimeout(timer);
    }, [done]);
    return (
        <button
            type="button"
            class="button small"
            onClick={() =>
                void navigator.clipboard.writeText(text).then(() => setDone(true))
            }
        >
            {done ? Icons.check : Icons.copy}
            <span aria-live="polite">{done ? strings.copied : strings.copy}</span>
        </button>
    );
}

function Search(props: {
    query: string;
    at: number;
    count: number;
    onQuery(query: string): void;
    onMove(by: number): void;
}) {
    const { query, at, count, onQuery, onMove } = props;
    return (
        <div class="search" role="search" aria-label={strings.find}>
            {Icons.search}
            <input
                id="find-in-code"
                type="search"
                aria-label={strings.find}
                placeholder={strings.find}
                value={query}
                onInput={(event) => onQuery(event.currentTarget.value)}
                onKeyDown={(event) => {
                    if (event.key === "Enter") onMove(event.shiftKey ? -1 : 1);
                    if (event.key === "Escape") onQuery("");
                }}
            />
            {query && (
                <>
                    <span class="search-count" role="status">
                        {strings.found(at + 1, count)}
                    </span>
                    <button
                        type="button"
                        class="button square"
                        aria-label={strings.previous}
                        disabled={count === 0}
                        onClick={() => onMove(-1)}
                    >
                        {Icons.up}
                    </button>
                    <button
                        type="button"
                        class="button square"
                        aria-label={strings.next}
                        disabled={count === 0}
                        onClick={() => onMove(1)}
                    >
                        {Icons.down}
                    </button>
                </>
            )}
        </div>
    );
}

function Code({ source, title }: { source: string; title: string }) {
    const lineMap = useStore(store, (s) => s.lineMap);
    const changed = useStore(store, (s) => s.changed);
    const text = useMemo(() => highlight(source), [source]);
    const folds = useMemo(() => findFolds(text.lines), [text]);
    const helpers = useMemo(
        () =>
            lineMap.empty
                ? []
                : helperFolds(folds, (line) => lineMap.nodesAt(line).length > 0).map(
                      (f) => f.head,
                  ),
        [folds, lineMap],
    );
    const [closed, setClosed] = useState<ReadonlySet<number>>(() => new Set(helpers));
    useEffect(() => setClosed(new Set(helpers)), [helpers]);
    const [query, setQuery] = useState("");
    const [at, setAt] = useState(0);
    const matches = useMemo(() => findMatches(text.lines, query), [text, query]);
    const move = (by: number) =>
        setAt((i) =>
            matches.length === 0 ? 0 : (i + by + matches.length) % matches.length,
        );
    return (
        <>
            <div class="code-bar">
                <Search
                    query={query}
                    at={matches.length === 0 ? -1 : Math.min(at, matches.length - 1)}
                    count={matches.length}
                    onQuery={(next) => {
                        setQuery(next);
                        setAt(0);
                    }}
                    onMove={move}
                />
                <span class="spring" />
                <span class="quiet" role="status">
                    {changed.size > 0
                        ? strings.changed(changed.size)
                        : strings.codeLines(text.lines.length)}
                </span>
                <button
                    type="button"
                    class="button square"
                    aria-label={closed.size > 0 ? strings.unfoldAll : strings.foldAll}
                    title={closed.size > 0 ? strings.unfoldAll : strings.foldAll}
                    onClick={() =>
                        setClosed(
                            new Set(closed.size > 0 ? [] : folds.map((f) => f.head)),
                        )
                    }
                >
                    {closed.size > 0 ? Icons.unfold : Icons.fold}
                </button>
                <CopyButton text={source} />
                <button
                    type="button"
                    class="button small"
                    onClick={() =>
                        void saveText(`${title}_jax.py`, source, "text/x-python")
                    }
                >
                    {Icons.download}
                    <span>.py</span>
                </button>
            </div>
            <CodeView
                text={text}
                folds={folds}
                closed={closed}
                onClosed={setClosed}
                lineMap={lineMap}
                changed={changed}
                matches={matches}
                match={matches[Math.min(at, matches.length - 1)] ?? null}
            />
        </>
    );
}

/** The pane; without code it says why. */
export function CodePane() {
    const compiled = useStore(store, (s) => s.compiled);
    const compiling = useStore(store, (s) => s.compiling);
    const failure = useStore(store, (s) => s.failure);
    const name = useStore(store, (s) => s.title);
    const { Options } = useContext(Parts);
    const title = name.replace(/\.onnx$/i, "");
    return (
        <div
            class={`code-pane ${failure && compiled ? "outdated" : ""}`}
            aria-busy={compiling}
        >
            {Options && <Options />}
            {failure && (
                <div class="failure" role="alert">
                    <h2>
                        {compiled ? strings.notCompiledOptions : strings.notCompiled}
                    </h2>
                    <Messages text={failure} />
                </div>
            )}
            {compiled && <Code source={compiled.source} title={title} />}
            {!compiled && !failure && <p class="quiet waiting">{strings.compiling}…</p>}
        </div>
    );
}
