import { describe, expect, test } from "vitest";
import {
    DEFAULTS,
    layout,
    type LayoutEdge,
    type LayoutInput,
    type LayoutResult,
} from "../../src/graph/layout";

/** A generator that gives the same numbers everywhere. */
function random(seed: number): (n: number) => number {
    let state = seed;
    return (n) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * n);
    };
}

function randomGraph(seed: number, n: number, extra: number): LayoutInput {
    const next = random(seed);
    const edges: LayoutEdge[] = [];
    for (let i = 1; i < n; i++) {
        const from = Math.max(0, i - 1 - next(6));
        edges.push({ from, to: i, bundle: from });
    }
    for (let k = 0; k < extra; k++) {
        const from = next(n - 1);
        edges.push({ from, to: from + 1 + next(n - from - 1), bundle: from });
    }
    const widths = Array.from({ length: n }, () => 60 + next(200));
    const heights = Array.from({ length: n }, () => 30 + next(60));
    return { widths, heights, edges };
}

function chain(n: number) {
    const size = Array.from({ length: n }, () => 50);
    const edges: LayoutEdge[] = size.slice(1).map((_, i) => ({ from: i, to: i + 1 }));
    return { widths: size, heights: size, edges };
}

function overlaps(input: LayoutInput, { x, y }: LayoutResult): number {
    const order = [...x.keys()].sort((a, b) => y[a]! - y[b]!);
    let count = 0;
    order.forEach((a, k) => {
        for (const b of order.slice(k + 1)) {
            if (y[b]! >= y[a]! + input.heights[a]! - 1e-6) break;
            const left = Math.max(x[a]!, x[b]!);
            const right = Math.min(x[a]! + input.widths[a]!, x[b]! + input.widths[b]!);
            if (right - left > 1e-6) count++;
        }
    });
    return count;
}

function checkRoutes(input: LayoutInput, result: LayoutResult): void {
    const { x, y, layers } = result;
    input.edges.forEach((edge, e) => {
        const route = result.routes[e];
        if (!route) return;
        const middle = (i: number): number => x[i]! + input.widths[i]! / 2;
        expect(route[0]).toBeCloseTo(middle(edge.from));
        expect(route[1]).toBeCloseTo(y[edge.from]! + input.heights[edge.from]!);
        expect(route.at(-2)).toBeCloseTo(middle(edge.to));
        expect(route.at(-1)).toBeCloseTo(y[edge.to]!);
        for (let i = 3; i < route.length; i += 2) {
            expect(route[i]! - route[i - 2]!).toBeGreaterThan(-1e-6);
        }
        expect(layers[edge.to]).toBeGreaterThan(layers[edge.from]!);
    });
}

/** How often lines between two layers cross. */
function crossings({ routes }: LayoutResult): number {
    const gaps = new Map<number, [number, number][]>();
    for (const route of routes) {
        for (let i = 2; route && i < route.length; i += 2) {
            if (route[i + 1]! - route[i - 1]! < DEFAULTS.gapY - 1) continue;
            const gap = Math.round(route[i + 1]! / 4);
            gaps.set(gap, [...(gaps.get(gap) ?? []), [route[i - 2]!, route[i]!]]);
        }
    }
    let count = 0;
    for (const lines of gaps.values()) {
        lines.forEach(([a, b], k) => {
            for (const [c, d] of lines.slice(k + 1)) if ((a - c) * (b - d) < 0) count++;
        });
    }
    return count;
}

describe.each([1, 2, 3, 4, 5])("a random graph, seed %i", (seed) => {
    const input = randomGraph(seed, 150, 60);
    const result = layout(input);

    test("has no overlaps", () => expect(overlaps(input, result)).toBe(0));

    test("routes its edges downwards, from end to end", () =>
        checkRoutes(input, result));

    test("stubs exactly the edges that are long, alone or in a fan", () => {
        const span = ({ from, to }: LayoutEdge) =>
            result.layers[to]! - result.layers[from]!;
        const far = input.edges.filter((edge) => span(edge) > DEFAULTS.fanReach);
        input.edges.forEach((edge, e) => {
            const fan = far.filter((other) => other.from === edge.from).length;
            const many = span(edge) > DEFAULTS.fanReach && fan > DEFAULTS.fan;
            expect(result.routes[e] === null).toBe(span(edge) > DEFAULTS.reach || many);
        });
    });

    test("is within its size", () => {
        result.x.forEach((x, i) => {
            expect(x).toBeGreaterThanOrEqual(-1e-6);
            expect(x + input.widths[i]!).toBeLessThanOrEqual(result.width + 1e-6);
            expect(result.y[i]! + input.heights[i]!).toBeLessThanOrEqual(
                result.height + 1e-6,
            );
        });
    });

    test("has a fourth less crossings than without sweeps", () => {
        const before = crossings(layout(input, { sweeps: 0 }));
        expect(before).toBeGreaterThan(50);
        expect(crossings(result)).toBeLessThan(0.75 * before);
    });

    test("is the same again", () => expect(layout(input)).toEqual(result));

    test("routes pass no card that is not theirs", () => {
        input.edges.forEach((edge, e) => {
            const route = result.routes[e];
            for (let i = 2; route && i < route.length; i += 2) {
                if (route[i] !== route[i - 2]) continue;
                expect(blocked(input, result, edge, route, i)).toBe(false);
            }
        });
    });
});

