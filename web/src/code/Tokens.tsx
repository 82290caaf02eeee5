/** A line of code in colours. */
import type { ComponentChild } from "preact";
import type { Token } from "./highlight";

/** `marks` are stretches [from, to) of the line that a search has found. */
export function Tokens(props: {
    tokens: Token[];
    marks?: readonly [number, number][];
}) {
    const { tokens, marks = [] } = props;
    let at = 0;
    return (
        <>
            {tokens.flatMap((token) => {
                const start = at;
                at += token.text.length;
                return split(token, start, marks);
            })}
        </>
    );
}

function split(
    { text, className }: Token,
    start: number,
    marks: readonly [number, number][],
) {
    const parts: ComponentChild[] = [];
    let done = 0;
    const push = (to: number, found: boolean) => {
        if (to <= done) return;
        const piece = text.slice(done, to);
        parts.push(
            found ? (
                <mark class={className}>{piece}</mark>
            ) : className ? (
                <span class={className}>{piece}</span>
            ) : (
                piece
            ),
        );
        done = to;
    };
    const clip = (x: number) => Math.min(Math.max(x - start, 0), text.length);
    for (const [from, to] of marks) {
        push(clip(from), false);
        push(clip(to), true);
    }
    push(text.length, false);
    return parts;
}
