/** The bar on top: whose page it is, what is open, and the page's own buttons. */
import type { Report } from "../report";
import { closeModel, openOther } from "../session";
import { store, type Opened } from "../state";
import { useStore } from "../store";
import { strings } from "../strings";
import { bytesText } from "../text";
import { Counts, PageButtons } from "./HeaderParts";
import { Icons } from "./icons";
import { Picker } from "./Picker";

function Facts({ opened, report }: { opened: Opened; report: Report | null }) {
    const size = opened.size + (opened.madeUp?.size ?? 0);
    const beside = [...opened.beside.values()].reduce(
        (sum, file) => sum + file.size,
        0,
    );
    return (
        <p class="facts">
            <b class="model-name">{opened.name}</b>
            {opened.others.length > 0 && (
                <select
                    aria-label={strings.otherModels}
                    onChange={(event) => void openOther(event.currentTarget.value)}
                >
                    <option value="">+{opened.others.length}</option>
                    {opened.others.map((path) => (
                        <option key={path} value={path}>
                            {path}
                        </option>
                    ))}
                </select>
            )}
            {report && <Counts report={report} />}
            <span>{bytesText(size + beside)}</span>
            {opened.madeUp && (
                <span class="chip" title={strings.madeUpWhy}>
                    {strings.madeUp}
                </span>
            )}
        </p>
    );
}

/** The header; `onHelp` shows the keys. */
export function Header({ onHelp }: { onHelp(): void }) {
    const opened = useStore(store, (s) => s.opened);
    const report = useStore(store, (s) => s.report);
    return (
        <header class="header">
            <button type="button" class="brand" onClick={closeModel}>
                {Icons.mark}
                <span class="brand-name">{strings.title}</span>{" "}
                <span class="brand-what">{strings.playground}</span>
            </button>
            {opened && <Facts opened={opened} report={report} />}
            <span class="spring" />
            {opened && <Picker class="small" label={strings.openAnother} />}
            <PageButtons onHelp={onHelp} />
        </header>
    );
}
