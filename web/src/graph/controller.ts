/**
 * What connects the canvas with the page: selections to boxes and back, groups that
 * open, results of searches that are gone to.
 */
import type { Report } from "../report";
import { describeHit, type Description, speak } from "./describe";
import type { Hit } from "./hit";
import { listen } from "./input";
import { type GraphHook, makeHook } from "./hook";
import { ancestors, enclosing, type GraphModel, groupOfPath } from "./model";
import { firstOpen, type Scene, withOpen } from "./scene";
import { SceneMaker } from "./scenes";
import { Stage } from "./stage";

/** What is selected in a report. */
export type Selection =
    | { kind: "node"; node: number }
    | { kind: "module"; path: string }
    | { kind: "value"; name: string };

/** What the page is told. */
export interface ControllerEvents {
    onSelect(selection: Selection | null): void;
    onHover(said: Description | null, x: number, y: number): void;
    /** What is selected, in words, and the group that it is or is in; 0: the model. */
    onShown(words: string, group: number): void;
    onBusy(busy: boolean): void;
}

/** See the head of this file. */
export class Controller {
    readonly stage: Stage;
    readonly hook: GraphHook;
    #open: ReadonlySet<number>;
    #scenes: SceneMaker;
    #abort = new AbortController();
    #waiting = false;
    /** A group that stands for what is selected though its path is another's: a run. */
    #ownGroup = -1;
    #selection: Selection | null = null;
    #marked: ReadonlySet<number> = new Set();
    /** The box that is brought into view once it is there. */
    #reveal: (() => number) | null = null;
    #showAll = false;
    #jumps = new Map<number, number>();

    constructor(
        readonly model: GraphModel,
        private readonly report: Report,
        canvas: HTMLCanvasElement,
        minimap: HTMLCanvasElement | null,
        private readonly events: ControllerEvents,
    ) {
        this.stage = new Stage(canvas, minimap ? { canvas: minimap } : null, model, {
            onSelect: (hit) => this.#select(hit),
            onToggle: (group) => this.toggle(group),
            onHover: (hit, x, y) =>
                events.onHover(describeHit(model, report, this.stage.scene, hit), x, y),
            onView: () => events.onHover(null, 0, 0),
        });
        this.#scenes = new SceneMaker(model);
        this.#open = firstOpen(model);
        this.hook = makeHook({
            stage: () => this.stage,
            model: () => model,
            waiting: () => this.#waiting,
            toggle: (group) => this.toggle(group),
            openAll: () => this.openAll(),
            closeAll: () => this.closeAll(),
        });
        listen(this.stage, this.#abort.signal);
        this.#request(-1);
    }

    dispose(): void {
        this.#abort.abort();
        this.#scenes.close();
        this.stage.dispose();
    }

    #request(anchor: number): void {
        this.#waiting = true;
        this.events.onBusy(true);
        this.#scenes.request(this.#open, (scene) => this.#arrive(scene, anchor));
    }

    #arrive(scene: Scene, anchor: number): void {
        this.#waiting = false;
        this.events.onBusy(false);
        this.stage.setScene(scene, anchor);
        this.#jumps.clear();
        this.#showSelection();
        this.#showMarks();
        if (this.#reveal) this.stage.reveal(this.#reveal(), true);
        if (this.#showAll) this.stage.showAll(false);
        this.#reveal = null;
        this.#showAll = false;
    }

    isOpen(group: number): boolean {
        return this.#open.has(group);
    }

    /** Opens a closed group or closes an open one. */
    toggle(group: number): void {
        if (group <= 0) return;
        if (!this.#open.has(group))
            this.#open = withOpen(this.model, this.#open, group);
        else {
            const inside = (g: number): boolean =>
                ancestors(this.model, g).includes(group);
            this.#open = new Set([...this.#open].filter((g) => !inside(g)));
            const at = this.#selectedGroup();
            if (at >= 0 && at !== group && inside(at)) this.selectGroup(group);
        }
        this.#request(group);
    }

    openAll(): void {
        this.#open = new Set(this.model.groups.slice(1).map((group) => group.id));
        this.#showAll = true;
        this.#request(-1);
    }

    closeAll(): void {
        this.#open = firstOpen(this.model);
        this.#showAll = true;
        this.#request(-1);
    }

    /** The group that is, or that shows, the selection; -1 without one. */
    #selectedGroup(): number {
        const selection = this.#selection;
        if (this.#ownGroup >= 0) return this.#ownGroup;
        if (selection?.kind === "module")
            return groupOfPath(this.model, selection.path);
        if (selection?.kind === "node")
            return this.model.entities[selection.node]?.group ?? -1;
        return -1;
    }

    #select(hit: Hit): void {
        if (hit.kind === "none") return this.#tell(null);
        if (hit.kind === "stub") return this.#jump(hit.stub);
        if (hit.kind === "wire") {
            const value = this.stage.scene.wires[hit.wire]!.values[0]!;
            return this.#tell({ kind: "value", name: this.model.values[value]!.name });
        }
        const box = this.stage.scene.boxes[hit.box];
        if (!box) return;
        if (box.entity < 0) this.selectGroup(box.group);
        else this.selectEntity(box.entity);
    }

    /** Selects a group as a click on it does. */
    selectGroup(group: number): void {
        if (group <= 0) return this.#tell(null);
        this.#tell({ kind: "module", path: this.model.groups[group]!.path }, group);
    }

    /** Selects a node, or the value of an input or an output. */
    selectEntity(entity: number): void {
        const { nodeCount, entities } = this.model;
        if (entity < nodeCount) this.#tell({ kind: "node", node: entity });
        else this.#tell({ kind: "value", name: entities[entity]!.title });
    }

    #tell(selection: Selection | null, ownGroup = -1): void {
        this.#ownGroup = ownGroup;
        this.#selection = selection;
        this.#showSelection();
        this.events.onSelect(selection);
    }

