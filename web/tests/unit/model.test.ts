import { describe, expect, it } from "vitest";
import { chooseModel, dataFile } from "../../src/model/files";
import { readLineMap } from "../../src/model/line_map";
import { madeUpBytes, weightWord } from "../../src/model/made_up";
import { readMessages } from "../../src/model/messages";

const file = (path: string) => ({
    path,
    file: new File(["x"], path.split("/").at(-1)!),
});

describe("chooseModel", () => {
    it("takes the model that is least deep, and names its data from its folder", () => {
        const choice = chooseModel([
            file("m/deep/other.onnx"),
            file("m/net.onnx"),
            file("m/data/w.bin"),
            file("elsewhere.bin"),
        ])!;
        expect(choice.model.path).toBe("m/net.onnx");
        expect([...choice.beside.keys()]).toEqual(["deep/other.onnx", "data/w.bin"]);
        expect(choice.others.map((o) => o.path)).toEqual(["m/deep/other.onnx"]);
    });
    it("takes a single file of any name, and none of several", () => {
        expect(chooseModel([file("model.bin")])?.model.path).toBe("model.bin");
        expect(chooseModel([file("a.bin"), file("b.bin")])).toBeNull();
        expect(chooseModel([])).toBeNull();
    });
    it("takes the one that is wanted", () => {
        const all = [file("a.onnx"), file("b.onnx")];
        expect(chooseModel(all, "b.onnx")?.model.path).toBe("b.onnx");
    });
});

it("dataFile finds a file by its path, or by its name where it came without a folder", () => {
    const [a, b, c] = [new Blob(["a"]), new Blob(["b"]), new Blob(["c"])];
    const beside = new Map([
        ["data/w.bin", a],
        ["w.bin", b],
        ["other/v.bin", c],
    ]);
    expect(dataFile(beside, "data/w.bin")).toBe(a);
    expect(dataFile(beside, "else/w.bin")).toBe(b);
    expect(dataFile(beside, "v.bin")).toBeNull();
});

describe("readLineMap", () => {
    const map = readLineMap(
        JSON.stringify({
            version: 1,
            nodes: [
                { node: 0, lines: [[3, 6]] },
                { node: 4, lines: [[5, 5]] },
                {
                    node: 7,
                    lines: [
                        [5, 5],
                        [9, 9],
                    ],
                },
            ],
            functions: [],
            params: [],
        }),
    );
    it("leads there and back, the narrowest node first", () => {
        expect(map.linesOf(7)).toEqual([
            [5, 5],
            [9, 9],
        ]);
        expect(map.nodesAt(5)).toEqual([4, 7, 0]);
        expect(map.nodesAt(4)).toEqual([0]);
        expect(map.nodesAt(1)).toEqual([]);
        expect(map.linesOf(1)).toEqual([]);
    });
    it("may be empty", () => {
        expect(readLineMap("").empty).toBe(true);
        expect(map.empty).toBe(false);
    });
});

it("readMessages takes severity, code, place and help apart", () => {
    const text =
        'error[OX0301]: no translation of "Foo"\n --> m.onnx: node #1 "a"\n  help: export without it\n' +
        "warning[OX0404]: declared type differs\nerror: plain\n";
    const messages = readMessages(text);
    expect(messages.map((m) => [m.severity, m.code])).toEqual([
        ["error", "OX0301"],
        ["warning", "OX0404"],
        ["error", ""],
    ]);
    expect(messages[0]).toMatchObject({
        where: [' --> m.onnx: node #1 "a"'],
        help: ["  help: export without it"],
    });
});

describe("random weights", () => {
    it("are small, spread, and the same wherever reading begins", () => {
        const all = new Float32Array(madeUpBytes(0, 4000).slice().buffer);
        expect(Math.min(...all)).toBeGreaterThanOrEqual(Math.fround(-0.05));
        expect(Math.max(...all)).toBeLessThan(0.05);
        expect(new Set(all).size).toBeGreaterThan(990);
        expect([...madeUpBytes(5, 9)]).toEqual([...madeUpBytes(0, 20).slice(5, 14)]);
        expect(all[3]).toBe(Math.fround(weightWord(3)));
    });
});
