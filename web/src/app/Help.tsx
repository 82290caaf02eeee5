/** The keys of the page, and the list of them. */
import { useContext, useEffect, useRef, useState } from "preact/hooks";
import type { Selection } from "../graph";
import { select, setTheme, show, store, type View } from "../state";
import { strings } from "../strings";
import { Icons } from "./icons";
import { Parts } from "./parts";

const VIEWS: Record<string, View> = { 1: "graph", 2: "three", 3: "code", 4: "report" };

const isTyping = (target: EventTarget | null) =>
    target instanceof HTMLElement &&
    target.matches("input, textarea, select, [contenteditable]");

/** Listens to the keys that work everywhere. */
export function useKeys() {
    const [shown, setShown] = useState(false);
    const has3D = useContext(Parts).Three !== undefined;
    useEffect(() => {
        const onKey = (event: KeyboardEvent) => {
            if (
                event.ctrlKey ||
                event.metaKey ||
                event.altKey ||
                event.defaultPrevented
            )
                return;
            if (event.key === "Escape" && !isTyping(event.target)) select(null);
            if (isTyping(event.target)) return;
            const view = VIEWS[event.key];
            if (view === "three" && !has3D) return;
            if (view && store.get().phase === "open") show(view);
            else if (event.key === "t")
                setTheme(store.get().theme === "dark" ? "light" : "dark");
            else if (event.key === "o")
                document.querySelector<HTMLElement>("[data-open]")?.click();
            else if (event.key === "?") setShown(true);
            else if (event.key === "/" && store.get().phase === "open") {
                show("code");
                requestAnimationFrame(() =>
                    document.getElementById("find-in-code")?.focus(),
                );
            } else return;
            event.preventDefault();
        };
        // What programs that drive the page select by.
        const onSelect = (event: Event) =>
            select((event as CustomEvent<Selection | null>).detail);
        window.addEventListener("keydown", onKey);
        window.addEventListener("oxide-xla-select", onSelect);
        return () => {
            window.removeEventListener("keydown", onKey);
            window.removeEventListener("oxide-xla-select", onSelect);
        };
    }, []);
    return { shown, open: () => setShown(true), close: () => setShown(false) };
}

/** The list of keys, over the page. */
export function Help(props: {
    keys: readonly (readonly [keys: string, what: string])[];
    onClose(): void;
}) {
    const dialog = useRef<HTMLDialogElement>(null);
    useEffect(() => dialog.current?.showModal(), []);
    return (
        <dialog
            ref={dialog}
            class="help-dialog"
            aria-labelledby="help-title"
            onClose={props.onClose}
            onClick={(event) =>
                event.target === dialog.current && dialog.current?.close()
            }
        >
            <div class="help-body">
                <h2 id="help-title">{strings.keyboard}</h2>
                <dl>
                    {props.keys.map(([keys, what]) => (
                        <div key={keys}>
                            <dt>
                                {keys.split(" ").map((key) => (
                                    <kbd key={key}>{key}</kbd>
                                ))}
                            </dt>
                            <dd>{what}</dd>
                        </div>
                    ))}
                </dl>
                <button
                    type="button"
                    class="button square corner"
                    aria-label={strings.close}
                    onClick={() => dialog.current?.close()}
                >
                    {Icons.close}
                </button>
            </div>
        </dialog>
    );
}
