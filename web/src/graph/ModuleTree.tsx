/** The tree of modules: an ARIA tree with one tab stop. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { countText } from "./format";
import { ancestors, type GraphModel } from "./model";
import { graphStrings } from "../strings";

/** A group as its id, a node alone in its module as ~entity. */
export type TreeItem = number;

interface Row {
    item: TreeItem;
    depth: number;
    title: string;
    label: string;
    facts: string;
    run: number;
    category: string;
    children: TreeItem[];
    position: number;
    siblings: number;
}

interface Props {
    model: GraphModel;
    selected: TreeItem | null;
    /** Groups that are expanded at first. */
    expanded: ReadonlySet<number>;
    onPick(item: TreeItem): void;
}

/** Groups, and nodes that are a module of their own. */
function childrenOf(model: GraphModel, group: number): TreeItem[] {
    return model.groups[group]!.members.flatMap((member) => {
        if (member < 0) return [~member];
        return model.entities[member]!.alone ? [~member] : [];
    });
}

function rowOf(model: GraphModel, item: TreeItem): Omit<Row, "position" | "siblings"> {
    if (item < 0) {
        const { title, name, category, group } = model.entities[~item]!;
        const depth = model.groups[group]!.depth;
        return {
            item,
            depth,
            title,
            label: name,
            facts: "",
            run: 1,
            category,
            children: [],
        };
    }
    const group = model.groups[item]!;
    return {
        item,
        depth: group.depth - 1,
        title: group.title,
        label: group.subtitle,
        facts: group.params > 0 ? countText(group.params) : "",
        run: group.run,
        category: group.category,
        children: childrenOf(model, item),
    };
}

function visibleRows(model: GraphModel, expanded: ReadonlySet<number>): Row[] {
    const rows: Row[] = [];
    const add = (items: TreeItem[]): void => {
        items.forEach((item, i) => {
            const row = {
                ...rowOf(model, item),
                position: i + 1,
                siblings: items.length,
            };
            rows.push(row);
            if (item >= 0 && expanded.has(item)) add(row.children);
        });
    };
    add(childrenOf(model, 0));
    return rows;
}

/** What a key does to the focused row: another row, or a change of what is expanded. */
function onTreeKey(
    key: string,
    rows: Row[],
    at: number,
    expanded: ReadonlySet<number>,
): { focus?: number; toggle?: number } | null {
    const row = rows[at]!;
    const isOpen = expanded.has(row.item);
    const above = (): number => {
        for (let i = at; i >= 0; i--) if (rows[i]!.depth < row.depth) return i;
        return at;
    };
    switch (key) {
        case "ArrowDown":
            return { focus: Math.min(rows.length - 1, at + 1) };
        case "ArrowUp":
            return { focus: Math.max(0, at - 1) };
        case "Home":
            return { focus: 0 };
        case "End":
            return { focus: rows.length - 1 };
        case "ArrowRight":
            if (row.children.length === 0) return {};
            return isOpen ? { focus: at + 1 } : { toggle: row.item };
        case "ArrowLeft":
            return isOpen ? { toggle: row.item } : { focus: above() };
        default:
            return null;
    }
}

/** The tree; `selected` is shown, and its parents are expanded. */
export function ModuleTree({ model, selected, expanded: first, onPick }: Props) {
    const [expanded, setExpanded] = useState(first);
    const [focus, setFocus] = useState(0);
    const list = useRef<HTMLDivElement>(null);
    const rows = useMemo(() => visibleRows(model, expanded), [model, expanded]);
    useEffect(() => {
        if (selected === null) return;
        const group = selected < 0 ? model.entities[~selected]!.group : selected;
        const chain = ancestors(model, group).slice(selected < 0 ? 0 : 1);
        setExpanded((now) =>
            chain.every((g) => now.has(g)) ? now : new Set([...now, ...chain]),
        );
    }, [model, selected]);
    useEffect(() => {
        const at = rows.findIndex((row) => row.item === selected);
        if (at < 0) return;
        setFocus(at);
        list.current?.children[at]?.scrollIntoView({ block: "nearest" });
    }, [rows, selected]);
    const toggle = (item: number): void => {
        const next = new Set(expanded);
        if (!next.delete(item)) next.add(item);
        setExpanded(next);
    };
    const move = (to: number): void => {
        setFocus(to);
        (list.current?.children[to] as HTMLElement | undefined)?.focus();
    };
    const onKeyDown = (event: KeyboardEvent): void => {
        const row = rows[focus];
        if (!row) return;
        if (event.key === "Enter" || event.key === " ") onPick(row.item);
        else {
            const action = onTreeKey(event.key, rows, focus, expanded);
            if (!action) return;
            if (action.toggle !== undefined) toggle(action.toggle);
            if (action.focus !== undefined) move(action.focus);
        }
        event.preventDefault();
    };
    return (
        <div
            class="oxg-tree"
            role="tree"
            aria-label={graphStrings.tree}
            data-testid="module-tree"
            ref={list}
            onKeyDown={onKeyDown}
        >
            {rows.map((row, i) => (
                <TreeRow
                    key={row.item}
                    row={row}
                    tabbable={i === Math.min(focus, rows.length - 1)}
                    selected={row.item === selected}
                    expanded={expanded.has(row.item)}
                    onToggle={() => toggle(row.item)}
                    onPick={() => {
                        setFocus(i);
                        onPick(row.item);
                    }}
                />
            ))}
        </div>
    );
}

interface RowProps {
    row: Row;
    tabbable: boolean;
    selected: boolean;
    expanded: boolean;
    onToggle(): void;
    onPick(): void;
}

function TreeRow({ row, tabbable, selected, expanded, onToggle, onPick }: RowProps) {
    const parent = row.children.length > 0;
    return (
        <div
            class="oxg-row"
            role="treeitem"
            aria-level={row.depth + 1}
            aria-posinset={row.position}
            aria-setsize={row.siblings}
            aria-selected={selected}
            aria-expanded={parent ? expanded : undefined}
            tabIndex={tabbable ? 0 : -1}
            style={{ paddingLeft: `${8 + row.depth * 14}px` }}
            onClick={onPick}
        >
            <span
                class="oxg-twist"
                aria-hidden="true"
                onClick={(event) => {
                    event.stopPropagation();
                    if (parent) onToggle();
                }}
            >
                {parent ? (expanded ? "▾" : "▸") : ""}
            </span>
            <span class="oxg-dot" data-category={row.category} aria-hidden="true" />
            {row.run > 1 && <span class="oxg-times">{row.run} ×</span>}
            <span class="oxg-title">{row.title}</span>
            <span class="oxg-label">{row.label}</span>
            <span class="oxg-facts">{row.facts}</span>
        </div>
    );
}
