/** Cards of operators and groups, frames of opened groups, tags of long edges. */
import { boxColor, DETAIL, type Frame } from "./draw";
import { groupFacts } from "./format";
import { HEADER } from "./scene";
import { graphStrings } from "../strings";
import { mix, MONO, SANS } from "./theme";

interface At {
    x: number;
    y: number;
    w: number;
    h: number;
}

function rectOf(f: Frame, b: number): At {
    const at = 4 * b;
    return {
        x: f.rects[at]!,
        y: f.rects[at + 1]!,
        w: f.rects[at + 2]!,
        h: f.rects[at + 3]!,
    };
}

function alphaOf(f: Frame, b: number): number {
    return f.old && !f.old[b] ? f.progress : 1;
}

function fillRound(f: Frame, at: At, radius: number, color: string): void {
    f.ctx.fillStyle = color;
    f.ctx.beginPath();
    f.ctx.roundRect(at.x, at.y, at.w, at.h, radius);
    f.ctx.fill();
}

function strokeRound(f: Frame, at: At, radius: number, color: string, width: number) {
    f.ctx.strokeStyle = color;
    f.ctx.lineWidth = width;
    f.ctx.beginPath();
    f.ctx.roundRect(at.x, at.y, at.w, at.h, radius);
    f.ctx.stroke();
}

function grow(at: At, by: number): At {
    return { x: at.x - by, y: at.y - by, w: at.w + 2 * by, h: at.h + 2 * by };
}

/** The rings of what is marked, under the pointer, selected. */
function drawRings(f: Frame, b: number, at: At, radius: number): void {
    const px = 1 / Math.min(1, f.view.zoom);
    const { theme } = f;
    if (f.marked.has(b)) strokeRound(f, grow(at, 4), radius + 4, theme.mark, 4 * px);
    if (b === f.selected) {
        strokeRound(f, grow(at, 1.5), radius + 1.5, theme.accent, 2.5 * px);
        if (f.focused) {
            f.ctx.globalAlpha = 0.3;
            strokeRound(f, grow(at, 5), radius + 5, theme.accent, 4 * px);
            f.ctx.globalAlpha = 1;
        }
    } else if (b === f.hovered) strokeRound(f, at, radius, theme.accent, 1.6 * px);
}

function drawBody(
    f: Frame,
    at: At,
    radius: number,
    fill: string,
    border: string,
): void {
    if (f.view.zoom > 0.35) {
        fillRound(f, { ...at, y: at.y + 2.5 }, radius, f.theme.shadow);
    }
    fillRound(f, at, radius, fill);
    strokeRound(f, at, radius, border, 1);
}

/** A card: an operator, an input or output, or a closed group. */
export function drawCard(f: Frame, b: number): void {
    const box = f.scene.boxes[b]!;
    const at = rectOf(f, b);
    f.ctx.globalAlpha = alphaOf(f, b);
    if (box.type === "group") drawGroup(f, b, at);
    else if (box.type === "op") drawOperator(f, b, at);
    else drawPort(f, b, at);
    f.ctx.globalAlpha = 1;
}

function drawOperator(f: Frame, b: number, at: At): void {
    const { ctx, theme, text } = f;
    const box = f.scene.boxes[b]!;
    const { title, name, shape, weight } = f.model.entities[box.entity]!;
    const color = boxColor(f, box);
    const quiet = f.model.entities[box.entity]!.category === "shape";
    const card = quiet ? mix(theme.card, theme.background, 0.55) : theme.card;
    drawBody(f, at, 9, card, theme.cardBorder);
    fillRound(f, { x: at.x + 7, y: at.y + 8, w: 4, h: at.h - 16 }, 2, color);
    drawRings(f, b, at, 9);
    ctx.textBaseline = "middle";
    const left = at.x + 20;
    const right = at.x + at.w - 12;
    if (f.view.zoom < DETAIL.text) return drawBigTitle(f, title, at);
    ctx.font = `600 13px ${SANS}`;
    ctx.fillStyle = theme.ink;
    text.draw(ctx, title, left, at.y + 15.5, right - left);
    const taken = ctx.measureText(text.fit(ctx, title, right - left)).width;
    ctx.textAlign = "right";
    if (weight) {
        ctx.font = `10px ${MONO}`;
        ctx.fillStyle = mix(color, theme.ink, 0.25);
        text.draw(ctx, weight, right, at.y + 15.5, right - left - taken - 10);
    }
    ctx.font = `10.5px ${MONO}`;
    ctx.fillStyle = theme.muted;
    const cut = text.fit(ctx, shape, right - left);
    ctx.fillText(cut, right, at.y + 32.5);
    const shapeWidth = cut ? ctx.measureText(cut).width + 10 : 0;
    ctx.textAlign = "left";
    ctx.font = `11px ${SANS}`;
    text.draw(ctx, name, left, at.y + 32, right - left - shapeWidth);
}

