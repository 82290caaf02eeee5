/** What there is before a model: what the page does, where to drop, examples. */
import { useEffect, useState } from "preact/hooks";
import { Tokens } from "../code/Tokens";
import { highlight } from "../code/highlight";
import { listExamples, type Example } from "../model/examples";
import { openExample } from "../session";
import { strings } from "../strings";
import { Icons } from "./icons";
import { Picker } from "./Picker";
import sample from "./welcome_sample.txt?raw";

/** Pieces of what ResNet-18 becomes; a test compares them with the program. */
const SAMPLE = highlight(sample);

/** Operators of a block, as a drawing beside the code that they become. */
function Sketch() {
    const boxes = ["Conv", "BatchNorm", "Relu", "Conv", "BatchNorm", "Add"];
    return (
        <svg class="sketch" viewBox="0 0 132 236" aria-hidden="true">
            <path class="wire" d="M52 0V228" />
            <path
                class="wire skip-wire"
                d="M52 6h54a8 8 0 0 1 8 8v184a8 8 0 0 1-8 8H78"
            />
            {boxes.map((name, i) => (
                <g
                    key={i}
                    transform={`translate(8 ${14 + i * 36})`}
                    class={`box ${name}`}
                >
                    <rect width="88" height="25" rx="6" />
                    <text x="44" y="16.5" text-anchor="middle">
                        {name}
                    </text>
                </g>
            ))}
        </svg>
    );
}

function ExampleCard({ example }: { example: Example }) {
    const { title, about, size, data } = example;
    return (
        <li>
            <button
                type="button"
                class="example"
                onClick={() => void openExample(example)}
            >
                <b>{title}</b>
                <span>{about}</span>
                <small>
                    {strings.exampleSize(size + (data?.size ?? 0))}
                    {data && `, ${strings.exampleRandom}`}
                </small>
            </button>
        </li>
    );
}

/** The page without a model. */
export function Welcome() {
    const [examples, setExamples] = useState<Example[] | null>(null);
    useEffect(() => {
        listExamples().then(setExamples, () => setExamples([]));
    }, []);
    return (
        <div class="welcome">
            <section class="hero">
                <div class="hero-text">
                    <h1>{strings.headline}</h1>
                    <p class="lead">{strings.lead}</p>
                    <div class="drop-zone">
                        <p>
                            <b>{strings.drop}</b>
                            <span>{strings.dropMore}</span>
                        </p>
                        <div class="row">
                            <Picker class="primary" />
                            <Picker folder />
                        </div>
                    </div>
                    <p class="privacy">
                        {Icons.lock}
                        <span>
                            <b>{strings.privacy}</b> {strings.privacyMore}
                        </span>
                    </p>
                </div>
                <div class="hero-picture" aria-hidden="true">
                    <Sketch />
                    <pre>
                        {SAMPLE.lines.map((_, i) => (
                            <span key={i}>
                                <Tokens tokens={SAMPLE.tokens(i + 1)} />
                                {"\n"}
                            </span>
                        ))}
                    </pre>
                </div>
            </section>
            <section class="examples" aria-labelledby="examples-title">
                <h2 id="examples-title">{strings.examples}</h2>
                {examples?.length === 0 && <p>{strings.noExamples}</p>}
                <ul>
                    {examples?.map((example) => (
                        <ExampleCard key={example.name} example={example} />
                    ))}
                </ul>
            </section>
        </div>
    );
}
