/**
 * The tree of groups: modules as the compiler found them, and runs, which stand for
 * numbered modules of one structure that follow one another ("12 × BertLayer").
 * Modules without nodes are left out; one with a single node is shown as that node.
 */
import type { Report, ReportModule, ReportNode } from "../report";
import { classCategory } from "./categories";
import { shapeText } from "./format";
import type { Entity, Group } from "./model";

interface Draft {
    module: ReportModule;
    parent: number;
    /** Nodes as they are, drafts as ~index, in order of first nodes. */
    members: number[];
    first: number;
    nodes: number;
    kind: number;
}

function draftModules(report: Report): Draft[] {
    const drafts = report.modules.map((module): Draft => ({
        module,
        parent: module.parent ?? -1,
        members: [],
        first: Infinity,
        nodes: 0,
        kind: -1,
    }));
    if (drafts.length > 0) return drafts;
    const { param_elements, param_bytes } = report.statistics;
    const nodes = report.nodes.length;
    const root = { path: "", class: "", parent: null, macs: 0 };
    const module = { ...root, nodes, param_elements, param_bytes };
    return [{ module, parent: -1, members: [], first: 0, nodes: 0, kind: -1 }];
}

/** Whether a path leads out of a list of nodes and back; nodes are in data order. */
function isReentered(nodes: number[], readers: number[][]): boolean {
    const inside = new Set(nodes);
    const last = nodes.at(-1)!;
    const seen = new Set<number>();
    const stack = nodes.slice();
    while (stack.length > 0) {
        const node = stack.pop()!;
        for (const reader of readers[node] ?? []) {
            if (inside.has(reader)) {
                if (!inside.has(node)) return true;
            } else if (reader < last && !seen.has(reader)) {
                seen.add(reader);
                stack.push(reader);
            }
        }
    }
    return false;
}

/**
 * A module that is called in several places (one ReLU between all convolutions) is no
 * part of the graph that could be drawn as one: its nodes go to the module around it.
 */
function dissolveShared(drafts: Draft[], edges: Int32Array): void {
    const readers: number[][] = [];
    for (let i = 0; i < edges.length; i += 3)
        (readers[edges[i]!] ??= []).push(edges[i + 1]!);
    const parents = new Set(drafts.map((draft) => draft.parent));
    drafts.forEach((draft, i) => {
        if (i === 0 || parents.has(i) || draft.members.length < 2) return;
        if (!isReentered(draft.members, readers)) return;
        drafts[Math.max(0, draft.parent)]!.members.push(...draft.members);
        draft.members = [];
        draft.nodes = 0;
    });
}

/** Puts nodes and modules into their parents. */
function fillMembers(report: Report, drafts: Draft[], edges: Int32Array): void {
    const byPath = new Map(drafts.map((draft, i) => [draft.module.path, i]));
    report.nodes.forEach((node, i) => {
        const home = byPath.get(node.module ?? "") ?? 0;
        drafts[home]!.members.push(i);
        for (let d = home; d >= 0; d = drafts[d]!.parent) {
            const draft = drafts[d]!;
            draft.nodes++;
            draft.first = Math.min(draft.first, i);
        }
    });
    dissolveShared(drafts, edges);
    drafts.forEach((draft, i) => {
        if (i > 0 && draft.nodes > 0)
            drafts[Math.max(0, draft.parent)]!.members.push(~i);
    });
    const order = (member: number): number =>
        member < 0 ? drafts[~member]!.first : member;
    for (const draft of drafts) draft.members.sort((a, b) => order(a) - order(b));
}

function nodeStructure(node: ReportNode, weights: Map<string, string>): string {
    const params = node.param_keys.map((key) => weights.get(key) ?? "").join(" ");
    return `${node.domain}:${node.op}:${node.dtype}:${shapeText(node.output_shape)}:${params}`;
}

/**
 * Numbers the structures of modules where the report does not: the same class and work,
 * and the same operators with the same shapes in the same order.  Where the class is
 * known, operators without parameters do not count: what is the same for all instances
 * (a mask, positions) is often computed by the first of them.  Members come before
 * parents.
 */
function numberKinds(report: Report, drafts: Draft[]): void {
    const weights = new Map(report.params.map((p) => [p.name, shapeText(p.shape)]));
    const kinds = new Map<string, number>();
    for (let i = drafts.length - 1; i >= 0; i--) {
        const draft = drafts[i]!;
        const { class: cls, macs, param_elements } = draft.module;
        const inside = draft.members.flatMap((member) => {
            if (member < 0) return [`#${drafts[~member]!.kind}`];
            const node = report.nodes[member]!;
            return cls && node.param_keys.length === 0
                ? []
                : [nodeStructure(node, weights)];
        });
        const key = [cls, macs, param_elements, ...inside].join("\n");
        const kind = kinds.get(key) ?? kinds.size;
        kinds.set(key, kind);
        draft.kind = draft.module.kind ?? kind;
    }
}

const NUMBERED = /^(.*?)(\d+)$/;

/** Whether b is what follows a in a list of modules of one structure. */
function follows(a: Draft, b: Draft): boolean {
    const x = NUMBERED.exec(a.module.path);
    const y = NUMBERED.exec(b.module.path);
    if (!x || !y || a.kind !== b.kind || x[1] !== y[1]) return false;
    return Number(y[2]) === Number(x[2]) + 1 && b.nodes > 1;
}

