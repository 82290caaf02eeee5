/** Colours and fonts of the canvas, light and dark. */
import type { Category } from "./categories";

/** Everything that is drawn takes its colours from here. */
export interface Theme {
    dark: boolean;
    background: string;
    dot: string;
    card: string;
    cardBorder: string;
    shadow: string;
    ink: string;
    muted: string;
    wire: string;
    wireStrong: string;
    chip: string;
    accent: string;
    mark: string;
    category: Record<Category, string>;
}

const LIGHT: Theme = {
    dark: false,
    background: "#f6f6f3",
    dot: "#dddcd5",
    card: "#ffffff",
    cardBorder: "#d9d8d1",
    shadow: "rgba(40, 38, 30, 0.07)",
    ink: "#1d2026",
    muted: "#5d636e",
    wire: "#a9adb5",
    wireStrong: "#2563c9",
    chip: "#f6f6f3",
    accent: "#2563c9",
    mark: "#f5c64a",
    category: {
        conv: "#2f6fd0",
        linear: "#6a4fc4",
        attention: "#b83f7a",
        norm: "#17806a",
        activation: "#c0640f",
        pool: "#0d7d9c",
        math: "#566072",
        shape: "#858b96",
        data: "#83683a",
        control: "#b0432f",
        module: "#4667a3",
    },
};

const DARK: Theme = {
    dark: true,
    background: "#14161a",
    dot: "#25282f",
    card: "#1f2229",
    cardBorder: "#363b45",
    shadow: "rgba(0, 0, 0, 0.35)",
    ink: "#e9ebef",
    muted: "#a2a9b5",
    wire: "#5b626e",
    wireStrong: "#7fb0ff",
    chip: "#14161a",
    accent: "#7fb0ff",
    mark: "#d9a92f",
    category: {
        conv: "#6ea5f5",
        linear: "#a48ff0",
        attention: "#ec86b5",
        norm: "#4fc3a6",
        activation: "#f0a35a",
        pool: "#56bfdd",
        math: "#9aa4b5",
        shape: "#868d99",
        data: "#cbaa71",
        control: "#ef8a76",
        module: "#8fabe0",
    },
};

/** The theme of a name. */
export function themeOf(name: "light" | "dark"): Theme {
    return name === "dark" ? DARK : LIGHT;
}

/** Letters of the canvas; the page may define them in CSS. */
export const SANS =
    '"Inter Variable", Inter, ui-sans-serif, system-ui, "Segoe UI", Roboto, ' +
    '"Helvetica Neue", Arial, sans-serif';
/** For shapes. */
export const MONO =
    '"JetBrains Mono Variable", "JetBrains Mono", ui-monospace, "SF Mono", Menlo, ' +
    'Consolas, "DejaVu Sans Mono", monospace';

const mixed = new Map<string, string>();

/** A colour between two "#rrggbb"; t = 0 is the first. */
export function mix(a: string, b: string, t: number): string {
    const key = `${a}${b}${t}`;
    let out = mixed.get(key);
    if (out === undefined) mixed.set(key, (out = blend(a, b, t)));
    return out;
}

function blend(a: string, b: string, t: number): string {
    let out = "#";
    for (let i = 1; i < 7; i += 2) {
        const x = parseInt(a.slice(i, i + 2), 16);
        const y = parseInt(b.slice(i, i + 2), 16);
        out += Math.round(x + (y - x) * t)
            .toString(16)
            .padStart(2, "0");
    }
    return out;
}
