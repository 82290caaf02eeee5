// Draws docs/images/playground-*.png of web/dist: npm run screenshots.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { it } from "vitest";
import { compiled, openExample, ROOT, Site } from "./page";

const FOLDER = process.env.SCREENSHOTS ?? join(ROOT, "docs/images");
const WIDE = { width: 1360, height: 850 };
const PHONE = { width: 390, height: 844 };

type Scene = [
    name: string,
    viewport: { width: number; height: number },
    theme: "light" | "dark",
    act: (page: Page) => Promise<void>,
];

const settled = (page: Page) => page.waitForTimeout(900);

/** A line of the code that a node became, so that both sides show it. */
async function chooseLine(page: Page): Promise<void> {
    const linked = page.locator(".code .line.linked");
    if ((await linked.count()) === 0) return;
    await linked.nth(Math.min(6, (await linked.count()) - 1)).click();
}

const SCENES: Scene[] = [
    ["welcome", WIDE, "light", (page) => page.locator(".example").nth(3).waitFor()],
    ["welcome-dark", WIDE, "dark", (page) => page.locator(".example").nth(3).waitFor()],
    [
        "code",
        WIDE,
        "light",
        async (page) => {
            await openExample(page, "BERT");
            await chooseLine(page);
        },
    ],
    [
        "code-dark",
        WIDE,
        "dark",
        async (page) => {
            await openExample(page, "ResNet-18");
            await chooseLine(page);
        },
    ],
    [
        "report",
        WIDE,
        "light",
        async (page) => {
            await openExample(page, "Llama");
            await page.getByRole("tab", { name: "Report" }).click();
        },
    ],
    [
        "3d",
        WIDE,
        "dark",
        async (page) => {
            await openExample(page, "ResNet-18");
            await page.getByRole("tab", { name: "3D" }).click();
            await page.locator(".three canvas[data-ready]").waitFor();
        },
    ],
    ["phone", PHONE, "light", (page) => page.locator(".example").nth(3).waitFor()],
    [
        "phone-code",
        PHONE,
        "dark",
        async (page) => {
            await page.getByRole("button", { name: "Digits" }).click();
            await page.getByRole("tab", { name: "Code" }).click();
            await compiled(page);
        },
    ],
    [
        "phone-graph",
        PHONE,
        "light",
        async (page) => {
            await page.getByRole("button", { name: "ResNet-18" }).click();
            await page.getByRole("tab", { name: "Graph" }).waitFor();
        },
    ],
];

it("draws the pictures", { timeout: 280_000 }, async () => {
    mkdirSync(FOLDER, { recursive: true });
    const site = await Site.start();
    try {
        for (const [name, viewport, theme, act] of SCENES) {
            if (process.env.ONLY && !process.env.ONLY.split(",").includes(name))
                continue;
            const visit = await site.visit({
                viewport,
                colorScheme: theme,
                deviceScaleFactor: 1.5,
            });
            await act(visit.page);
            await settled(visit.page);
            await visit.page.screenshot({
                path: join(FOLDER, `playground-${name}.png`),
            });
            for (const problem of visit.problems) console.warn(`${name}: ${problem}`);
            await visit.close();
        }
    } finally {
        await site.stop();
    }
});