    /** Follows a tag to its other end; the next time to the next. */
    #jump(stub: number): void {
        const { targets } = this.stage.scene.stubs[stub]!;
        const turn = this.#jumps.get(stub) ?? 0;
        this.#jumps.set(stub, turn + 1);
        const box = targets[turn % targets.length]!;
        this.#select({ kind: "box", box });
        this.stage.reveal(box, true);
    }

    /** Takes a selection from the page; opens what it is in. */
    setSelection(selection: Selection | null): void {
        if (JSON.stringify(selection) === JSON.stringify(this.#selection)) return;
        this.#selection = selection;
        this.#ownGroup = -1;
        this.#showSelection();
        if (selection?.kind === "node") this.goToEntity(selection.node);
        else if (selection?.kind === "module") {
            const group = groupOfPath(this.model, selection.path);
            if (group > 0) this.goToGroup(group);
        } else if (selection?.kind === "value") {
            const value = this.model.values[this.stage.selectedValue];
            if (value) this.goToEntity(value.from);
        }
    }

    /** Opens what an entity is in, and brings it into view. */
    goToEntity(entity: number): void {
        if (!this.model.entities[entity]) return;
        const box = (): number => this.stage.index.boxOf(entity);
        this.#goInto(enclosing(this.model, entity), box);
    }

    /** Opens what a group is in, and brings it into view. */
    goToGroup(group: number): void {
        const box = (): number => this.stage.index.boxOfGroup(group);
        this.#goInto(ancestors(this.model, group).slice(1), box);
    }

    #goInto(chain: number[], box: () => number): void {
        const closed = chain.filter((g) => g > 0 && !this.#open.has(g));
        if (closed.length === 0 && !this.#waiting) {
            this.stage.reveal(box(), false);
            return;
        }
        this.#open = new Set([...this.#open, ...closed]);
        this.#reveal = box;
        this.#request(-1);
    }

    /** Nodes that are marked; the box that shows each is. */
    setHighlight(nodes: ReadonlySet<number> | undefined): void {
        this.#marked = nodes ?? new Set();
        this.#showMarks();
    }

    #showMarks(): void {
        const { index } = this.stage;
        const boxes = new Set<number>();
        for (const node of this.#marked) {
            if (this.model.entities[node]) boxes.add(index.boxOf(node));
        }
        this.stage.marked = boxes;
        this.stage.invalidate();
    }

    /** Finds the box and the value of what is selected. */
    #showSelection(): void {
        const { stage, model } = this;
        const selection = this.#selection;
        stage.selected = -1;
        stage.selectedValue = -1;
        if (selection?.kind === "node" && model.entities[selection.node]) {
            stage.selected = stage.index.boxOf(selection.node);
        } else if (selection?.kind === "module") {
            const group = this.#selectedGroup();
            if (group >= 0) stage.selected = stage.index.boxOfGroup(group);
        } else if (selection?.kind === "value") this.#showValue(selection.name);
        const b = stage.selected;
        const counts = {
            before: stage.index.before[b]?.length ?? 0,
            after: stage.index.after[b]?.length ?? 0,
        };
        const value = model.values[stage.selectedValue];
        const words = speak(model, this.report, stage.scene, b, counts);
        const wire =
            value && b < 0 ? `${value.name}, ${value.dtype} ${value.shape}` : words;
        this.events.onShown(selection ? wire : "", Math.max(0, this.#selectedGroup()));
        stage.invalidate();
    }

    #showValue(name: string): void {
        const { stage, model } = this;
        stage.selectedValue = model.values.findIndex((value) => value.name === name);
        for (let entity = model.nodeCount; entity < model.entities.length; entity++) {
            if (model.entities[entity]!.title === name) {
                stage.selected = stage.index.boxOf(entity);
                return;
            }
        }
    }
}
