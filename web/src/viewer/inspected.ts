/** What the program has put into the page (src/inspect/html.c). */
import { indexLines, type LineMapJson } from "../model/line_map";
import type { Report } from "../report";
import type { State } from "../state";

/** What compiling gave; `source` is "" where the model does not compile. */
interface CompiledJson {
    source: string;
    messages: string;
    map: LineMapJson | null;
}

/** The state of a page of the model `title`, from the two texts of JSON in it. */
export function inspected(
    title: string,
    report: string,
    compiled: string,
): Partial<State> {
    const { source, messages, map } = JSON.parse(compiled) as CompiledJson;
    return {
        phase: "open",
        title,
        report: JSON.parse(report) as Report,
        compiled:
            source === ""
                ? null
                : { source, messages, summary: "", params: [], lineMap: "" },
        lineMap: indexLines(map),
        failure: source === "" ? messages : "",
    };
}
