/**
 * The graph view by itself: graph.html?report=ADDRESS&theme=dark&still.  The report is
 * what `oxide_xla inspect MODEL --format json` writes; without an address, any file may
 * be dropped.
 */
import { render } from "preact";
import { useState } from "preact/hooks";
import { GraphView, type Selection } from "../src/graph";
import type { Report } from "../src/report";

const query = new URLSearchParams(location.search);

function Page({ report }: { report: Report }) {
    const [selection, setSelection] = useState<Selection | null>(null);
    return (
        <GraphView
            report={report}
            selection={selection}
            onSelect={setSelection}
            theme={query.get("theme") === "dark" ? "dark" : "light"}
            reducedMotion={query.has("still")}
        />
    );
}

function show(report: Report): void {
    render(<Page report={report} />, document.getElementById("app")!);
}

window.addEventListener("dragover", (event) => event.preventDefault());
window.addEventListener("drop", (event) => {
    event.preventDefault();
    void event.dataTransfer?.files[0]?.text().then((text) => show(JSON.parse(text)));
});
const address = query.get("report");
if (address) show(await (await fetch(address)).json());
