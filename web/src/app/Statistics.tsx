/** What is known of the elements of a parameter, read when somebody looks. */
import { useEffect, useState } from "preact/hooks";
import { Failure } from "../model/failure";
import type { Statistics as Numbers } from "../model/statistics";
import { ask } from "../session";
import { store } from "../state";
import { useStore } from "../store";
import { strings } from "../strings";
import { floatText } from "../text";
import { Messages } from "./Messages";

const AT_ONCE = 16e6; // bytes that are read without being asked

function Histogram({ name, numbers }: { name: string; numbers: Numbers }) {
    const { histogram, min, max } = numbers;
    const top = Math.max(...histogram);
    const width = 240 / histogram.length;
    return (
        <figure class="histogram">
            <svg
                viewBox="0 0 240 56"
                preserveAspectRatio="none"
                role="img"
                aria-label={`${strings.histogram(name)}: ${floatText(min)} … ${floatText(max)}`}
            >
                {histogram.map((count, i) => {
                    const height = count === 0 ? 0 : Math.max(1, (56 * count) / top);
                    return (
                        <rect
                            key={i}
                            x={i * width}
                            y={56 - height}
                            width={Math.max(width - 0.7, 0.7)}
                            height={height}
                        />
                    );
                })}
            </svg>
            <figcaption>
                <span>{floatText(min)}</span>
                <span>{floatText(max)}</span>
            </figcaption>
        </figure>
    );
}

function Table({ numbers }: { numbers: Numbers }) {
    const cells: [string, string, boolean?][] = [
        [strings.min, floatText(numbers.min)],
        [strings.max, floatText(numbers.max)],
        [strings.mean, floatText(numbers.mean)],
        [strings.deviation, floatText(numbers.deviation)],
        [strings.zeros, numbers.zeros.toLocaleString("en")],
        [strings.nans, numbers.nans.toLocaleString("en"), numbers.nans > 0],
    ];
    if (numbers.infinities > 0) {
        cells.push([strings.infinities, numbers.infinities.toLocaleString("en"), true]);
    }
    return (
        <dl class="numbers">
            {cells.map(([label, value, alarm]) => (
                <div key={label} class={alarm ? "alarm" : ""}>
                    <dt>{label}</dt>
                    <dd>{value}</dd>
                </div>
            ))}
        </dl>
    );
}

type Found = { numbers?: Numbers; failure?: string };

/** Statistics of the parameter `name`, of `bytes` bytes. */
export function Statistics({ name, bytes }: { name: string; bytes: number }) {
    const compiled = useStore(store, (s) => s.compiled);
    const [wanted, setWanted] = useState(bytes <= AT_ONCE);
    const [found, setFound] = useState<Found>({});
    const there = compiled?.params.some((param) => param.key === name) ?? false;
    useEffect(() => {
        if (!wanted || !there) return;
        let live = true;
        ask()
            .ask("statistics", { key: name })
            .then(
                (numbers) => live && setFound({ numbers }),
                (error: unknown) =>
                    live &&
                    setFound({
                        failure: error instanceof Failure ? error.messages : "",
                    }),
            );
        return () => void (live = false);
    }, [name, wanted, there]);
    if (!there) return compiled ? <p class="quiet">{strings.notAParam}</p> : null;
    if (!wanted) {
        return (
            <button type="button" class="button small" onClick={() => setWanted(true)}>
                {strings.readStatistics(bytes)}
            </button>
        );
    }
    if (found.failure) return <Messages text={found.failure} />;
    if (!found.numbers) return <p class="quiet">{strings.reading}…</p>;
    return (
        <div class="statistics">
            <Histogram name={name} numbers={found.numbers} />
            <Table numbers={found.numbers} />
        </div>
    );
}