/** One line as large as the card allows, for small zooms. */
function drawBigTitle(f: Frame, title: string, at: At): void {
    if (f.view.zoom < DETAIL.title) return;
    const { ctx } = f;
    ctx.font = `600 ${Math.min(28, at.h * 0.45)}px ${SANS}`;
    ctx.fillStyle = f.theme.ink;
    f.text.draw(ctx, title, at.x + 20, at.y + at.h / 2, at.w - 28);
}

function drawPort(f: Frame, b: number, at: At): void {
    const { ctx, theme, text } = f;
    const { title, name, shape, dtype } = f.model.entities[f.scene.boxes[b]!.entity]!;
    const fill = mix(theme.background, theme.ink, theme.dark ? 0.1 : 0.07);
    const radius = at.h / 2;
    fillRound(f, at, radius, fill);
    strokeRound(f, at, radius, mix(theme.background, theme.ink, 0.28), 1);
    drawRings(f, b, at, radius);
    if (f.view.zoom < DETAIL.text) return drawBigTitle(f, title, at);
    ctx.textBaseline = "middle";
    ctx.textAlign = "center";
    const middle = at.x + at.w / 2;
    ctx.font = `600 12px ${SANS}`;
    ctx.fillStyle = theme.ink;
    text.draw(ctx, title, middle, at.y + 14.5, at.w - 30);
    ctx.font = `10.5px ${MONO}`;
    ctx.fillStyle = theme.muted;
    text.draw(ctx, [dtype, shape].join(" ") || name, middle, at.y + 29, at.w - 30);
    ctx.textAlign = "left";
}

function drawGroup(f: Frame, b: number, at: At): void {
    const { ctx, theme, text } = f;
    const box = f.scene.boxes[b]!;
    const group = f.model.groups[box.group]!;
    const color = boxColor(f, box);
    const fill = mix(theme.card, color, theme.dark ? 0.14 : 0.07);
    const border = mix(theme.card, color, 0.45);
    if (group.run > 1) {
        for (const shift of [10, 5]) {
            const behind = { x: at.x + shift, y: at.y + shift, w: at.w, h: at.h };
            fillRound(f, behind, 12, mix(fill, theme.background, shift / 14));
            strokeRound(f, behind, 12, mix(border, theme.background, shift / 16), 1);
        }
    }
    drawBody(f, at, 12, fill, border);
    drawRings(f, b, at, 12);
    const title = group.title;
    if (f.view.zoom < DETAIL.text) {
        const times = group.run > 1 ? `${group.run} × ` : "";
        return drawBigTitle(f, times + title, at);
    }
    drawToggle(f, at.x + 14, at.y + 13, color, false);
    ctx.textBaseline = "middle";
    const left = at.x + 38;
    let right = at.x + at.w - 14;
    if (group.run > 1)
        right = drawBadge(f, `${group.run} ×`, right, at.y + 12, color) - 8;
    ctx.font = `600 14.5px ${SANS}`;
    ctx.fillStyle = theme.ink;
    text.draw(ctx, title, left, at.y + 20.5, right - left);
    ctx.font = `11px ${SANS}`;
    ctx.fillStyle = theme.muted;
    const label = group.subtitle || graphStrings.node(group.nodes);
    text.draw(ctx, label, left, at.y + 38, at.x + at.w - 14 - left);
    ctx.font = `10.5px ${SANS}`;
    text.draw(ctx, groupFacts(group), left, at.y + 55.5, at.x + at.w - 12 - left);
}

/** A square with a plus or a minus. */
function drawToggle(
    f: Frame,
    x: number,
    y: number,
    color: string,
    open: boolean,
): void {
    const { ctx } = f;
    fillRound(f, { x, y, w: 16, h: 16 }, 5, mix(f.theme.card, color, 0.22));
    ctx.strokeStyle = mix(color, f.theme.ink, 0.2);
    ctx.lineWidth = 1.6;
    ctx.lineCap = "round";
    ctx.beginPath();
    ctx.moveTo(x + 4.5, y + 8);
    ctx.lineTo(x + 11.5, y + 8);
    if (!open) {
        ctx.moveTo(x + 8, y + 4.5);
        ctx.lineTo(x + 8, y + 11.5);
    }
    ctx.stroke();
    ctx.lineCap = "butt";
}

