/**
 * What is drawn for a set of opened groups: boxes, wires and stubs in one plane.  Each
 * opened group is laid out by itself, innermost first; values cross its border at ports,
 * so that a wire goes straight through.
 */
import { groupFacts, textWidth } from "./format";
import { layout, type LayoutEdge, type LayoutResult } from "./layout";
import { ancestors, enclosing, type GraphModel } from "./model";

/** A card, or an opened group around others. */
export interface Box {
    type: "op" | "group" | "open" | "input" | "output";
    /** Entity of an "op", "input" or "output"; -1. */
    entity: number;
    /** Group of a "group" or "open"; of others the group that shows them. */
    group: number;
    /** Index of the box around it; -1. */
    parent: number;
    depth: number;
    x: number;
    y: number;
    w: number;
    h: number;
}

/** A line between boxes; at the border of an opened group, one of its ports. */
export interface Wire {
    from: number;
    to: number;
    values: number[];
    /** x, y, x, y... */
    points: number[];
    /** Where the line begins at a port, the shape is not said again. */
    port: boolean;
    box: [number, number, number, number];
}

/** Both ends of an edge that is too long to draw: tags at a box. */
export interface Stub {
    box: number;
    side: "in" | "out";
    value: number;
    /** Boxes at the other ends. */
    targets: number[];
    x: number;
    y: number;
    w: number;
    h: number;
}

/** Everything that is drawn, parents before what they hold. */
export interface Scene {
    boxes: Box[];
    wires: Wire[];
    stubs: Stub[];
    width: number;
    height: number;
}

/** Height of the header of an opened group. */
export const HEADER = 28;
const PAD = 22;
const STUB_HEIGHT = 16;

interface Level {
    group: number;
    /** Keys of the items, in order; see `key`. */
    items: number[];
    index: Map<number, number>;
    edges: Map<string, LevelEdge>;
}

interface LevelEdge {
    from: number;
    to: number;
    values: number[];
}

interface Laid {
    level: Level;
    result: LayoutResult;
    edges: LevelEdge[];
    w: number;
    h: number;
    /** Where the inside begins. */
    top: number;
    /** x of the ports of values on the border. */
    inPort: Map<number, number>;
    outPort: Map<number, number>;
}

/** Keys of items: entities, groups, ports. */
const GROUP = 1 << 27;
const IN_PORT = 2 << 27;
const OUT_PORT = 3 << 27;
const groupKey = (group: number): number => GROUP + group;
const isGroup = (key: number): boolean => key >= GROUP && key < IN_PORT;
const isPort = (key: number): boolean => key >= IN_PORT;

function opSize(model: GraphModel, entity: number): [number, number] {
    const { title, name, shape, weight } = model.entities[entity]!;
    const isNode = entity < model.nodeCount;
    const first =
        textWidth(title, 13) * 1.18 + (weight ? textWidth(weight, 10, true) + 18 : 0);
    const second = textWidth(name, 11) + textWidth(shape, 10.5, true) + 18;
    const width = Math.max(first, second) + (isNode ? 34 : 40);
    return [Math.round(Math.min(300, Math.max(128, width))), isNode ? 46 : 42];
}

function groupSize(model: GraphModel, id: number): [number, number] {
    const group = model.groups[id]!;
    const title = textWidth(group.title, 14.5) * 1.08 + (group.run > 1 ? 52 : 0);
    const label = textWidth(group.subtitle, 11);
    const facts = textWidth(groupFacts(group), 10.5);
    const width = Math.max(title, label, facts) + 66;
    return [Math.round(Math.min(360, Math.max(200, width))), 72];
}

class SceneBuilder {
    readonly #levels = new Map<number, Level>();
    readonly #scene: Scene = { boxes: [], wires: [], stubs: [], width: 0, height: 0 };

    constructor(
        private readonly model: GraphModel,
        private readonly open: ReadonlySet<number>,
    ) {}

    build(): Scene {
        this.#makeLevels(0);
        this.#makeEdges();
        const root = this.#lay(0);
        this.#emit(root, 0, 0, -1, 0);
        this.#scene.width = root.result.width;
        this.#scene.height = root.result.height;
        return this.#scene;
    }