/** Whether the straight piece that ends at i goes through another card. */
function blocked(
    input: LayoutInput,
    { x, y }: LayoutResult,
    edge: LayoutEdge,
    route: number[],
    i: number,
): boolean {
    const px = route[i]!;
    return [...x.keys()].some(
        (item) =>
            item !== edge.from &&
            item !== edge.to &&
            px > x[item]! &&
            px < x[item]! + input.widths[item]! &&
            route[i + 1]! > y[item]! + 1 &&
            route[i - 1]! < y[item]! + input.heights[item]! - 1,
    );
}

describe("shapes", () => {
    test("a chain is a straight line", () => {
        const { x, width } = layout(chain(40));
        expect(new Set(x)).toEqual(new Set([0]));
        expect(width).toBe(50);
    });

    test("a residual line leaves the main line straight", () => {
        const { widths, heights, edges } = chain(6);
        const all = [...edges, { from: 0, to: 4 }];
        const { x, routes } = layout({ widths, heights, edges: all });
        for (const at of x) expect(at).toBeCloseTo(x[0]!, 0);
        const across = routes.at(-1)!.filter((_, i) => i % 2 === 0);
        const aside = Math.max(...across.map((px) => Math.abs(px - x[0]! - 25)));
        expect(aside).toBeGreaterThan(25);
    });

    test("branches are beside one another, the middle below their source", () => {
        const size = [50, 50, 50, 50];
        const edges = [1, 2, 3].map((to) => ({ from: 0, to }));
        const { x, layers } = layout({ widths: size, heights: size, edges });
        expect([...layers]).toEqual([0, 1, 1, 1]);
        expect(x[2]).toBeCloseTo(x[0]!);
        expect(x[2]! - x[1]!).toBeCloseTo(50 + DEFAULTS.gapX);
    });

    test("offsets of ends are met", () => {
        const edges = [{ from: 0, to: 1, toAt: 60 }];
        const { x, routes } = layout({ widths: [50, 200], heights: [20, 90], edges });
        expect(x[0]! + 25).toBeCloseTo(x[1]! + 100 + 60);
        expect(new Set(routes[0]!.filter((_, i) => i % 2 === 0)).size).toBe(1);
    });

    test("a cycle ends, and one of its edges is a stub", () => {
        const size = [50, 50, 50];
        const edges = [0, 1, 2].map((from) => ({ from, to: (from + 1) % 3 }));
        const { routes } = layout({ widths: size, heights: size, edges });
        expect(routes.filter((route) => route === null)).toHaveLength(1);
    });

    test("inputs without edges from above are right above their reader", () => {
        const { widths, heights, edges } = chain(6);
        const all = [...edges, { from: 6, to: 4 }];
        const { layers } = layout({
            widths: [...widths, 50],
            heights: [...heights, 50],
            edges: all,
        });
        expect(layers[6]).toBe(3);
    });

    test("constants are beside the main line, near their reader, and do not bend it", () => {
        const { widths, heights, edges } = chain(6);
        const side = [
            { from: 6, to: 7 },
            { from: 7, to: 4 },
            { from: 8, to: 4 },
        ];
        const { x, layers } = layout({
            widths: [...widths, 90, 90, 90],
            heights: [...heights, 30, 30, 30],
            edges: [...edges, ...side],
            kept: [0],
        });
        expect([...layers.slice(6)]).toEqual([2, 3, 3]);
        for (let i = 1; i < 6; i++) expect(Math.abs(x[i]! - x[0]!)).toBeLessThan(1);
    });

    test("first and last are above and below all others", () => {
        const input = { ...chain(5), first: [3], last: [1] };
        const { layers } = layout({
            ...input,
            edges: [
                { from: 3, to: 4 },
                { from: 0, to: 1 },
            ],
        });
        expect(layers[3]).toBe(0);
        const others = [0, 2, 4].map((i) => layers[i]!);
        expect(Math.min(...others)).toBe(1);
        expect(layers[1]).toBe(Math.max(...others) + 1);
    });

    test("nothing is laid out as nothing", () => {
        const { width, height, routes } = layout({
            widths: [],
            heights: [],
            edges: [],
        });
        expect([width, height, routes]).toEqual([0, 0, []]);
    });
});
