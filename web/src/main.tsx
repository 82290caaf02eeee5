/** Starts the page. */
import { render } from "preact";
import { App } from "./app/App";
import { Parts, type PageParts } from "./app/parts";
import { Statistics } from "./app/Statistics";
import { Options } from "./code/Options";
import { compilerCode } from "./model/engine";
import { Downloads } from "./report/Downloads";
import { restoreTheme } from "./state";
import "./styles/fonts.css";
import "./styles/base.css";
import "./styles/welcome.css";
import "./styles/app.css";
import "./styles/code.css";
import "./styles/report.css";
import "./styles/three.css";
import { ThreePane } from "./three/ThreePane";

const parts: PageParts = { Options, Statistics, Downloads, Three: ThreePane };

restoreTheme();
render(
    <Parts.Provider value={parts}>
        <App />
    </Parts.Provider>,
    document.getElementById("app")!,
);
// Fetched while somebody looks for a file; whoever opens one says what went wrong.
compilerCode().catch(() => undefined);
if (import.meta.env.PROD && "serviceWorker" in navigator) {
    // Without one (file:, private windows) the page works while its host is reached.
    navigator.serviceWorker.register("./sw.js").catch(() => undefined);
}
