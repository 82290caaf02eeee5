/** Modules by their share of a sum, as nested rectangles that open. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { strings } from "../strings";
import { bytesText, countText, shareText } from "../text";
import { squarify, type Rect } from "./squarify";
import { largestFirst, type Metric, type ModuleTree } from "./summary";

const GAP = 3;
const HEAD = 20; // px of a rectangle's title

/** A number of the metric as people read it. */
export const metricText = (metric: Metric, n: number) =>
    metric === "flops" || metric === "params" ? countText(n) : bytesText(n);

interface Tile {
    tree: ModuleTree;
    box: Rect;
    inner: Tile[];
}

const inset = ({ x, y, width, height }: Rect): Rect => ({
    x: x + GAP / 2,
    y: y + GAP / 2,
    width: Math.max(0, width - GAP),
    height: Math.max(0, height - GAP),
});

/** Two levels: the children of `tree`, and in those with room their own. */
export function tilesOf(
    tree: ModuleTree,
    metric: Metric,
    box: Rect,
    depth = 2,
): Tile[] {
    const shown = largestFirst(tree, metric);
    const boxes = squarify(
        shown.map((child) => child[metric]),
        box,
    );
    return shown.map((child, i) => {
        const tile = inset(boxes[i]!);
        const room = tile.width > 60 && tile.height > HEAD + 26;
        const inside = {
            x: tile.x + GAP,
            y: tile.y + HEAD,
            width: tile.width - 2 * GAP,
            height: tile.height - HEAD - GAP,
        };
        const inner =
            room && depth > 1 ? tilesOf(child, metric, inside, depth - 1) : [];
        return { tree: child, box: tile, inner };
    });
}

/** The tile nearest in the direction of an arrow key. */
function neighbour(tiles: Tile[], from: number, key: string): number {
    const here = tiles[from]!.box;
    const centre = (box: Rect) =>
        [box.x + box.width / 2, box.y + box.height / 2] as const;
    const [x, y] = centre(here);
    let best = from;
    let least = Infinity;
    tiles.forEach(({ box }, i) => {
        if (i === from) return;
        const [cx, cy] = centre(box);
        const along = {
            ArrowRight: cx - x,
            ArrowLeft: x - cx,
            ArrowDown: cy - y,
            ArrowUp: y - cy,
        }[key]!;
        const across = key === "ArrowRight" || key === "ArrowLeft" ? cy - y : cx - x;
        const distance = along + 2 * Math.abs(across);
        if (along > 1 && distance < least) {
            least = distance;
            best = i;
        }
    });
    return best;
}

function fit(text: string, width: number): string {
    const most = Math.floor((width - 12) / 6.6);
    if (text.length <= most) return text;
    return most < 3 ? "" : `${text.slice(0, most - 1)}…`;
}

function Label({ tile, value }: { tile: Tile; value: string }) {
    const { tree, box } = tile;
    if (box.height < 16) return null;
    const short = tree.label.slice(tree.label.lastIndexOf(".") + 1);
    const whole = fit(tree.label, box.width) === tree.label;
    const title = fit(whole ? tree.label : short, box.width);
    const rest = fit(value, box.width - title.length * 6.6 - 10);
    const under = tile.inner.length === 0 && box.height > 38;
    // An inner svg ends what is wider than it was taken to be.
    return (
        <svg x={box.x} y={box.y} width={box.width} height={box.height}>
            <text class="tile-name" x={6} y={14}>
                {title}
            </text>
            {under ? (
                <text class="tile-value" x={6} y={30}>
                    {fit(value, box.width)}
                </text>
            ) : (
                rest === value && (
                    <text class="tile-value" x={box.width - 6} y={14} text-anchor="end">
                        {value}
                    </text>
                )
            )}
        </svg>
    );
}

function Inner({ tile, metric }: { tile: Tile; metric: Metric }) {
    return (
        <g>
            <rect class={`tile inner c-${tile.tree.category}`} {...tile.box} rx={3} />
            <Label tile={tile} value={metricText(metric, tile.tree[metric])} />
        </g>
    );
}

/** The map of what is in `tree`, of which `total` is the whole model. */
export function Treemap(props: {
    tree: ModuleTree;
    metric: Metric;
    total: number;
    canGoUp: boolean;
    onOpen(tree: ModuleTree): void;
    onUp(): void;
}) {
    const { tree, metric, total, canGoUp, onOpen, onUp } = props;
    const frame = useRef<HTMLDivElement>(null);
    const [width, setWidth] = useState(640);
    const [focus, setFocus] = useState(0);
    useLayoutEffect(() => {
        const observer = new ResizeObserver(() => setWidth(frame.current!.clientWidth));
        observer.observe(frame.current!);
        return () => observer.disconnect();
    }, []);
    const height = Math.round(Math.min(420, Math.max(260, width * 0.56)));
    const tiles = tilesOf(tree, metric, { x: 0, y: 0, width, height });
    const current = Math.min(focus, tiles.length - 1);
    const focusOn = (i: number) => {
        setFocus(i);
        frame.current?.querySelectorAll<SVGGElement>("[role=button]")[i]?.focus();
    };
    const onKeyDown = (event: KeyboardEvent) => {
        if (event.key.startsWith("Arrow"))
            focusOn(neighbour(tiles, current, event.key));
        else if (event.key === "Enter" || event.key === " ")
            onOpen(tiles[current]!.tree);
        else if (event.key === "Backspace" && canGoUp) onUp();
        else return;
        event.preventDefault();
    };
    return (
        <div ref={frame} class="treemap">
            <svg
                width={width}
                height={height}
                role="group"
                aria-label={`${strings.byModule}. ${strings.treemapHelp}`}
                onKeyDown={onKeyDown}
            >
                {tiles.map(({ tree, box }, i) => {
                    const value = metricText(metric, tree[metric]);
                    const share = shareText(tree[metric], total);
                    const name = `${tree.label} ${tree.className}, ${value}, ${share}`;
                    return (
                        <g
                            key={tree.path ?? ""}
                            class="tile-group"
                            role="button"
                            tabIndex={i === current ? 0 : -1}
                            aria-label={name}
                            onFocus={() => setFocus(i)}
                            onClick={() => onOpen(tree)}
                        >
                            <title>{name}</title>
                            <rect class={`tile c-${tree.category}`} {...box} rx={5} />
                        </g>
                    );
                })}
                <g class="tile-labels" aria-hidden="true">
                    {tiles.map((tile) => (
                        <g key={tile.tree.path ?? ""}>
                            {tile.inner.map((inner, j) => (
                                <Inner key={j} tile={inner} metric={metric} />
                            ))}
                            <Label
                                tile={tile}
                                value={metricText(metric, tile.tree[metric])}
                            />
                        </g>
                    ))}
                </g>
            </svg>
        </div>
    );
}
