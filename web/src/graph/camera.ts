/** Where the view is: a scale and an offset, with smooth ways from one to another. */

/** Screen = world * zoom + (x, y), in CSS px. */
export interface View {
    x: number;
    y: number;
    zoom: number;
}

/** A rectangle of the world. */
export interface Rect {
    x: number;
    y: number;
    w: number;
    h: number;
}

/** The largest zoom. */
export const ZOOM_MAX = 3;
const FLIGHT_MS = 320;
const FOLLOW_MS = 55;

/** Slow at both ends. */
export function ease(t: number): number {
    return t < 0.5 ? 4 * t * t * t : 1 - (-2 * t + 2) ** 3 / 2;
}

/** The camera: a view, where it is heading, and whether it follows or flies there. */
export class Camera {
    view: View = { x: 0, y: 0, zoom: 1 };
    target: View = { x: 0, y: 0, zoom: 1 };
    reducedMotion = false;
    zoomMin = 0.02;
    #flight: { from: View; to: View; start: number } | null = null;

    /** Whether there is still a way to go. */
    get moving(): boolean {
        const { view, target } = this;
        return (
            this.#flight !== null ||
            Math.abs(view.x - target.x) > 0.1 ||
            Math.abs(view.y - target.y) > 0.1 ||
            Math.abs(view.zoom / target.zoom - 1) > 1e-4
        );
    }

    jump(to: View): void {
        this.#flight = null;
        this.view = { ...to };
        this.target = { ...to };
    }

    fly(to: View, now: number): void {
        if (this.reducedMotion) return this.jump(to);
        this.#flight = { from: { ...this.view }, to, start: now };
        this.target = { ...to };
    }

    panBy(dx: number, dy: number, smooth = false): void {
        this.#flight = null;
        this.target.x += dx;
        this.target.y += dy;
        if (!smooth || this.reducedMotion) this.view = { ...this.target };
    }

    /** Zooms about a point of the screen. */
    zoomBy(factor: number, px: number, py: number, smooth = true): void {
        this.#flight = null;
        const { target } = this;
        const zoom = Math.min(ZOOM_MAX, Math.max(this.zoomMin, target.zoom * factor));
        const ratio = zoom / target.zoom;
        target.x = px - (px - target.x) * ratio;
        target.y = py - (py - target.y) * ratio;
        target.zoom = zoom;
        if (!smooth || this.reducedMotion) this.view = { ...target };
    }

    /** Moves on; `dt` is the time since the last frame. */
    step(now: number, dt: number): void {
        if (this.#flight) {
            const { from, to, start } = this.#flight;
            const t = Math.min(1, (now - start) / FLIGHT_MS);
            this.view = between(from, to, ease(t));
            if (t >= 1) this.#flight = null;
            return;
        }
        if (!this.moving) return void (this.view = { ...this.target });
        const t = 1 - Math.exp(-dt / FOLLOW_MS);
        const { view, target } = this;
        const zoom = view.zoom * (target.zoom / view.zoom) ** t;
        this.view = {
            x: view.x + (target.x - view.x) * t,
            y: view.y + (target.y - view.y) * t,
            zoom,
        };
    }

    toWorld(px: number, py: number): { x: number; y: number } {
        const { x, y, zoom } = this.view;
        return { x: (px - x) / zoom, y: (py - y) / zoom };
    }
}

function between(a: View, b: View, t: number): View {
    return {
        x: a.x + (b.x - a.x) * t,
        y: a.y + (b.y - a.y) * t,
        zoom: a.zoom + (b.zoom - a.zoom) * t,
    };
}

/** The view that shows a rectangle in the middle of (width, height). */
export function fit(rect: Rect, width: number, height: number, most = 1): View {
    const margin = Math.min(56, width * 0.08);
    const zoom = Math.min(
        most,
        (width - 2 * margin) / Math.max(1, rect.w),
        (height - 2 * margin) / Math.max(1, rect.h),
    );
    return {
        zoom,
        x: width / 2 - (rect.x + rect.w / 2) * zoom,
        y: height / 2 - (rect.y + rect.h / 2) * zoom,
    };
}

/** As fit, but legible: what is too tall is shown from its top. */
export function fitLegibly(
    rect: Rect,
    width: number,
    height: number,
    least = 0.62,
    most = 1.15,
): View {
    const all = fit(rect, width, height, most);
    if (all.zoom >= least) return all;
    const margin = Math.min(56, width * 0.08);
    const across = (width - 2 * margin) / Math.max(1, rect.w);
    const zoom = Math.min(least, Math.max(all.zoom, across));
    const tall = rect.h * zoom > height - 2 * margin;
    return {
        zoom,
        x: width / 2 - (rect.x + rect.w / 2) * zoom,
        y: tall ? margin - rect.y * zoom : height / 2 - (rect.y + rect.h / 2) * zoom,
    };
}
