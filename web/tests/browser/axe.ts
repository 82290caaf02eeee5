// Accessibility, as axe-core judges it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");

interface Violation {
    id: string;
    nodes: { target: string[]; failureSummary: string }[];
}

/** What axe-core finds, one line each. */
export async function violations(page: Page): Promise<string[]> {
    await page.evaluate(axe);
    const found = await page.evaluate(async () => {
        const { axe } = window as unknown as {
            axe: { run(): Promise<{ violations: Violation[] }> };
        };
        return (await axe.run()).violations;
    });
    return found.flatMap((v) =>
        v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}: ${n.failureSummary}`),
    );
}