/** Members of a draft with what follows one another together. */
function runs(members: number[], drafts: Draft[]): number[][] {
    const lists: number[][] = [];
    for (const member of members) {
        const last = lists.at(-1);
        const before = last?.at(-1);
        const joins =
            before !== undefined &&
            before < 0 &&
            member < 0 &&
            follows(drafts[~before]!, drafts[~member]!);
        if (joins) last!.push(member);
        else lists.push([member]);
    }
    return lists;
}

/** Classes that say nothing of what is inside. */
const CONTAINERS = /^(Sequential|ModuleList|ModuleDict|Module|ParameterList)$/;

/** What a group goes by: its class, or its label where the class says little. */
function names(label: string, cls: string): { title: string; subtitle: string } {
    if (!cls) return { title: label, subtitle: "" };
    const plain = CONTAINERS.test(cls);
    return plain ? { title: label, subtitle: cls } : { title: cls, subtitle: label };
}

class Builder {
    readonly groups: Group[] = [];

    constructor(
        private readonly drafts: Draft[],
        private readonly entities: Entity[],
    ) {}

    add(drafts: Draft[], parent: number): Group {
        const first = drafts[0]!;
        const { path, class: cls } = first.module;
        const above = parent < 0 ? "" : this.groups[parent]!.path;
        const sum = (of: (draft: Draft) => number): number =>
            drafts.reduce((total, draft) => total + of(draft), 0);
        let label =
            above && path.startsWith(above + ".") ? path.slice(above.length + 1) : path;
        if (drafts.length > 1) {
            label += ` … ${NUMBERED.exec(drafts.at(-1)!.module.path)?.[2] ?? ""}`;
        } else if (parent >= 0 && !this.groups[parent]!.own) {
            label = path.slice(this.#outside(parent).length);
        }
        const group: Group = {
            id: this.groups.length,
            parent,
            path,
            label,
            cls,
            ...names(label, cls),
            run: drafts.length,
            own: drafts.length === 1,
            kind: first.kind,
            alike: 1,
            members: [],
            nodes: sum((draft) => draft.nodes),
            params: sum((draft) => draft.module.param_elements),
            macs: sum((draft) => draft.module.macs),
            depth: parent < 0 ? 0 : this.groups[parent]!.depth + 1,
            category: classCategory(cls || label),
        };
        this.groups.push(group);
        return group;
    }

    /** The path that members of a run have in common with what the run is in. */
    #outside(run: number): string {
        const path = this.groups[this.groups[run]!.parent]?.path ?? "";
        return path ? path + "." : "";
    }

    fill(group: Group, draft: Draft): void {
        const lists = runs(draft.members, this.drafts);
        const whole = lists.length === 1 && lists[0]!.length > 1 && group.id > 0;
        for (const list of lists) {
            if (list.length === 1) this.#member(group, list[0]!);
            else if (whole) this.#nameAsRun(group, list);
            else this.#addRun(group, list);
            if (whole) for (const member of list) this.#member(group, member);
        }
        this.#countAlike(group);
    }

    #addRun(group: Group, list: number[]): void {
        const run = this.add(
            list.map((member) => this.drafts[~member]!),
            group.id,
        );
        group.members.push(~run.id);
        for (const member of list) this.#member(run, member);
        this.#countAlike(run);
    }

    /** A module that is nothing but a run goes by the class of its members. */
    #nameAsRun(group: Group, list: number[]): void {
        const cls = this.drafts[~list[0]!]!.module.class;
        const plain = !group.cls || CONTAINERS.test(group.cls);
        group.run = list.length;
        group.title = cls || group.label;
        if (cls) group.subtitle = plain ? group.label : `${group.label} · ${group.cls}`;
        group.category = classCategory(cls || group.label);
    }

    #member(group: Group, member: number): void {
        if (member >= 0) return this.#entity(group, member);
        const draft = this.drafts[~member]!;
        if (draft.nodes === 1) {
            for (let d = draft; ; d = this.drafts[~d.members[0]!]!) {
                const node = d.members[0]!;
                if (node < 0) continue;
                this.entities[node]!.alone = true;
                return this.#entity(group, node);
            }
        }
        const inner = this.add([draft], group.id);
        group.members.push(~inner.id);
        this.fill(inner, draft);
    }

    #entity(group: Group, entity: number): void {
        group.members.push(entity);
        this.entities[entity]!.group = group.id;
    }

    #countAlike(group: Group): void {
        const counts = new Map<number, number>();
        const inside = group.members.filter((member) => member < 0);
        for (const member of inside) {
            const { kind } = this.groups[~member]!;
            counts.set(kind, (counts.get(kind) ?? 0) + 1);
        }
        for (const member of inside) {
            const inner = this.groups[~member]!;
            inner.alike = inner.run > 1 ? 1 : counts.get(inner.kind)!;
        }
        if (group.run > 1) for (const m of inside) this.groups[~m]!.alike = group.run;
    }
}

/** The groups of a report, the model first; sets the groups of the entities. */
export function buildTree(
    report: Report,
    entities: Entity[],
    edges: Int32Array,
): Group[] {
    const drafts = draftModules(report);
    fillMembers(report, drafts, edges);
    numberKinds(report, drafts);
    const builder = new Builder(drafts, entities);
    const root = builder.add([drafts[0]!], -1);
    for (let i = 0; i < report.inputs.length; i++) {
        root.members.push(report.nodes.length + i);
    }
    builder.fill(root, drafts[0]!);
    const first = report.nodes.length + report.inputs.length;
    for (let i = 0; i < report.outputs.length; i++) root.members.push(first + i);
    return builder.groups;
}
