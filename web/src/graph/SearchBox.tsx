/** The search box: a combobox with a list of what was found. */
import type { RefObject } from "preact";
import { useId, useMemo, useRef, useState } from "preact/hooks";
import type { Report } from "../report";
import type { GraphModel } from "./model";
import { type Found, SearchIndex } from "./search";
import { graphStrings } from "../strings";

interface Props {
    model: GraphModel;
    report: Report;
    input: RefObject<HTMLInputElement | null>;
    onPick(found: Found): void;
}

/** Finds as one types; Enter goes to the chosen result and leaves the list open. */
export function SearchBox({ model, report, input, onPick }: Props) {
    const index = useMemo(() => new SearchIndex(model, report), [model, report]);
    const [query, setQuery] = useState("");
    const [chosen, setChosen] = useState(0);
    const [open, setOpen] = useState(false);
    const list = useRef<HTMLUListElement>(null);
    const id = useId();
    const found = useMemo(() => index.find(query), [index, query]);
    const choose = (to: number): void => {
        if (found.length === 0) return;
        const next = (to + found.length) % found.length;
        setChosen(next);
        list.current?.children[next]?.scrollIntoView({ block: "nearest" });
    };
    const onKeyDown = (event: KeyboardEvent): void => {
        const pick = found[chosen];
        if (event.key === "ArrowDown") choose(open ? chosen + 1 : chosen);
        else if (event.key === "ArrowUp") choose(chosen - 1);
        else if (event.key === "Enter") {
            if (pick) onPick(pick);
        } else if (event.key === "Escape") {
            if (!open || !query) setQuery("");
            setOpen(false);
            event.stopPropagation();
            return;
        } else return;
        setOpen(true);
        event.preventDefault();
    };
    const shown = open && query.trim() !== "";
    return (
        <div class="oxg-search">
            <input
                ref={input}
                type="text"
                role="combobox"
                placeholder={graphStrings.search}
                aria-label={graphStrings.search}
                aria-expanded={shown}
                aria-controls={`${id}list`}
                aria-autocomplete="list"
                aria-activedescendant={
                    shown && found[chosen] ? `${id}-${chosen}` : undefined
                }
                autocomplete="off"
                spellcheck={false}
                data-testid="graph-search"
                value={query}
                onInput={(event) => {
                    setQuery(event.currentTarget.value);
                    setChosen(0);
                    setOpen(true);
                }}
                onFocus={() => setOpen(true)}
                onBlur={() => setOpen(false)}
                onKeyDown={onKeyDown}
            />
            <ul
                id={`${id}list`}
                ref={list}
                role="listbox"
                aria-label={graphStrings.searchResults}
                data-testid="graph-search-results"
                hidden={!shown || found.length === 0}
            >
                {shown &&
                    found.map((item, i) => (
                        <li
                            id={`${id}-${i}`}
                            key={`${item.kind}${item.id}`}
                            role="option"
                            aria-selected={i === chosen}
                            onMouseDown={(event) => {
                                event.preventDefault();
                                setChosen(i);
                                onPick(item);
                            }}
                        >
                            <Result model={model} item={item} />
                        </li>
                    ))}
            </ul>
            <div class="oxg-hidden" aria-live="polite">
                {shown &&
                    (found.length > 0
                        ? graphStrings.results(found.length)
                        : graphStrings.noResults)}
            </div>
            {shown && found.length === 0 && (
                <p class="oxg-none">{graphStrings.noResults}</p>
            )}
        </div>
    );
}

function Result({ model, item }: { model: GraphModel; item: Found }) {
    const of =
        item.kind === "entity" ? model.entities[item.id]! : model.groups[item.id]!;
    const shape = item.kind === "entity" ? model.entities[item.id]!.shape : "";
    return (
        <>
            <span class="oxg-dot" data-category={of.category} aria-hidden="true" />
            <span class="oxg-title">{item.title}</span>
            <span class="oxg-label">{item.detail}</span>
            <span class="oxg-facts">{shape}</span>
        </>
    );
}
