/** What the system or the window is like. */
import { useEffect, useState } from "preact/hooks";

/** Whether a media query holds; the component is drawn again when that changes. */
export function useMedia(query: string): boolean {
    const [holds, setHolds] = useState(() => matchMedia(query).matches);
    useEffect(() => {
        const list = matchMedia(query);
        const check = () => setHolds(list.matches);
        check();
        list.addEventListener("change", check);
        return () => list.removeEventListener("change", check);
    }, [query]);
    return holds;
}
