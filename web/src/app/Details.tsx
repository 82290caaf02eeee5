/** What there is to know about the selection. */
import type { ComponentChildren } from "preact";
import { useContext } from "preact/hooks";
import type { Selection } from "../graph";
import { typeOf, valuesOf } from "../model/values";
import type { Report, ReportModule, ReportParam } from "../report";
import { select, store } from "../state";
import { useStore } from "../store";
import { strings } from "../strings";
import { bytesText, countText } from "../text";
import { Icons } from "./icons";
import { Parts } from "./parts";

function Link(props: { to: Selection; children: ComponentChildren }) {
    return (
        <button type="button" class="link" onClick={() => select(props.to)}>
            {props.children}
        </button>
    );
}

function Section({ title, children }: { title: string; children: ComponentChildren }) {
    return (
        <section class="detail">
            <h3>{title}</h3>
            {children}
        </section>
    );
}

/** Values with their types, one a row; each is a link to itself. */
function Values({ report, names }: { report: Report; names: string[] }) {
    const values = valuesOf(report);
    return (
        <ul class="values">
            {names.map((name, i) => {
                const entry = values.get(name);
                return (
                    <li key={i}>
                        {name === "" ? (
                            "–"
                        ) : (
                            <Link to={{ kind: "value", name }}>{name}</Link>
                        )}
                        {entry && <code>{typeOf(entry.value)}</code>}
                        {entry && entry.role !== "value" && (
                            <small>
                                {strings[entry.role === "input" ? "input" : entry.role]}
                            </small>
                        )}
                    </li>
                );
            })}
        </ul>
    );
}

function Parameters({ params }: { params: ReportParam[] }) {
    const { Statistics } = useContext(Parts);
    return (
        <ul class="params">
            {params.map((param) => (
                <li key={param.name}>
                    <p>
                        <b>{param.name}</b> <code>{typeOf(param)}</code>{" "}
                        {bytesText(param.bytes)}
                    </p>
                    {Statistics && <Statistics name={param.name} bytes={param.bytes} />}
                </li>
            ))}
        </ul>
    );
}

function ModulePath({ report, path }: { report: Report; path: string }) {
    const module = report.modules.find((m) => m.path === path);
    return (
        <Link to={{ kind: "module", path }}>
            {path === "" ? strings.whole : path}
            {module?.class && ` (${module.class})`}
        </Link>
    );
}

/** An attribute in words: a number, a text, a list, or what else it is. */
function attributeText(value: unknown): string {
    if (typeof value === "string") return value;
    if (typeof value !== "object" || value === null || Array.isArray(value))
        return JSON.stringify(value);
    const { type, dtype, shape, count, bytes } = value as AttributeKind;
    if (dtype !== undefined) return `${dtype}[${shape?.join(",")}]`;
    if (count !== undefined) return `${count} ${type}`;
    return bytes === undefined ? type : `${type}, ${bytesText(bytes)}`;
}

interface AttributeKind {
    type: string;
    dtype?: string;
    shape?: number[];
    count?: number;
    bytes?: number;
}

function NodeDetails({ report, index }: { report: Report; index: number }) {
    const lineMap = useStore(store, (s) => s.lineMap);
    const node = report.nodes[index];
    if (!node) return null;
    const params = node.param_keys
        .map((key) => report.params.find((param) => param.name === key))
        .filter((param) => param !== undefined);
    const attributes = Object.entries(node.attributes ?? {});
    return (
        <>
            <Section title={strings.operator}>
                <p>
                    <b>{node.op}</b> <code>{`${node.domain} ${node.opset}`}</code>
                    {!lineMap.empty && (
                        <span class="quiet">
                            {" "}
                            {strings.lines(lineMap.linesOf(index))}
                        </span>
                    )}
                </p>
                {node.module !== undefined && (
                    <p>
                        <ModulePath report={report} path={node.module} />
                    </p>
                )}
            </Section>
            <Section title={strings.inputs}>
                <Values report={report} names={node.inputs} />
            </Section>
            <Section title={strings.outputs}>
                <Values report={report} names={node.outputs} />
            </Section>
            {attributes.length > 0 && (
                <Section title={strings.attributes}>
                    <dl class="attributes">
                        {attributes.map(([name, value]) => (
                            <div key={name}>
                                <dt>{name}</dt>
                                <dd>{attributeText(value)}</dd>
                            </div>
                        ))}
                    </dl>
                </Section>
            )}
            {params.length > 0 && (
                <Section title={strings.parameters}>
                    <Parameters params={params} />
                </Section>
            )}
        </>
    );
}

