/** Pointer, wheel and keys of the canvas. */
import type { Stage } from "./stage";

interface Finger {
    x: number;
    y: number;
}

const CLICK_PX = 4;
const PAN_PX = 60;

/** Two fingers: their middle and how far they are apart. */
function pinchOf(fingers: Map<number, Finger>): {
    x: number;
    y: number;
    apart: number;
} {
    const [a, b] = [...fingers.values()];
    if (!a || !b) return { x: 0, y: 0, apart: 1 };
    const apart = Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart };
}

class Pointers {
    readonly #fingers = new Map<number, Finger>();
    #moved = 0;
    #lastTap = { time: 0, x: 0, y: 0 };

    constructor(private readonly stage: Stage) {}

    #at(event: PointerEvent): Finger {
        const rect = this.stage.canvas.getBoundingClientRect();
        return { x: event.clientX - rect.left, y: event.clientY - rect.top };
    }

    down(event: PointerEvent): void {
        if (event.button > 1) return;
        const { canvas } = this.stage;
        canvas.setPointerCapture(event.pointerId);
        this.#fingers.set(event.pointerId, this.#at(event));
        if (this.#fingers.size === 1) this.#moved = 0;
        else this.#moved = Infinity;
    }

    move(event: PointerEvent): void {
        const { stage } = this;
        const at = this.#at(event);
        const before = this.#fingers.get(event.pointerId);
        if (!before) {
            const hit = stage.hitAt(at.x, at.y);
            stage.canvas.style.cursor = hit.kind === "none" ? "grab" : "pointer";
            stage.setHover(hit, at.x, at.y);
            return;
        }
        if (this.#fingers.size > 1) {
            const then = pinchOf(this.#fingers);
            this.#fingers.set(event.pointerId, at);
            const now = pinchOf(this.#fingers);
            stage.camera.panBy(now.x - then.x, now.y - then.y);
            stage.camera.zoomBy(now.apart / then.apart, now.x, now.y, false);
        } else {
            this.#moved += Math.hypot(at.x - before.x, at.y - before.y);
            if (this.#moved < CLICK_PX) return;
            this.#fingers.set(event.pointerId, at);
            stage.camera.panBy(at.x - before.x, at.y - before.y);
            stage.canvas.style.cursor = "grabbing";
            stage.setHover({ kind: "none" }, 0, 0);
        }
        stage.invalidate();
        stage.events.onView();
    }

    up(event: PointerEvent, cancelled: boolean): void {
        const at = this.#fingers.get(event.pointerId);
        this.#fingers.delete(event.pointerId);
        this.stage.canvas.style.cursor = "grab";
        if (at && !cancelled && this.#moved < CLICK_PX) this.#tap(at, event.timeStamp);
    }

    /** A tap selects; a second one on the same card opens it. */
    #tap(at: Finger, time: number): void {
        const { stage } = this;
        const hit = stage.hitAt(at.x, at.y);
        const last = this.#lastTap;
        const again =
            time - last.time < 400 && Math.hypot(at.x - last.x, at.y - last.y) < 12;
        this.#lastTap = { time: again ? 0 : time, ...at };
        const box = hit.kind === "box" || hit.kind === "toggle" ? hit.box : -1;
        const group = stage.scene.boxes[box];
        const isGroup = group?.type === "group" || group?.type === "open";
        if (isGroup && (hit.kind === "toggle" || again))
            stage.events.onToggle(group.group);
        else stage.events.onSelect(hit);
    }
}

function onWheel(stage: Stage, event: WheelEvent): void {
    event.preventDefault();
    const rect = stage.canvas.getBoundingClientRect();
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 200 : 1;
    if (event.shiftKey && !event.ctrlKey) {
        stage.camera.panBy(-(event.deltaX || event.deltaY) * unit, 0, true);
    } else {
        const speed = event.ctrlKey ? 0.01 : 0.0016;
        const delta = Math.max(-240, Math.min(240, event.deltaY * unit));
        const factor = Math.exp(-delta * speed);
        stage.camera.zoomBy(
            factor,
            event.clientX - rect.left,
            event.clientY - rect.top,
        );
        if (event.deltaX && !event.ctrlKey)
            stage.camera.panBy(-event.deltaX * unit, 0, true);
    }
    stage.invalidate();
}

const ARROWS: Record<string, [number, number]> = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
};

function onArrow(stage: Stage, [dx, dy]: [number, number], pan: boolean): void {
    if (pan) {
        stage.camera.panBy(-dx * PAN_PX, -dy * PAN_PX, true);
        stage.invalidate();
        return;
    }
    const box =
        stage.selected < 0 ? stage.nearest() : stage.neighbour(stage.selected, dx, dy);
    if (box < 0) return;
    stage.events.onSelect({ kind: "box", box });
    stage.reveal(box, false);
}

function onEnter(stage: Stage): void {
    const box = stage.selected;
    const group = stage.scene.boxes[box];
    if (group?.type === "group" || group?.type === "open") {
        stage.events.onToggle(group.group);
    } else if (box < 0) stage.events.onSelect({ kind: "box", box: stage.nearest() });
}

/** Handles a key; false: it is none of the canvas. */
function onKey(stage: Stage, event: KeyboardEvent): boolean {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const { camera, width, height } = stage;
    const arrow = ARROWS[event.key];
    if (arrow) onArrow(stage, arrow, event.shiftKey);
    else if (event.key === "+" || event.key === "=") {
        camera.zoomBy(1.3, width / 2, height / 2);
    } else if (event.key === "-" || event.key === "_") {
        camera.zoomBy(1 / 1.3, width / 2, height / 2);
    } else if (event.key === "0") stage.showAll(true);
    else if (event.key === "Enter" || event.key === " ") onEnter(stage);
    else if (event.key === "Escape") stage.events.onSelect({ kind: "none" });
    else return false;
    stage.invalidate();
    return true;
}

/** Listens on the canvas until the signal. */
export function listen(stage: Stage, signal: AbortSignal): void {
    const { canvas } = stage;
    const pointers = new Pointers(stage);
    const options = { signal };
    canvas.addEventListener("pointerdown", (e) => pointers.down(e), options);
    canvas.addEventListener("pointermove", (e) => pointers.move(e), options);
    canvas.addEventListener("pointerup", (e) => pointers.up(e, false), options);
    canvas.addEventListener("pointercancel", (e) => pointers.up(e, true), options);
    canvas.addEventListener(
        "pointerleave",
        () => stage.setHover({ kind: "none" }, 0, 0),
        options,
    );
    canvas.addEventListener("wheel", (e) => onWheel(stage, e), {
        signal,
        passive: false,
    });
    canvas.addEventListener(
        "keydown",
        (e) => {
            if (onKey(stage, e)) e.preventDefault();
        },
        options,
    );
    const focus = (): void => {
        stage.focused = canvas.matches(":focus-visible");
        stage.invalidate();
    };
    canvas.addEventListener("focus", focus, options);
    canvas.addEventListener(
        "blur",
        () => {
            stage.focused = false;
            stage.invalidate();
        },
        options,
    );
}
