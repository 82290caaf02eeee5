import { describe, expect, it } from "vitest";
import { changedLines } from "../../src/code/diff";
import { findFolds, helperFolds, visibleLines } from "../../src/code/folds";
import { highlight } from "../../src/code/highlight";
import { findMatches } from "../../src/code/search";

const MODULE = `"""A module.

def nothing():
    in a docstring
"""

import jax


def helper(
    x,
    y,
):
    """One.

flush text
    """
    return x


@jax.jit
def forward(params, x):
    return helper(x)


class Outputs:
    a: int
`;

describe("changedLines", () => {
    const lines = (text: string) => text.split("").join("\n");
    it("finds insertions, replacements and nothing", () => {
        expect([...changedLines(lines("abcd"), lines("abxcd"))]).toEqual([3]);
        expect([...changedLines(lines("abcd"), lines("axcd"))]).toEqual([2]);
        expect([...changedLines(lines("abcd"), lines("abd"))]).toEqual([]);
        expect([...changedLines("same", "same")]).toEqual([]);
    });
    it("is a shortest script: what is left over is a common subsequence", () => {
        const before = lines("abcabba");
        const after = lines("cbabac");
        // Myers' own example: five edits, of which two are insertions.
        expect(changedLines(before, after).size).toBe(2);
    });
    it("ends for texts that share nothing", () => {
        const many = (c: string) =>
            Array.from({ length: 5000 }, (_, i) => c + i).join("\n");
        expect(changedLines(many("a"), many("b")).size).toBe(5000);
    });
});

describe("folds", () => {
    const lines = MODULE.split("\n");
    const folds = findFolds(lines);
    it("are functions and classes, not text", () => {
        expect(folds.map((f) => [f.name, f.head, f.last])).toEqual([
            ["helper", 10, 18],
            ["forward", 22, 23],
            ["Outputs", 26, 27],
        ]);
    });
    it("leave the head", () => {
        const shown = visibleLines(lines.length, folds, new Set([10, 26]));
        expect(shown).toContain(10);
        expect(shown).not.toContain(11);
        expect(shown).not.toContain(18);
        expect(shown).toContain(19);
        expect(shown.filter((n) => n > 25)).toEqual([26, 28]);
    });
    it("of helpers are those without nodes", () => {
        const names = helperFolds(folds, (line) => line === 27).map((f) => f.name);
        expect(names).toEqual(["helper"]);
    });
});

describe("highlight", () => {
    it("gives each line its text back", () => {
        const { lines, tokens } = highlight(MODULE);
        lines.forEach((line, i) => {
            expect(
                tokens(i + 1)
                    .map((t) => t.text)
                    .join(""),
            ).toBe(line);
        });
        expect(tokens(3)[0]).toMatchObject({ className: "t-string" });
        expect(tokens(7)[0]).toEqual({ text: "import", className: "t-keyword" });
    });
});

it("findMatches in any case, several in a line", () => {
    expect(findMatches(["ab AB", "", "xab"], "Ab")).toEqual([
        { line: 1, from: 0, to: 2 },
        { line: 1, from: 3, to: 5 },
        { line: 3, from: 1, to: 3 },
    ]);
    expect(findMatches(["abc"], "")).toEqual([]);
});
