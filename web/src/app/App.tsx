/** The page: a header, and what there is to see. */
import { useStore } from "../store";
import { store } from "../state";
import { strings } from "../strings";
import { DropOverlay } from "./Drop";
import { Header } from "./Header";
import { Help, useKeys } from "./Help";
import { Failed } from "./Failed";
import { Welcome } from "./Welcome";
import { Workspace } from "./Workspace";

function Opening() {
    const title = useStore(store, (s) => s.title);
    return (
        <div class="opening" role="status">
            <div class="opening-bar" />
            <h1>{strings.opening(title)}…</h1>
        </div>
    );
}

/** The whole page. */
export function App() {
    const phase = useStore(store, (s) => s.phase);
    const notice = useStore(store, (s) => s.notice);
    const help = useKeys();
    return (
        <div class={`page ${phase}`}>
            <a class="skip" href="#content">
                {strings.skip}
            </a>
            <Header onHelp={help.open} />
            {notice && (
                <p class="notice" role="alert">
                    {notice}
                </p>
            )}
            <main id="content" tabIndex={-1}>
                {phase === "empty" && <Welcome />}
                {phase === "opening" && <Opening />}
                {phase === "failed" && <Failed />}
                {phase === "open" && <Workspace />}
            </main>
            {help.shown && <Help keys={strings.keys} onClose={help.close} />}
            <DropOverlay />
        </div>
    );
}