/** A filled pill that ends at `right`; returns where it begins. */
function drawBadge(f: Frame, label: string, right: number, y: number, color: string) {
    const { ctx, theme } = f;
    ctx.font = `700 11px ${SANS}`;
    const w = ctx.measureText(label).width + 14;
    fillRound(f, { x: right - w, y, w, h: 17 }, 8.5, color);
    ctx.fillStyle = theme.dark ? "#14161a" : "#ffffff";
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.fillText(label, right - w / 2, y + 9);
    ctx.textAlign = "left";
    return right - w;
}

/** The frame of an opened group, below wires and cards. */
export function drawContainer(f: Frame, b: number): void {
    const { ctx, theme } = f;
    const box = f.scene.boxes[b]!;
    const at = rectOf(f, b);
    const color = boxColor(f, box);
    if (at.h * f.view.zoom < 1.5) return;
    ctx.globalAlpha = alphaOf(f, b);
    const tint = (theme.dark ? 0.05 : 0.03) + 0.045 * (box.depth % 2);
    const fill = mix(theme.card, color, tint);
    const border = mix(theme.background, color, 0.38);
    if (f.view.zoom < 0.08) {
        ctx.fillStyle = at.w * f.view.zoom < 30 ? border : fill;
        ctx.fillRect(at.x, at.y, at.w, at.h);
    } else {
        fillRound(f, at, 14, fill);
        strokeRound(f, at, 14, border, 1 / Math.min(1, f.view.zoom));
    }
    ctx.globalAlpha = 1;
}

/** Its header, above the wires that pass behind it. */
export function drawContainerHeader(f: Frame, b: number): void {
    const { ctx, theme, text } = f;
    const box = f.scene.boxes[b]!;
    const group = f.model.groups[box.group]!;
    const at = rectOf(f, b);
    drawRings(f, b, at, 14);
    if (f.view.zoom < 0.2) return;
    const color = boxColor(f, box);
    ctx.globalAlpha = alphaOf(f, b);
    ctx.fillStyle = mix(theme.background, color, theme.dark ? 0.2 : 0.13);
    ctx.beginPath();
    ctx.roundRect(at.x + 0.5, at.y + 0.5, at.w - 1, HEADER, [13.5, 13.5, 0, 0]);
    ctx.fill();
    drawToggle(f, at.x + 10, at.y + 6, color, true);
    ctx.textBaseline = "middle";
    const middle = at.y + 14.5;
    const left = at.x + 34;
    const right = at.x + at.w - 12;
    ctx.font = `600 13px ${SANS}`;
    ctx.fillStyle = theme.ink;
    const title = (group.run > 1 ? `${group.run} × ` : "") + group.title;
    const cut = text.fit(ctx, title, right - left);
    ctx.fillText(cut, left, middle);
    const used = left + ctx.measureText(cut).width + 8;
    ctx.font = `11px ${SANS}`;
    ctx.fillStyle = theme.muted;
    text.draw(ctx, group.subtitle, used, middle, right - used);
    const facts = groupFacts(group);
    const labelEnd = used + ctx.measureText(group.subtitle).width + 20;
    const w = ctx.measureText(facts).width;
    if (right - labelEnd > w) ctx.fillText(facts, right - w, middle);
    ctx.globalAlpha = 1;
}

/** A tag of a long edge: where it comes from, or how often it is used. */
export function drawTag(f: Frame, s: number): void {
    const { ctx, theme, text } = f;
    const stub = f.scene.stubs[s]!;
    const value = f.model.values[stub.value]!;
    const strong = s === f.hoveredStub || f.values.has(stub.value);
    const color = strong ? theme.wireStrong : theme.muted;
    const middle = stub.x + stub.w / 2;
    const end = stub.side === "in" ? stub.y + stub.h : stub.y;
    ctx.strokeStyle = strong ? theme.wireStrong : theme.wire;
    ctx.lineWidth = 1.4;
    ctx.beginPath();
    ctx.moveTo(middle, end);
    ctx.lineTo(middle, end + (stub.side === "in" ? 5 : -5));
    ctx.stroke();
    fillRound(f, stub, 8, mix(theme.background, theme.ink, theme.dark ? 0.13 : 0.06));
    strokeRound(f, stub, 8, strong ? theme.wireStrong : theme.cardBorder, 1);
    if (f.view.zoom < DETAIL.text) return;
    ctx.font = `9.5px ${SANS}`;
    ctx.fillStyle = color;
    ctx.textBaseline = "middle";
    const many = stub.targets.length > 1;
    const name = value.name.split(/[/.]/).filter(Boolean).at(-1) ?? value.name;
    const label =
        stub.side === "in"
            ? `↥ ${name}`
            : many
              ? `↧ ${graphStrings.uses(stub.targets.length)}`
              : `↧ ${name}`;
    text.draw(ctx, label, stub.x + 7, stub.y + stub.h / 2 + 0.5, stub.w - 12);
}
