/** An open model: its graph on the left, its code or report on the right. */
import { useContext, useEffect, useState } from "preact/hooks";
import { CodePane } from "../code/CodePane";
import { GraphView } from "../graph";
import { ReportPane } from "../report/ReportPane";
import { select, show, store, type View } from "../state";
import { useStore } from "../store";
import { strings } from "../strings";
import { Details } from "./Details";
import { Icons } from "./icons";
import { Parts } from "./parts";
import { Splitter } from "./Splitter";
import { Tabs, type Tab } from "./Tabs";
import { useMedia } from "./media";

const GRAPH: Tab<View> = { id: "graph", label: strings.graph, icon: Icons.graph };
const THREE: Tab<View> = { id: "three", label: strings.three, icon: Icons.three };
const TEXT: Tab<View>[] = [
    { id: "code", label: strings.code, icon: Icons.code },
    { id: "report", label: strings.report, icon: Icons.report },
];

function Panel({ view }: { view: View }) {
    const report = useStore(store, (s) => s.report)!;
    const selection = useStore(store, (s) => s.selection);
    const theme = useStore(store, (s) => s.theme);
    const lit = useStore(store, (s) => s.lit);
    const { Three } = useContext(Parts);
    const reducedMotion = useMedia("(prefers-reduced-motion: reduce)");
    if (view === "code") return <CodePane />;
    if (view === "report") return <ReportPane />;
    const props = { report, selection, onSelect: select, theme, reducedMotion };
    if (view === "three" && Three) return <Three {...props} />;
    return <GraphView {...props} highlight={lit as Set<number>} />;
}

/** A column of tabs and what the chosen one shows. */
function Column(props: { id: string; tabs: Tab<View>[]; current: View }) {
    const { id, tabs, current } = props;
    return (
        <section class="column" id={`${id}-column`}>
            <Tabs
                label={strings.views}
                tabs={tabs}
                current={current}
                panel={id}
                onChange={show}
            />
            <div
                class={`panel panel-${current}`}
                id={id}
                role="tabpanel"
                aria-labelledby={`${id}-${current}`}
            >
                <Panel view={current} />
            </div>
        </section>
    );
}

/** Both columns, or one where the window is narrow. */
export function Workspace() {
    const view = useStore(store, (s) => s.view);
    const selection = useStore(store, (s) => s.selection);
    const name = useStore(store, (s) => s.title);
    const pictures = useContext(Parts).Three ? [GRAPH, THREE] : [GRAPH];
    const narrow = useMedia("(max-width: 860px)");
    const [share, setShare] = useState(50);
    const [left, setLeft] = useState<View>("graph");
    const [right, setRight] = useState<View>("code");
    useEffect(() => {
        if (view === "graph" || view === "three") setLeft(view);
        else setRight(view);
    }, [view]);
    const title = <h1 class="unseen">{name}</h1>;
    if (narrow) {
        return (
            <div class="workspace narrow">
                {title}
                <Column id="views" tabs={[...pictures, ...TEXT]} current={view} />
                {selection && view !== "report" && <Details />}
            </div>
        );
    }
    return (
        <div class="workspace wide">
            {title}
            <div class="side">
                <Column id="pictures" tabs={pictures} current={left} />
                {selection && <Details />}
            </div>
            <Splitter label={strings.resize} share={share} onChange={setShare} />
            <div class="side texts" style={{ flexBasis: `${share}%` }}>
                <Column id="texts" tabs={TEXT} current={right} />
            </div>
        </div>
    );
}
