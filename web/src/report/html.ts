/** The report as one HTML file, without scripts: it opens anywhere and prints. */
import type { Report } from "../report";
import { strings } from "../strings";
import { bytesText, countText, shareText } from "../text";
import { typeOf } from "../model/values";
import { assumedText, moduleTree, operatorCounts, type ModuleTree } from "./summary";
import { tilesOf } from "./Treemap";

const escaped = (text: string) =>
    text.replace(
        /[&<>"']/g,
        (c) =>
            ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[
                c
            ]!,
    );

const STYLE = `
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem}
h1{margin-bottom:0}h2{margin-top:2rem;font-size:1.1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .5rem;
border-bottom:1px solid light-dark(#ddd,#444);vertical-align:top}.n{text-align:right;
font-variant-numeric:tabular-nums}pre,code{font-family:ui-monospace,monospace;
font-size:.9em}pre{overflow:auto;padding:1rem;background:light-dark(#f5f3f0,#222)}
.facts{display:flex;flex-wrap:wrap;gap:2rem;padding:0;list-style:none}.facts b{display:block;
font-size:1.5rem}svg{width:100%;height:auto}rect{fill:light-dark(#e8d9cf,#4a3529);
stroke:light-dark(#fff,#181818)}text{font-size:12px;fill:currentColor}`;

function table(head: [string, boolean][], rows: string[][]): string {
    const cell = (tag: string, text: string, right: boolean) =>
        `<${tag}${right ? ' class="n"' : ""}>${escaped(text)}</${tag}>`;
    const line = (tag: string, cells: string[]) =>
        `<tr>${cells.map((text, i) => cell(tag, text, head[i]![1])).join("")}</tr>`;
    const body = rows.map((row) => line("td", row)).join("\n");
    return `<table><thead>${line(
        "th",
        head.map(([name]) => name),
    )}</thead><tbody>
${body}</tbody></table>`;
}

function map(root: ModuleTree): string {
    const tiles = tilesOf(root, "bytes", { x: 0, y: 0, width: 928, height: 360 }, 1);
    const drawn = tiles.map(({ tree, box }) => {
        const { x, y, width, height } = box;
        const name = width > 50 && height > 18 ? tree.label.slice(0, width / 7.2) : "";
        return `<g><title>${escaped(tree.label)}: ${bytesText(tree.bytes)}</title>
<rect x="${x}" y="${y}" width="${width}" height="${height}"/>
<text x="${x + 5}" y="${y + 15}">${escaped(name)}</text></g>`;
    });
    return `<svg viewBox="0 0 928 360" role="img" aria-label="${strings.byModule}">
${drawn.join("\n")}</svg>`;
}

function moduleRows(tree: ModuleTree, all: number, depth = 0): string[][] {
    const row = [
        "\u2003".repeat(depth) + (tree.path === "" ? strings.whole : tree.label),
        tree.className,
        countText(tree.params),
        bytesText(tree.bytes),
        countText(tree.flops),
        shareText(tree.bytes, all),
    ];
    const inner = tree.children.filter((child) => child.path !== null);
    return [row, ...inner.flatMap((child) => moduleRows(child, all, depth + 1))];
}

/** The whole file. `messages` are the compiler's, `version` its version. */
export function reportHtml(report: Report, messages: string, source: string): string {
    const { model, statistics, work } = report;
    const root = moduleTree(report, strings.rest);
    const facts: [string, string][] = [
        [strings.parameters, countText(statistics.param_elements)],
        [strings.bytes, bytesText(statistics.param_bytes)],
        [strings.nodes, statistics.nodes.toLocaleString("en")],
    ];
    if (work) facts.push([strings.flops, countText(2 * work.macs)]);
    const values = [
        ...report.inputs.map((value) => [strings.input, value.name, typeOf(value)]),
        ...report.outputs.map((value) => [strings.output, value.name, typeOf(value)]),
    ];
    const parts = [
        `<h1>${escaped(model.name)}</h1>`,
        `<p>${escaped(`${model.producer} ${model.producer_version}`)}</p>`,
        `<ul class="facts">${facts.map(([k, v]) => `<li><b>${v}</b>${k}</li>`).join("")}</ul>`,
        work && assumedText(report)
            ? `<p>${escaped(strings.assumed(assumedText(report)))}</p>`
            : "",
        table(
            [
                ["", false],
                [strings.name, false],
                [strings.type, false],
            ],
            values,
        ),
        messages ? `<h2>${strings.messages}</h2><pre>${escaped(messages)}</pre>` : "",
        root ? `<h2>${strings.byModule}</h2>${map(root)}` : "",
        root
            ? table(
                  [
                      [strings.module, false],
                      [strings.className, false],
                      [strings.parameters, true],
                      [strings.bytes, true],
                      [strings.flops, true],
                      [strings.share, true],
                  ],
                  moduleRows(root, root.bytes),
              )
            : "",
        `<h2>${strings.operators}</h2>`,
        table(
            [
                [strings.operator, false],
                [strings.nodes, true],
            ],
            operatorCounts(report).map(([op, n]) => [op, String(n)]),
        ),
        source ? `<h2>${strings.code}</h2><pre>${escaped(source)}</pre>` : "",
    ];
    return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(model.name)}</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>${STYLE}</style></head><body>
${parts.filter(Boolean).join("\n")}
</body></html>
`;
}
