/** Syntax colours of Python, line by line. */
import { highlightTree, tagHighlighter, tags } from "@lezer/highlight";
import { parser } from "@lezer/python";

/** A stretch of a line in one colour; the class is "" for plain text. */
export interface Token {
    text: string;
    className: string;
}

const CLASSES = tagHighlighter([
    { tag: tags.comment, class: "t-comment" },
    { tag: [tags.string, tags.special(tags.string)], class: "t-string" },
    { tag: [tags.number, tags.bool, tags.null], class: "t-number" },
    {
        tag: [tags.keyword, tags.operatorKeyword, tags.controlKeyword],
        class: "t-keyword",
    },
    { tag: [tags.definitionKeyword, tags.moduleKeyword], class: "t-keyword" },
    { tag: tags.function(tags.definition(tags.variableName)), class: "t-name" },
    { tag: tags.definition(tags.className), class: "t-name" },
    { tag: tags.function(tags.variableName), class: "t-call" },
    { tag: tags.function(tags.propertyName), class: "t-call" },
    { tag: tags.meta, class: "t-meta" },
]);

/** A parsed text that gives the tokens of any of its lines. */
export interface Highlighted {
    readonly lines: readonly string[];
    tokens(line: number): Token[];
}

/** Parses `source`; tokens are made when a line is looked at, and kept. */
export function highlight(source: string): Highlighted {
    const lines = source.replace(/\n$/, "").split("\n");
    const tree = parser.parse(source);
    const starts: number[] = [];
    let at = 0;
    for (const line of lines) {
        starts.push(at);
        at += line.length + 1;
    }
    const kept = new Map<number, Token[]>();
    const make = (line: number): Token[] => {
        const text = lines[line - 1] ?? "";
        const start = starts[line - 1] ?? 0;
        const end = start + text.length;
        const tokens: Token[] = [];
        let done = start;
        const push = (to: number, className: string) => {
            if (to > done) tokens.push({ text: source.slice(done, to), className });
            done = Math.max(done, to);
        };
        highlightTree(
            tree,
            CLASSES,
            (from, to, className) => {
                push(Math.min(Math.max(from, start), end), "");
                push(Math.min(to, end), className);
            },
            start,
            end,
        );
        push(end, "");
        return tokens;
    };
    return {
        lines,
        tokens(line) {
            let tokens = kept.get(line);
            if (!tokens) kept.set(line, (tokens = make(line)));
            return tokens;
        },
    };
}
