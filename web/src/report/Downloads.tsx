/** Buttons that save the module, its weights and the report. */
import { useState } from "preact/hooks";
import { Icons } from "../app/icons";
import { Messages } from "../app/Messages";
import { Failure } from "../model/failure";
import { ask } from "../session";
import { moduleWeights, store } from "../state";
import { useStore } from "../store";
import { strings } from "../strings";
import { bytesText } from "../text";
import { saveParts, saveText, weightBytes } from "./saving";
import { reportHtml } from "./html";

/** The card of downloads, with how to use them. */
export function Downloads() {
    const compiled = useStore(store, (s) => s.compiled);
    const report = useStore(store, (s) => s.report)!;
    const opened = useStore(store, (s) => s.opened)!;
    const weights = useStore(store, (s) => moduleWeights(s.controls));
    const failure = useStore(store, (s) => s.failure);
    const [problem, setProblem] = useState("");
    const [busy, setBusy] = useState(false);
    const stem = opened.name.replace(/\.onnx$/i, "");
    const bytes = compiled?.params.reduce((sum, param) => sum + param.nbytes, 0) ?? 0;
    const saved = async (work: () => Promise<unknown>) => {
        setBusy(true);
        setProblem("");
        try {
            await work();
        } catch (error) {
            setProblem(
                error instanceof Failure ? error.messages : `error: ${String(error)}`,
            );
        }
        setBusy(false);
    };
    const saveWeights = async (format: "safetensors" | "npz") => {
        const parts = await ask().ask("weights", { format });
        await saveParts(`${stem}_jax.${format}`, weightBytes(parts, opened));
    };
    return (
        <section class="card" aria-labelledby="downloads-title">
            <h2 id="downloads-title">{strings.downloads}</h2>
            <div class="row">
                {compiled && (
                    <button
                        type="button"
                        class="button"
                        disabled={busy}
                        onClick={() =>
                            void saved(() =>
                                saveText(
                                    `${stem}_jax.py`,
                                    compiled.source,
                                    "text/x-python",
                                ),
                            )
                        }
                    >
                        {Icons.download}
                        <span>
                            {strings.downloadCode} <small>.py</small>
                        </span>
                    </button>
                )}
                {compiled && weights !== "none" && compiled.params.length > 0 && (
                    <button
                        type="button"
                        class="button"
                        disabled={busy}
                        onClick={() => void saved(() => saveWeights(weights))}
                    >
                        {Icons.download}
                        <span>
                            {strings.downloadWeights}{" "}
                            <small>
                                .{weights}, {bytesText(bytes)}
                            </small>
                        </span>
                    </button>
                )}
                <button
                    type="button"
                    class="button"
                    disabled={busy}
                    onClick={() =>
                        void saved(() =>
                            saveText(
                                `${stem}_report.html`,
                                reportHtml(
                                    report,
                                    failure || compiled?.messages || "",
                                    compiled?.source ?? "",
                                ),
                                "text/html",
                            ),
                        )
                    }
                >
                    {Icons.download}
                    <span>
                        {strings.downloadReport} <small>.html</small>
                    </span>
                </button>
            </div>
            {problem && (
                <div role="alert">
                    <Messages text={problem} />
                </div>
            )}
            <p class="quiet">
                {weights === "none" ? strings.noWeights : strings.downloadsWhy}
            </p>
            {compiled && (
                <pre class="usage" tabIndex={0}>
                    {`import ${module(stem)} as model\n\nparams = model.load_params()\n` +
                        `y = model.forward(params, ${report.inputs.map((x) => x.name).join(", ")})`}
                </pre>
            )}
        </section>
    );
}

const module = (stem: string) => `${stem}_jax`;
