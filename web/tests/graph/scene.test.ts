import { describe, expect, test } from "vitest";
import { synthetic } from "../../bench/synthetic";
import { SceneIndex } from "../../src/graph/hit";
import { buildModel, type GraphModel } from "../../src/graph/model";
import { buildScene, firstOpen, type Scene, withOpen } from "../../src/graph/scene";

const all = (model: GraphModel) => new Set(model.groups.keys());

/** Pairs of boxes beside one another that overlap; boxes within others must be inside. */
function misplaced(scene: Scene): string[] {
    const wrong: string[] = [];
    const inside = new Map<number, number[]>();
    scene.boxes.forEach((box, b) => {
        const list = inside.get(box.parent);
        if (list) list.push(b);
        else inside.set(box.parent, [b]);
        const around = scene.boxes[box.parent];
        if (!around) return;
        const fits =
            box.x >= around.x &&
            box.y >= around.y &&
            box.x + box.w <= around.x + around.w &&
            box.y + box.h <= around.y + around.h;
        if (!fits) wrong.push(`${b} outside of ${box.parent}`);
    });
    for (const list of inside.values()) {
        list.sort((a, b) => scene.boxes[a]!.y - scene.boxes[b]!.y);
        list.forEach((a, k) => {
            const p = scene.boxes[a]!;
            for (const b of list.slice(k + 1)) {
                const q = scene.boxes[b]!;
                if (q.y >= p.y + p.h - 1e-6) break;
                if (q.x < p.x + p.w - 1e-6 && p.x < q.x + q.w - 1e-6)
                    wrong.push(`${a} over ${b}`);
            }
        });
    }
    return wrong;
}

/** Boxes that a value reaches from where it is made, along wires and stubs. */
function reached(scene: Scene, start: number, value: number): Set<number> {
    const seen = new Set([start]);
    for (let before = 0; before < seen.size;) {
        before = seen.size;
        for (const wire of scene.wires) {
            if (wire.values.includes(value) && seen.has(wire.from)) seen.add(wire.to);
        }
        for (const stub of scene.stubs) {
            if (stub.side !== "in" || stub.value !== value) continue;
            if (stub.targets.some((from) => seen.has(from))) seen.add(stub.box);
        }
    }
    return seen;
}

function unreached(model: GraphModel, scene: Scene): string[] {
    const index = new SceneIndex(model, scene);
    const lost: string[] = [];
    for (let i = 0; i < model.edges.length; i += 3) {
        const [a, b, value] = [
            model.edges[i]!,
            model.edges[i + 1]!,
            model.edges[i + 2]!,
        ];
        const from = index.boxOf(a);
        const to = index.boxOf(b);
        if (from !== to && !reached(scene, from, value).has(to))
            lost.push(`${a} to ${b}`);
    }
    return lost;
}

describe.each([true, false])("a transformer of 3 layers, modules: %s", (modules) => {
    const model = buildModel(synthetic(93, modules));
    test.each(["at first", "all open"])(
        "%s, boxes are apart and wires complete",
        (when) => {
            const scene = buildScene(
                model,
                when === "at first" ? firstOpen(model) : all(model),
            );
            expect(misplaced(scene)).toEqual([]);
            expect(unreached(model, scene)).toEqual([]);
        },
    );
});

describe("5,000 nodes", { timeout: 60_000 }, () => {
    test.each([true, false])("modules: %s", (modules) => {
        const model = buildModel(synthetic(5000, modules));
        const scene = buildScene(model, all(model));
        const nodes = scene.boxes.filter((box) => box.type === "op");
        expect(nodes).toHaveLength(5000);
        expect(misplaced(scene)).toEqual([]);
        const again = JSON.stringify(buildScene(model, all(model)));
        expect(again === JSON.stringify(scene)).toBe(true);
    });

    test("a mask that all layers read is a few stubs, and one tag at its source", () => {
        const model = buildModel(synthetic(5000, false));
        const scene = buildScene(model, new Set());
        const mask = model.values.findIndex((value) => value.name === "mask");
        const tags = scene.stubs.filter((stub) => stub.value === mask);
        const [source] = tags.filter((stub) => stub.side === "out");
        const readers = tags.filter((stub) => stub.side === "in").length;
        expect(tags).toHaveLength(readers + 1);
        expect(source!.targets).toHaveLength(readers);
        expect(readers).toBeGreaterThan(150);
    });
});

test("a value goes straight through the border of an open group", () => {
    const model = buildModel(synthetic(93, true));
    const scene = buildScene(model, all(model));
    const outer = scene.wires.filter((wire) => scene.boxes[wire.to]!.type === "open");
    const inner = scene.wires.filter((wire) => wire.port);
    for (const wire of outer) {
        const bottom =
            wire.points.at(-1)! === scene.boxes[wire.to]!.y + scene.boxes[wire.to]!.h;
        if (bottom) continue;
        const x = wire.points.at(-2)!;
        const meets = (other: typeof wire): boolean =>
            other.from === wire.to &&
            other.values[0] === wire.values[0] &&
            Math.abs(other.points[0]! - x) < 0.01;
        const stubbed = scene.stubs.some((stub) => stub.value === wire.values[0]);
        expect(inner.some(meets) || stubbed).toBe(true);
    }
});

test("an opened group opens what is its only member", () => {
    const model = buildModel(synthetic(93, true));
    const run = model.groups.findIndex((group) => group.run === 3);
    const open = withOpen(model, new Set(), run);
    expect(open).toEqual(new Set([run]));
    const query = model.groups.findIndex(
        (group) => group.path === "layers.1.attention",
    );
    expect(withOpen(model, new Set(), query).has(run)).toBe(true);
});
