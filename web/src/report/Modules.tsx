/** Modules by what they hold or compute: the map, and the same as a table. */
import { useState } from "preact/hooks";
import { Choice } from "../app/Tabs";
import type { Report } from "../report";
import { select, show } from "../state";
import { strings } from "../strings";
import { shareText } from "../text";
import { metricText, Treemap } from "./Treemap";
import {
    largestFirst,
    METRICS,
    moduleTree,
    pathTo,
    type Metric,
    type ModuleTree,
} from "./summary";

const LABELS: Record<Metric, string> = {
    params: strings.parameters,
    bytes: strings.bytes,
    flops: strings.flops,
    activations: strings.activations,
};

function rowsOf(
    tree: ModuleTree,
    depth: number,
): { tree: ModuleTree; depth: number }[] {
    return tree.children.flatMap((child) => [
        { tree: child, depth },
        ...rowsOf(child, depth + 1),
    ]);
}

function Table({ root, metrics }: { root: ModuleTree; metrics: Metric[] }) {
    const rows = [{ tree: root, depth: 0 }, ...rowsOf(root, 1)].filter(
        ({ tree }) => tree.path !== null,
    );
    return (
        <div
            class="table-frame"
            tabIndex={0}
            role="region"
            aria-label={`${strings.byModule}, ${strings.asTable}`}
        >
            <table>
                <thead>
                    <tr>
                        <th scope="col">{strings.module}</th>
                        <th scope="col">{strings.className}</th>
                        {metrics.map((metric) => (
                            <th key={metric} scope="col" class="right">
                                {LABELS[metric]}
                            </th>
                        ))}
                        <th scope="col" class="right">
                            {strings.share}
                        </th>
                    </tr>
                </thead>
                <tbody>
                    {rows.map(({ tree, depth }) => (
                        <tr key={tree.path}>
                            <th
                                scope="row"
                                style={{ paddingLeft: `${8 + 14 * depth}px` }}
                            >
                                {tree.path === "" ? strings.whole : tree.label}
                            </th>
                            <td>{tree.className}</td>
                            {metrics.map((metric) => (
                                <td key={metric} class="right">
                                    {metricText(metric, tree[metric])}
                                </td>
                            ))}
                            <td class="right">
                                {shareText(tree[metrics[0]!], root[metrics[0]!])}
                            </td>
                        </tr>
                    ))}
                </tbody>
            </table>
        </div>
    );
}

function Trail({ trail, onOpen }: { trail: ModuleTree[]; onOpen(path: string): void }) {
    return (
        <nav class="trail" aria-label={strings.module}>
            <ol>
                {trail.map((tree, i) => (
                    <li key={tree.path}>
                        <button
                            type="button"
                            class="link"
                            aria-current={i === trail.length - 1 ? "true" : undefined}
                            onClick={() => onOpen(tree.path ?? "")}
                        >
                            {tree.path === "" ? strings.whole : tree.label}
                        </button>
                    </li>
                ))}
            </ol>
        </nav>
    );
}

/** The card of modules. */
export function Modules({ report }: { report: Report }) {
    const [wanted, setWanted] = useState<Metric>("bytes");
    const [form, setForm] = useState<"map" | "table">("map");
    const [path, setPath] = useState("");
    const root = moduleTree(report, strings.rest);
    if (!root) return null;
    const metrics = METRICS.filter((m) => root[m] > 0);
    const metric = metrics.includes(wanted) ? wanted : metrics[0];
    if (!metric) return null;
    const trail = pathTo(root, path);
    const here = trail.at(-1)!;
    const open = (tree: ModuleTree) => {
        if (tree.path === null) return;
        if (largestFirst(tree, metric).length > 0) setPath(tree.path);
        else {
            select({ kind: "module", path: tree.path });
            show("graph");
        }
    };
    const options = Object.fromEntries(metrics.map((m) => [m, LABELS[m]])) as Record<
        Metric,
        string
    >;
    return (
        <section class="card" aria-labelledby="modules-title">
            <header class="card-head">
                <h2 id="modules-title">{strings.byModule}</h2>
                <Choice
                    label={strings.metric}
                    options={options}
                    current={metric}
                    onChange={(next) => setWanted(next)}
                />
                <Choice
                    label={strings.form}
                    bare
                    options={{ map: strings.asMap, table: strings.asTable }}
                    current={form}
                    onChange={(next) => setForm(next)}
                />
            </header>
            {form === "map" ? (
                <>
                    <Trail trail={trail} onOpen={setPath} />
                    <Treemap
                        key={`${path} ${metric}`}
                        tree={here}
                        metric={metric}
                        total={root[metric]}
                        canGoUp={trail.length > 1}
                        onOpen={open}
                        onUp={() => setPath(trail.at(-2)?.path ?? "")}
                    />
                </>
            ) : (
                <Table
                    root={root}
                    metrics={[metric, ...metrics.filter((m) => m !== metric)]}
                />
            )}
        </section>
    );
}