    #makeLevels(group: number): void {
        const level: Level = { group, items: [], index: new Map(), edges: new Map() };
        this.#levels.set(group, level);
        for (const member of this.model.groups[group]!.members) {
            this.#item(level, member < 0 ? groupKey(~member) : member);
            if (member < 0 && this.open.has(~member)) this.#makeLevels(~member);
        }
    }

    #item(level: Level, key: number): number {
        let index = level.index.get(key);
        if (index === undefined) {
            index = level.items.length;
            level.index.set(key, index);
            level.items.push(key);
        }
        return index;
    }

    #connect(group: number, fromKey: number, toKey: number, value: number): void {
        const level = this.#levels.get(group)!;
        const from = this.#item(level, fromKey);
        const to = this.#item(level, toKey);
        const single = [fromKey, toKey].some((k) => isPort(k) || this.#isOpen(k));
        const key = `${from} ${to}${single ? ` ${value}` : ""}`;
        const edge = level.edges.get(key);
        if (!edge) level.edges.set(key, { from, to, values: [value] });
        else if (!edge.values.includes(value)) edge.values.push(value);
    }

    #isOpen(key: number): boolean {
        return isGroup(key) && this.#levels.has(key - GROUP);
    }

    /** Edges in the innermost level that holds both ends, and through ports below it. */
    #makeEdges(): void {
        const { edges } = this.model;
        for (let i = 0; i < edges.length; i += 3) {
            const [a, b, value] = [edges[i]!, edges[i + 1]!, edges[i + 2]!];
            const above = enclosing(this.model, a);
            const below = enclosing(this.model, b);
            let m = above.length;
            let n = below.length;
            while (m > 0 && n > 0 && above[m - 1] === below[n - 1]) (m--, n--);
            const common = above[m]!;
            if (!this.#levels.has(common)) continue;
            const fromKey = m > 0 ? groupKey(above[m - 1]!) : a;
            const toKey = n > 0 ? groupKey(below[n - 1]!) : b;
            this.#connect(common, fromKey, toKey, value);
            for (let k = m - 1; k >= 0 && this.#levels.has(above[k]!); k--) {
                const inner = k > 0 ? groupKey(above[k - 1]!) : a;
                this.#connect(above[k]!, inner, OUT_PORT + value, value);
            }
            for (let k = n - 1; k >= 0 && this.#levels.has(below[k]!); k--) {
                const inner = k > 0 ? groupKey(below[k - 1]!) : b;
                this.#connect(below[k]!, IN_PORT + value, inner, value);
            }
        }
    }

    #size(key: number, laid: Map<number, Laid>): [number, number] {
        if (isPort(key)) return [8, 0];
        if (!isGroup(key)) return opSize(this.model, key);
        const inner = laid.get(key);
        return inner ? [inner.w, inner.h] : groupSize(this.model, key - GROUP);
    }

    readonly #laid = new Map<number, Laid>();

    #lay(group: number): Laid {
        const level = this.#levels.get(group)!;
        const inner = new Map<number, Laid>();
        for (const key of level.items) {
            if (this.#isOpen(key)) inner.set(key, this.#lay(key - GROUP));
        }
        const sizes = level.items.map((key) => this.#size(key, inner));
        const edges = [...level.edges.values()];
        const port = (
            item: number,
            value: number,
            side: "inPort" | "outPort",
        ): number => {
            const within = inner.get(level.items[item]!);
            return within
                ? (within[side].get(value) ?? within.w / 2) - within.w / 2
                : 0;
        };
        const result = layout({
            widths: sizes.map((size) => size[0]),
            heights: sizes.map((size) => size[1]),
            first: this.#ports(level, IN_PORT),
            last: this.#ports(level, OUT_PORT),
            kept: level.items.flatMap((key, i) =>
                key >= this.model.nodeCount && key < GROUP ? [i] : [],
            ),
            edges: edges.map(({ from, to, values }): LayoutEdge => ({
                from,
                to,
                fromAt: port(from, values[0]!, "outPort"),
                toAt: port(to, values[0]!, "inPort"),
                bundle: values.length > 1 ? -2 - to : values[0]!,
            })),
        });
        return this.#frame(level, result, edges);
    }

    #ports(level: Level, base: number): number[] {
        return level.items.flatMap((key, i) =>
            key >= base && key < base + GROUP ? [i] : [],
        );
    }

    /** What a laid-out group needs around it, and where its ports are. */
    #frame(level: Level, result: LayoutResult, edges: LevelEdge[]): Laid {
        const group = this.model.groups[level.group]!;
        const title = textWidth(group.title, 13) + textWidth(group.subtitle, 11) + 110;
        const pad = Math.max(PAD, (title - result.width) / 2);
        const laid: Laid = {
            level,
            result,
            edges,
            w: result.width + 2 * pad,
            h: result.height + HEADER + 8,
            top: HEADER,
            inPort: new Map(),
            outPort: new Map(),
        };
        level.items.forEach((key, i) => {
            const x = pad + result.x[i]! + 4;
            if (key >= OUT_PORT) laid.outPort.set(key - OUT_PORT, x);
            else if (key >= IN_PORT) laid.inPort.set(key - IN_PORT, x);
        });
        if (laid.outPort.size === 0) laid.h += PAD - 8;
        if (laid.inPort.size === 0) laid.top += PAD;
        laid.h += laid.top - HEADER;
        this.#laid.set(level.group, laid);
        return laid;
    }

    /** Adds a level's boxes, wires and stubs; (x, y) is the corner of the inside. */
    #emit(laid: Laid, x: number, y: number, parent: number, depth: number): void {
        const { level, result } = laid;
        const boxOf = level.items.map((key, i) => {
            if (isPort(key)) return parent;
            return this.#emitBox(
                key,
                x + result.x[i]!,
                y + result.y[i]!,
                parent,
                depth,
            );
        });
        laid.edges.forEach((edge, e) => {
            const route = result.routes[e];
            if (!route) return;
            const points = route.map((p, i) => p + (i % 2 === 0 ? x : y));
            const toPort = isPort(level.items[edge.to]!);
            if (toPort) points[points.length - 1] = this.#bottom(parent);
            this.#scene.wires.push({
                from: boxOf[edge.from]!,
                to: boxOf[edge.to]!,
                values: edge.values,
                points,
                port: isPort(level.items[edge.from]!),
                box: extent(points),
            });
        });
        this.#emitStubs(laid, boxOf);
    }

    #bottom(box: number): number {
        const { y, h } = this.#scene.boxes[box]!;
        return y + h;
    }

    #emitBox(key: number, x: number, y: number, parent: number, depth: number): number {
        const { boxes } = this.#scene;
        const index = boxes.length;
        if (!isGroup(key)) {
            const [w, h] = opSize(this.model, key);
            const { nodeCount, inputCount } = this.model;
            const inputs = nodeCount + inputCount;
            const type = key < nodeCount ? "op" : key < inputs ? "input" : "output";
            const { group } = this.model.entities[key]!;
            boxes.push({ type, entity: key, group, parent, depth, x, y, w, h });
            return index;
        }
        const group = key - GROUP;
        const inner = this.#laid.get(group);
        const [w, h] = inner ? [inner.w, inner.h] : groupSize(this.model, group);
        const type = inner ? "open" : "group";
        boxes.push({ type, entity: -1, group, parent, depth, x, y, w, h });
        if (inner) {
            const pad = (inner.w - inner.result.width) / 2;
            this.#emit(inner, x + pad, y + inner.top, index, depth + 1);
        }
        return index;
    }

    /** Tags: at each reader one per value, at each writer one per value with all readers. */
    #emitStubs(laid: Laid, boxOf: number[]): void {
        const sources = new Map<string, Stub>();
        const used = new Map<string, number>();
        laid.edges.forEach((edge, e) => {
            if (laid.result.routes[e]) return;
            const from = boxOf[edge.from]!;
            const to = boxOf[edge.to]!;
            const value = edge.values[0]!;
            if (!isPort(laid.level.items[edge.to]!)) {
                this.#tag({ box: to, side: "in", value, targets: [from] }, used);
            }
            if (isPort(laid.level.items[edge.from]!)) return;
            const key = `${from} ${value}`;
            const stub = sources.get(key);
            if (stub) stub.targets.push(to);
            else {
                const made = this.#tag(
                    { box: from, side: "out", value, targets: [to] },
                    used,
                );
                sources.set(key, made);
            }
        });
    }

    #tag(
        stub: Pick<Stub, "box" | "side" | "value" | "targets">,
        used: Map<string, number>,
    ) {
        const box = this.#scene.boxes[stub.box]!;
        const key = `${stub.box} ${stub.side}`;
        const count = used.get(key) ?? 0;
        used.set(key, count + 1);
        const slots = Math.max(1, Math.floor(box.w / 62));
        const w = Math.min(96, box.w / Math.min(slots, 2) - 6);
        const x = box.x + box.w - (w + 4) * ((count % slots) + 1) + 4;
        const y = stub.side === "in" ? box.y - STUB_HEIGHT - 5 : box.y + box.h + 5;
        const made: Stub = { ...stub, x, y, w, h: STUB_HEIGHT };
        this.#scene.stubs.push(made);
        return made;
    }
}

