// What the page of one model starts with.
import { expect, it } from "vitest";
import { inspected } from "../../src/viewer/inspected";

const map = { version: 1, nodes: [{ node: 0, lines: [[3, 4]] }], functions: [] };

it("a model that compiles has code and its lines", () => {
    const compiled = JSON.stringify({ source: "y = x\n", messages: "note: n\n", map });
    const state = inspected("net", '{"nodes": []}', compiled);
    expect(state).toMatchObject({ phase: "open", title: "net", failure: "" });
    expect(state.compiled).toMatchObject({ source: "y = x\n", messages: "note: n\n" });
    expect(state.lineMap!.nodesAt(4)).toEqual([0]);
});

it("one that does not has messages", () => {
    const compiled = JSON.stringify({ source: "", messages: "error: e\n", map: null });
    const state = inspected("net", '{"nodes": []}', compiled);
    expect(state.compiled).toBeNull();
    expect(state.failure).toBe("error: e\n");
    expect(state.lineMap!.empty).toBe(true);
});
