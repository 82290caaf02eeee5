/** What is under the pointer: types and shapes of a node or a value. */
import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Description } from "./describe";

interface Hover {
    said: Description | null;
    x: number;
    y: number;
}

/** Shows a description at a point of the canvas; null hides it. */
export interface TooltipHandle {
    show(said: Description | null, x: number, y: number): void;
}

/**
 * Beside the pointer, within the canvas; hidden from screen readers, who have words.  Has
 * its own state: it moves with the pointer, and nothing else need be rendered then.
 */
export function Tooltip({ handle }: { handle: RefObject<TooltipHandle | null> }) {
    const [{ said, x, y }, setHover] = useState<Hover>({ said: null, x: 0, y: 0 });
    handle.current = {
        show: (said, x, y) =>
            setHover((now) => (said || now.said ? { said, x, y } : now)),
    };
    const element = useRef<HTMLDivElement>(null);
    const [at, setAt] = useState({ left: 0, top: 0 });
    useLayoutEffect(() => {
        const own = element.current;
        const around = own?.offsetParent;
        if (!own || !around) return;
        const left = Math.min(x + 16, around.clientWidth - own.offsetWidth - 8);
        const below = y + 18 + own.offsetHeight < around.clientHeight;
        const top = below ? y + 18 : y - own.offsetHeight - 12;
        setAt({ left: Math.max(8, left), top: Math.max(8, top) });
    }, [said, x, y]);
    if (!said) return null;
    return (
        <div
            class="oxg-tooltip"
            aria-hidden="true"
            data-testid="graph-tooltip"
            ref={element}
            style={{ left: `${at.left}px`, top: `${at.top}px` }}
        >
            <b>{said.title}</b>
            {said.subtitle && <span>{said.subtitle}</span>}
            {said.rows.length > 0 && (
                <dl>
                    {said.rows.map(([key, value], i) => (
                        <div key={i}>
                            <dt>{key}</dt>
                            <dd>{value}</dd>
                        </div>
                    ))}
                </dl>
            )}
        </div>
    );
}