/** The box around points. */
function extent(points: number[]): [number, number, number, number] {
    const box: [number, number, number, number] = [
        Infinity,
        Infinity,
        -Infinity,
        -Infinity,
    ];
    for (let i = 0; i < points.length; i += 2) {
        box[0] = Math.min(box[0], points[i]!);
        box[1] = Math.min(box[1], points[i + 1]!);
        box[2] = Math.max(box[2], points[i]!);
        box[3] = Math.max(box[3], points[i + 1]!);
    }
    return box;
}

/** Lays out a model with some of its groups open. */
export function buildScene(model: GraphModel, open: ReadonlySet<number>): Scene {
    return new SceneBuilder(model, open).build();
}

/** The groups that are open at first: those without which there is little to see. */
export function firstOpen(model: GraphModel): Set<number> {
    const open = new Set<number>();
    let group = model.groups[0]!;
    for (;;) {
        const inner = group.members.filter((m) => m < 0).map((m) => model.groups[~m]!);
        const largest = inner.sort((a, b) => b.nodes - a.nodes)[0];
        const few = group.members.length - model.inputCount <= 6;
        if (!largest || !few || largest.nodes < 0.5 * group.nodes || largest.run > 1)
            break;
        open.add(largest.id);
        group = largest;
    }
    return open;
}

/** The open groups with one more, and what it would be idle to open by hand. */
export function withOpen(model: GraphModel, open: ReadonlySet<number>, group: number) {
    const next = new Set(open);
    for (const g of ancestors(model, group)) next.add(g);
    for (let g = model.groups[group]!; g.members.length === 1 && g.members[0]! < 0;) {
        g = model.groups[~g.members[0]!]!;
        next.add(g.id);
    }
    next.delete(0);
    return next;
}
