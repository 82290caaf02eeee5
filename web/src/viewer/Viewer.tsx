/** The page of one model: a header, and the views that need no compiler. */
import { Counts, PageButtons } from "../app/HeaderParts";
import { Help, useKeys } from "../app/Help";
import { Icons } from "../app/icons";
import { Workspace } from "../app/Workspace";
import { store } from "../state";
import { useStore } from "../store";
import { strings } from "../strings";
import { bytesText } from "../text";

function Header({ onHelp }: { onHelp(): void }) {
    const title = useStore(store, (s) => s.title);
    const report = useStore(store, (s) => s.report)!;
    return (
        <header class="header">
            <p class="brand">
                {Icons.mark}
                <span class="brand-name">{strings.title}</span>{" "}
                <span class="brand-what">{strings.inspector}</span>
            </p>
            <p class="facts">
                <b class="model-name">{title}</b>
                <Counts report={report} />
                <span>{bytesText(report.statistics.param_bytes)}</span>
            </p>
            <span class="spring" />
            <PageButtons onHelp={onHelp} />
        </header>
    );
}

/** The whole page. */
export function Viewer() {
    const help = useKeys();
    return (
        <div class="page open">
            <a class="skip" href="#content">
                {strings.skip}
            </a>
            <Header onHelp={help.open} />
            <main id="content" tabIndex={-1}>
                <Workspace />
            </main>
            {help.shown && <Help keys={strings.viewerKeys} onClose={help.close} />}
        </div>
    );
}
