/** What the headers of all pages have. */
import type { Report } from "../report";
import { setTheme, store } from "../state";
import { useStore } from "../store";
import { strings } from "../strings";
import { countText } from "../text";
import { Icons } from "./icons";

/** How large the model is, in two figures. */
export function Counts({ report }: { report: Report }) {
    return (
        <>
            <span>
                {strings.paramCount(countText(report.statistics.param_elements))}
            </span>
            {report.work && (
                <span>{strings.macCount(countText(report.work.macs))}</span>
            )}
        </>
    );
}

/** Buttons that every page has: its colours, its keys. */
export function PageButtons({ onHelp }: { onHelp(): void }) {
    const theme = useStore(store, (s) => s.theme);
    const other = theme === "dark" ? "light" : "dark";
    return (
        <>
            <button
                type="button"
                class="button square"
                aria-label={other === "dark" ? strings.toDark : strings.toLight}
                title={other === "dark" ? strings.toDark : strings.toLight}
                onClick={() => setTheme(other)}
            >
                {other === "dark" ? Icons.moon : Icons.sun}
            </button>
            <button
                type="button"
                class="button square"
                aria-label={strings.help}
                title={strings.help}
                onClick={onHelp}
            >
                {Icons.keyboard}
            </button>
        </>
    );
}
