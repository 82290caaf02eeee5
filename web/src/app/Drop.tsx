/** Dropping files anywhere on the page. */
import { useEffect, useState } from "preact/hooks";
import { droppedFiles } from "../model/files";
import { openFiles } from "../session";
import { strings } from "../strings";

/** Shows over everything while files are dragged over the page. */
export function DropOverlay() {
    const [over, setOver] = useState(false);
    useEffect(() => {
        let depth = 0; // entered and not yet left; elements inside enter and leave, too
        const has = (event: DragEvent) =>
            event.dataTransfer?.types.includes("Files") ?? false;
        const enter = (event: DragEvent) => {
            if (!has(event)) return;
            depth++;
            setOver(true);
        };
        const leave = (event: DragEvent) => {
            if (!has(event)) return;
            depth = Math.max(0, depth - 1);
            if (depth === 0) setOver(false);
        };
        const stay = (event: DragEvent) => {
            if (!has(event)) return;
            event.preventDefault();
            event.dataTransfer!.dropEffect = "copy";
        };
        const drop = (event: DragEvent) => {
            if (!event.dataTransfer) return;
            event.preventDefault();
            depth = 0;
            setOver(false);
            void droppedFiles(event.dataTransfer).then(openFiles);
        };
        const events = { dragenter: enter, dragleave: leave, dragover: stay, drop };
        const list = Object.entries(events) as [keyof typeof events, EventListener][];
        for (const [name, listener] of list) window.addEventListener(name, listener);
        return () => {
            for (const [name, listener] of list)
                window.removeEventListener(name, listener);
        };
    }, []);
    return over ? (
        <div class="drop-overlay" aria-hidden="true">
            <p>{strings.dropNow}</p>
        </div>
    ) : null;
}