function ModuleDetails({ report, module }: { report: Report; module: ReportModule }) {
    const inside = (name: string) =>
        module.path === "" || name.startsWith(`${module.path}.`);
    const params = report.params.filter((param) => inside(param.name));
    const alike =
        module.kind === undefined
            ? 1
            : report.modules.filter(
                  (m) => m.kind === module.kind && m.class === module.class,
              ).length;
    const rows: [string, string][] = [
        [strings.className, module.class || "–"],
        [strings.nodes, countText(module.nodes)],
        [strings.parameters, countText(module.param_elements)],
        [strings.bytes, bytesText(module.param_bytes)],
        [strings.macs, countText(module.macs)],
    ];
    return (
        <>
            <Section title={strings.module}>
                <dl class="attributes">
                    {rows.map(([name, value]) => (
                        <div key={name}>
                            <dt>{name}</dt>
                            <dd>{value}</dd>
                        </div>
                    ))}
                </dl>
                {alike > 1 && <p class="chip">{strings.alike(alike, module.class)}</p>}
            </Section>
            {params.length > 0 && params.length <= 16 && (
                <Section title={strings.parameters}>
                    <Parameters params={params} />
                </Section>
            )}
        </>
    );
}

function ValueDetails({ report, name }: { report: Report; name: string }) {
    const { Statistics } = useContext(Parts);
    const entry = valuesOf(report).get(name);
    if (!entry) return null;
    const { value, producer, consumers, role } = entry;
    const nodeLink = (i: number) => (
        <Link key={i} to={{ kind: "node", node: i }}>
            {report.nodes[i]!.name || report.nodes[i]!.op}
        </Link>
    );
    return (
        <>
            <Section title={strings.value}>
                <p>
                    <code>{typeOf(value)}</code> {role !== "value" && strings[role]}
                </p>
            </Section>
            {producer !== null && (
                <Section title={strings.producer}>{nodeLink(producer)}</Section>
            )}
            {consumers.length > 0 && (
                <Section title={strings.consumers}>
                    <p class="links">{consumers.slice(0, 40).map(nodeLink)}</p>
                </Section>
            )}
            {role === "parameter" && Statistics && (
                <Section title={strings.statistics}>
                    <Statistics name={name} bytes={(value as ReportParam).bytes} />
                </Section>
            )}
        </>
    );
}

function titleOf(report: Report, selection: Selection): string {
    if (selection.kind === "value") return selection.name;
    if (selection.kind === "module") return selection.path || strings.whole;
    const node = report.nodes[selection.node];
    return node ? node.name || node.op : "";
}

/** The panel of the selection; nothing where there is none. */
export function Details() {
    const report = useStore(store, (s) => s.report);
    const selection = useStore(store, (s) => s.selection);
    if (!report || !selection) return null;
    const module =
        selection.kind === "module" &&
        report.modules.find((entry) => entry.path === selection.path);
    const key = JSON.stringify(selection);
    return (
        <section class="details" aria-label={strings.details}>
            <header>
                <h2>{titleOf(report, selection)}</h2>
                <button
                    type="button"
                    class="button square"
                    aria-label={strings.clear}
                    title={strings.clear}
                    onClick={() => select(null)}
                >
                    {Icons.close}
                </button>
            </header>
            <div
                class="details-body"
                key={key}
                tabIndex={0}
                role="group"
                aria-label={strings.details}
            >
                {selection.kind === "node" && (
                    <NodeDetails report={report} index={selection.node} />
                )}
                {module && <ModuleDetails report={report} module={module} />}
                {selection.kind === "value" && (
                    <ValueDetails report={report} name={selection.name} />
                )}
            </div>
        </section>
    );
}
