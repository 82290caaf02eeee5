/** What the model is made of, what the compiler says of it, and the downloads. */
import { useContext } from "preact/hooks";
import { Messages } from "../app/Messages";
import { Parts } from "../app/parts";
import type { Report } from "../report";
import { store } from "../state";
import { useStore } from "../store";
import { strings } from "../strings";
import { bytesText, countText } from "../text";
import { operatorCategory } from "../graph/categories";
import { typeOf } from "../model/values";
import { Modules } from "./Modules";
import { assumedText, operatorCounts } from "./summary";

function Fact(props: { label: string; value: string; note?: string }) {
    return (
        <div class="fact">
            <dt>{props.label}</dt>
            <dd>
                <b>{props.value}</b>
                {props.note && <small>{props.note}</small>}
            </dd>
        </div>
    );
}

function Overview({ report }: { report: Report }) {
    const { statistics, work } = report;
    const assumed = assumedText(report);
    const whole = report.modules.find((module) => module.parent === null);
    const activations = whole?.activation_bytes;
    const opsets = Object.entries(report.model.opsets).map(
        ([name, n]) => `${name} ${n}`,
    );
    return (
        <section aria-labelledby="overview-title">
            <h2 id="overview-title" class="unseen">
                {strings.overview}
            </h2>
            <dl class="facts-grid">
                <Fact
                    label={strings.parameters}
                    value={countText(statistics.param_elements)}
                    note={strings.tensors(statistics.params)}
                />
                <Fact label={strings.bytes} value={bytesText(statistics.param_bytes)} />
                {work && (
                    <Fact
                        label={strings.flops}
                        value={countText(2 * work.macs)}
                        note={assumed && strings.assumed(assumed)}
                    />
                )}
                {activations !== undefined && (
                    <Fact
                        label={strings.activations}
                        value={bytesText(activations)}
                        note={assumed && strings.assumed(assumed)}
                    />
                )}
                <Fact
                    label={strings.nodes}
                    value={statistics.nodes.toLocaleString("en")}
                    note={opsets.join(", ")}
                />
            </dl>
            <dl class="signature">
                {[
                    [strings.inputs, report.inputs] as const,
                    [strings.outputs, report.outputs] as const,
                ].map(([label, values]) => (
                    <div key={label}>
                        <dt>{label}</dt>
                        {values.map((value) => (
                            <dd key={value.name}>
                                <b>{value.name}</b> <code>{typeOf(value)}</code>
                            </dd>
                        ))}
                    </div>
                ))}
            </dl>
        </section>
    );
}

function Operators({ report }: { report: Report }) {
    const counts = operatorCounts(report);
    const most = counts[0]?.[1] ?? 1;
    return (
        <section class="card" aria-labelledby="operators-title">
            <h2 id="operators-title">{strings.operators}</h2>
            <ul class="bars">
                {counts.map(([op, n]) => (
                    <li key={op}>
                        <span>{op}</span>
                        <svg
                            viewBox="0 0 100 8"
                            preserveAspectRatio="none"
                            aria-hidden="true"
                        >
                            <rect
                                class={`c-${operatorCategory(op)}`}
                                width={(100 * n) / most}
                                height="8"
                            />
                        </svg>
                        <span class="right">{n.toLocaleString("en")}</span>
                    </li>
                ))}
            </ul>
        </section>
    );
}

function Unsupported({ report }: { report: Report }) {
    if (report.unsupported.length === 0) return null;
    return (
        <section class="card alarm" aria-labelledby="unsupported-title">
            <h2 id="unsupported-title">{strings.unsupported}</h2>
            <ul class="plain">
                {report.unsupported.map((entry) => (
                    <li key={`${entry.domain} ${entry.op}`}>
                        <b>{entry.op}</b>{" "}
                        <code>{`${entry.domain} ${entry.opset}`}</code> × {entry.count},{" "}
                        {entry.first_node || `#${entry.first_index}`}
                    </li>
                ))}
            </ul>
        </section>
    );
}

function Notes({ report }: { report: Report }) {
    if (!report.notes?.length) return null;
    return (
        <section class="card" aria-labelledby="notes-title">
            <h2 id="notes-title">{strings.notes}</h2>
            <ul class="plain">
                {report.notes.map((note) => (
                    <li key={note}>{note}</li>
                ))}
            </ul>
        </section>
    );
}

/** The pane, from an overview to the downloads. */
export function ReportPane() {
    const report = useStore(store, (s) => s.report)!;
    const compiled = useStore(store, (s) => s.compiled);
    const failure = useStore(store, (s) => s.failure);
    const { Downloads } = useContext(Parts);
    const messages = failure || compiled?.messages || "";
    return (
        <div class="report-pane" tabIndex={0} role="group" aria-label={strings.report}>
            <Overview report={report} />
            <Unsupported report={report} />
            <Notes report={report} />
            {messages ? (
                <section class="card" aria-labelledby="messages-title">
                    <h2 id="messages-title">{strings.messages}</h2>
                    <Messages text={messages} />
                </section>
            ) : (
                <p class="quiet">{strings.noMessages}</p>
            )}
            <Modules report={report} />
            <Operators report={report} />
            {Downloads && <Downloads />}
        </div>
    );
}
