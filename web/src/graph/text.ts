/** Texts on a canvas, cut to a width; what was cut is remembered. */
export class TextCache {
    readonly #cut = new Map<string, string>();

    /** Draws a text in the font that is set, with an ellipsis where it is too long. */
    draw(
        ctx: CanvasRenderingContext2D,
        text: string,
        x: number,
        y: number,
        width: number,
    ): void {
        if (text && width > 4) ctx.fillText(this.fit(ctx, text, width), x, y);
    }

    fit(ctx: CanvasRenderingContext2D, text: string, width: number): string {
        const key = `${ctx.font}|${Math.round(width)}|${text}`;
        let cut = this.#cut.get(key);
        if (cut === undefined) {
            cut = shorten(ctx, text, width);
            if (this.#cut.size > 20000) this.#cut.clear();
            this.#cut.set(key, cut);
        }
        return cut;
    }

    clear(): void {
        this.#cut.clear();
    }
}

function shorten(ctx: CanvasRenderingContext2D, text: string, width: number): string {
    if (ctx.measureText(text).width <= width) return text;
    let low = 0;
    let high = Math.min(text.length, 400);
    while (low < high) {
        const middle = (low + high + 1) >> 1;
        const fits = ctx.measureText(text.slice(0, middle) + "…").width <= width;
        if (fits) low = middle;
        else high = middle - 1;
    }
    return low > 0 ? text.slice(0, low) + "…" : "";
}
