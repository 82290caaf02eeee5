/** Tabs, and a choice among few options. */
import type { JSX } from "preact";

/** One of the tabs. */
export interface Tab<T extends string> {
    id: T;
    label: string;
    icon?: JSX.Element;
}

/** Moves along a row of buttons with the arrow keys. */
export function arrowKeys<T>(items: readonly T[], current: T, move: (to: T) => void) {
    return (event: KeyboardEvent) => {
        const n = items.length;
        const i = items.indexOf(current);
        const steps: Record<string, number> = {
            ArrowRight: i + 1,
            ArrowDown: i + 1,
            ArrowLeft: i - 1 + n,
            ArrowUp: i - 1 + n,
            Home: 0,
            End: n - 1,
        };
        const step = steps[event.key];
        const to = step === undefined ? undefined : items[step % n];
        if (to === undefined) return;
        event.preventDefault();
        move(to);
        const row = event.currentTarget as HTMLElement;
        // The one that has been chosen is the one that Tab reaches.
        requestAnimationFrame(() =>
            row.querySelector<HTMLElement>("[tabindex='0']")?.focus(),
        );
    };
}

/** A row of tabs; `panel` is the id of what they change. */
export function Tabs<T extends string>(props: {
    label: string;
    tabs: readonly Tab<T>[];
    current: T;
    panel: string;
    onChange(id: T): void;
}) {
    const { label, tabs, current, panel, onChange } = props;
    const ids = tabs.map((tab) => tab.id);
    return (
        <div
            class="tabs"
            role="tablist"
            aria-label={label}
            onKeyDown={arrowKeys(ids, current, onChange)}
        >
            {tabs.map(({ id, label: text, icon }) => (
                <button
                    key={id}
                    type="button"
                    role="tab"
                    id={`${panel}-${id}`}
                    aria-selected={id === current}
                    aria-controls={panel}
                    tabIndex={id === current ? 0 : -1}
                    onClick={() => onChange(id)}
                >
                    {icon}
                    <span>{text}</span>
                </button>
            ))}
        </div>
    );
}

/** One choice of a few, as buttons side by side. */
export function Choice<T extends string>(props: {
    label: string;
    /** For a label that a group needs only where it is not seen. */
    bare?: boolean;
    options: Readonly<Record<T, string>>;
    titles?: Readonly<Record<T, string>>;
    current: T;
    onChange(id: T): void;
}) {
    const { label, options, titles, current, onChange } = props;
    const ids = Object.keys(options) as T[];
    return (
        <div class="choice">
            {!props.bare && (
                <span class="choice-label" aria-hidden="true">
                    {label}
                </span>
            )}
            <div
                role="radiogroup"
                aria-label={label}
                onKeyDown={arrowKeys(ids, current, onChange)}
            >
                {ids.map((id) => (
                    <button
                        key={id}
                        type="button"
                        role="radio"
                        aria-checked={id === current}
                        tabIndex={id === current ? 0 : -1}
                        title={titles?.[id]}
                        onClick={() => onChange(id)}
                    >
                        {options[id]}
                    </button>
                ))}
            </div>
        </div>
    );
}
