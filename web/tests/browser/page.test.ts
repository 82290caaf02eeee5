// The page itself: privacy, accessibility, keyboard, linking, being offline.
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { violations } from "./axe";
import {
    compiled,
    draft,
    EXAMPLES,
    expectQuiet,
    native,
    openExample,
    python,
    Site,
    type Visit,
} from "./page";

let site: Site;
beforeAll(async () => void (site = await Site.start()));
afterAll(() => site.stop());

describe("nothing leaves", () => {
    it("the page asks its own host for its own files, by GET without a body", async () => {
        site.server.asked.length = 0;
        const visit = await site.visit();
        await openExample(visit.page, "Digits CNN");
        await visit.page.getByRole("tab", { name: "Report" }).click();
        await visit.page.getByRole("tab", { name: "3D" }).click();
        await visit.page.locator(".three canvas[data-ready]").waitFor();
        for (const request of visit.requests) {
            const own = `GET ${site.server.address}`;
            const made = `GET blob:${site.server.origin}/`;
            expect(request.startsWith(own) || request.startsWith(made), request).toBe(
                true,
            );
        }
        for (const line of site.server.asked)
            expect(line).toMatch(/^GET \/some\/folder\/\S* 0$/);
        expectQuiet(visit);
        await visit.close();
    });

    it("the policy refuses other hosts, to the page and to its workers", async () => {
        const visit = await site.visit();
        const tried = await visit.page.evaluate(async () => {
            const attempt = `fetch("http://127.0.0.1:9/x", { method: "POST", body: "x" })
        .then(() => "sent", (e) => "refused");`;
            const refused = new Promise<string>((resolve) =>
                addEventListener("securitypolicyviolation", (event) =>
                    resolve((event as SecurityPolicyViolationEvent).effectiveDirective),
                ),
            );
            const page = await fetch("http://127.0.0.1:9/x", {
                method: "POST",
                body: "x",
            }).then(
                () => "sent",
                () => "refused",
            );
            // As the compiler's worker is started: from a blob, with the page's policy.
            const code = `addEventListener("securitypolicyviolation",
        (event) => postMessage(event.effectiveDirective)); ${attempt}`;
            const blob = URL.createObjectURL(
                new Blob([code], { type: "text/javascript" }),
            );
            const worker = new Worker(blob, { type: "module" });
            const inside = new Promise<string>((resolve) => {
                worker.onmessage = (event) => resolve(event.data as string);
            });
            const soon = new Promise<string>((resolve) =>
                setTimeout(() => resolve("nothing"), 5000),
            );
            return {
                page,
                directive: await Promise.race([refused, soon]),
                inside: await Promise.race([inside, soon]),
            };
        });
        expect(tried).toEqual({
            page: "refused",
            directive: "connect-src",
            inside: "connect-src",
        });
        await visit.close();
    });

    it("every worker is started under the policy", async () => {
        const visit = await site.visit();
        const workers: string[] = [];
        visit.page.on("worker", (worker) => workers.push(worker.url()));
        await openExample(visit.page, "ResNet-18");
        expect(workers.length).toBeGreaterThan(0);
        expect(workers.filter((url) => !url.startsWith("blob:"))).toEqual([]);
        await visit.close();
    });
});

describe.each(["light", "dark"] as const)(
    "axe-core finds nothing, %s",
    (colorScheme) => {
        const views: [string, (page: Page) => Promise<unknown>][] = [
            ["welcome", (page) => page.locator(".example").first().waitFor()],
            ["code", (page) => openExample(page, "BERT")],
            [
                "code with a selection",
                async (page) => {
                    await openExample(page, "Digits CNN");
                    await select(page, { kind: "node", node: 2 });
                    await page.locator(".details .numbers").first().waitFor();
                },
            ],
            [
                "report",
                async (page) => {
                    await openExample(page, "Llama");
                    await page.getByRole("tab", { name: "Report" }).click();
                },
            ],
            [
                "report as a table",
                async (page) => {
                    await openExample(page, "Digits CNN");
                    await page.getByRole("tab", { name: "Report" }).click();
                    await page.getByRole("radio", { name: "Table" }).click();
                },
            ],
            [
                "3D",
                async (page) => {
                    await openExample(page, "Digits CNN");
                    await page.getByRole("tab", { name: "3D" }).click();
                    await page.locator(".three canvas[data-ready]").waitFor();
                },
            ],
            [
                "help",
                async (page) => {
                    await page.getByRole("button", { name: "Keyboard" }).click();
                },
            ],
        ];
        it.each(views)("%s", async (_, act) => {
            const visit = await site.visit({ colorScheme });
            await act(visit.page);
            expect(await violations(visit.page)).toEqual([]);
            expectQuiet(visit);
            await visit.close();
        });
    },
);

const select = (page: Page, detail: unknown) =>
    page.evaluate(
        (what) =>
            window.dispatchEvent(new CustomEvent("oxide-xla-select", { detail: what })),
        detail,
    );

describe("390 pixels", () => {
    it.each(["Graph", "3D", "Code", "Report"])("%s fits", async (view) => {
        const visit = await site.visit({
            viewport: { width: 390, height: 844 },
            hasTouch: true,
        });
        const fits = () =>
            visit.page.evaluate(
                () => document.documentElement.scrollWidth <= innerWidth,
            );
        expect(await fits()).toBe(true);
        await visit.page.getByRole("button", { name: "Digits CNN" }).click();
        await visit.page.getByRole("tab", { name: view }).click();
        await visit.page.waitForTimeout(150);
        expect(await fits()).toBe(true);
        expect(await violations(visit.page)).toEqual([]);
        await visit.close();
    });
});

const focused = (page: Page) =>
    page.evaluate(() => {
        const element = document.activeElement as HTMLElement;
        const box = element.getBoundingClientRect();
        return {
            name:
                element.getAttribute("aria-label") ?? element.textContent?.trim() ?? "",
            ring: getComputedStyle(element).outlineStyle,
            visible: box.width > 0 && box.height > 0,
        };
    });

/** Presses Tab until something of that name has the focus; each stop shows it. */
async function tabTo(visit: Visit, name: RegExp): Promise<void> {
    for (let i = 0; i < 60; i++) {
        await visit.page.keyboard.press("Tab");
        const at = await focused(visit.page);
        expect(at.visible, at.name).toBe(true);
        expect(at.ring, at.name).not.toBe("none");
        if (name.test(at.name)) return;
    }
    throw new Error(`Tab does not come to ${name}`);
}

it("the keyboard alone opens an example, changes options, reads lines and saves", async () => {
    const visit = await site.visit();
    const { page } = visit;
    await page.locator(".example").first().waitFor();
    await tabTo(visit, /Digits CNN/);
    await page.keyboard.press("Enter");
    await compiled(page);
    await page.keyboard.press("/");
    await page.keyboard.type("forward");
    await page.getByText(/^1 of \d+/).waitFor();
    await page.keyboard.press("Enter");
    await page.getByText(/^2 of \d+/).waitFor();
    await page.keyboard.press("4");
    // Typed into the search box: a letter there is no command.
    await page.keyboard.press("Escape");
    await tabTo(visit, /Generated JAX code/);
    await page.keyboard.press("Home");
    for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowDown");
    expect(await page.locator(".line.cursor .number").textContent()).toBe("6");
    await page.keyboard.press("4");
    await page.locator(".report-pane").waitFor();
    await tabTo(visit, /^conv|^fc|^bn/);
    await page.keyboard.press("ArrowRight");
    await tabTo(visit, /Python module/);
    const download = page.waitForEvent("download");
    await page.keyboard.press("Enter");
    expect((await download).suggestedFilename()).toBe("digits_cnn_jax.py");
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("t");
    expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe(
        "dark",
    );
    expectQuiet(visit);
    await visit.close();
});

it("a node and its lines show each other", async () => {
    const visit = await site.visit();
    const { page } = visit;
    await openExample(page, "ResNet-18");
    const lines = page.locator(".code .line");
    // Lines out of sight are not drawn: a search brings this one.
    await page.getByPlaceholder("Find in the code").fill("conv2) + x)");
    const call = page.locator(".line.linked", { hasText: "conv2) + x)" });
    await call.click();
    await page.locator(".details h3", { hasText: "Operator" }).waitFor();
    const operator = page.locator(".details .detail b").first();
    expect(await operator.textContent()).toBe("Add");
    await call.click(); // the next node of the same line
    await page.locator(".details .detail b", { hasText: "Relu" }).waitFor();
    expect(await call.getAttribute("class")).toContain("selected");
    await page.getByRole("button", { name: "Clear the selection" }).click();
    expect(await page.locator(".line.selected").count()).toBe(0);
    // From the graph: the last line of the model, which is not in sight at first.
    await page.locator(".code").evaluate((element) => (element.scrollTop = 0));
    await select(page, { kind: "module", path: "fc" });
    const chosen = page.locator(".line.selected");
    await chosen.first().waitFor();
    expect(await chosen.first().textContent()).toContain("fc.weight");
    const [line, box] = await Promise.all([
        chosen.first().boundingBox(),
        page.locator(".code").boundingBox(),
    ]);
    expect(line!.y).toBeGreaterThan(box!.y);
    expect(line!.y + line!.height).toBeLessThan(box!.y + box!.height);
    // Helpers that no node became lines of are folded, and open.
    await page.locator(".code").evaluate((e) => (e.scrollTop = e.scrollHeight));
    const head = lines.filter({ hasText: "def load_params(" });
    expect(await head.textContent()).toContain("lines folded");
    await visit.close();
});

it("a selection has attributes, inputs, and statistics of its parameters", async () => {
    const visit = await site.visit();
    const { page } = visit;
    await openExample(page, "Digits CNN");
    const model = join(EXAMPLES, "digits_cnn.onnx");
    const report = JSON.parse(native(["inspect", model, "--format", "json"]).out) as {
        nodes: { op: string }[];
    };
    const node = report.nodes.findIndex(({ op }) => op === "Conv");
    await select(page, { kind: "node", node });
    const details = page.locator(".details");
    await details.getByText("kernel_shape").waitFor();
    const shown = (await details.locator(".attributes").textContent())!;
    expect(shown).toContain("kernel_shape[3,3]");
    expect(shown).toContain("auto_padNOTSET");
    expect(await details.getByText("float32[16,1,3,3]").count()).toBeGreaterThan(0);
    await details.locator(".numbers").first().waitFor();
    expectQuiet(visit);
    await visit.close();
});

it("a change of options lights up the lines that it changed", async () => {
    const visit = await site.visit();
    const { page } = visit;
    await openExample(page, "BERT");
    await page.getByRole("radio", { name: "Scan" }).click();
    await page.locator(".code .line.changed").first().waitFor();
    await page.getByText(/\d+ lines? changed/).waitFor();
    await page.getByRole("button", { name: "Shapes" }).click();
    await page.getByLabel("Shape of input_ids").fill("nonsense,1,2,3");
    await page.getByRole("alert").waitFor();
    expect(await page.locator(".code").count()).toBe(1);
    await page.getByLabel("Shape of input_ids").fill("4,16");
    await page.getByRole("alert").waitFor({ state: "detached" });

    expect(await page.locator(".command code").textContent()).toBe(
        "oxide_xla compile bert_tiny.onnx --layers scan --shape input_ids=4,16",
    );
    await visit.close();
});

it("StableHLO is a command that does what it says", async () => {
    const visit = await site.visit();
    const { page } = visit;
    await openExample(page, "Digits CNN");
    await page.getByRole("radio", { name: "npz" }).click();
    await page.getByRole("radio", { name: "StableHLO" }).click();
    // What this target does not take: a layout of params, an .npz file.
    expect(await page.getByRole("radiogroup", { name: "Params" }).count()).toBe(0);
    expect(await page.getByRole("radio", { name: "npz" }).count()).toBe(0);
    await page.getByRole("radio", { name: "Unrolled" }).click();
    await page.getByRole("radio", { name: "Inline" }).click();
    await compiled(page);
    expect(await violations(page)).toEqual([]);
    const command = await page.locator(".target-note code").textContent();
    expect(command).toBe(
        "oxide_xla compile digits_cnn.onnx --target stablehlo --layers unrolled " +
            "--weights inline",
    );
    // The program hands the words on to this one (tests/test_stablehlo.py).
    const folder = draft();
    copyFileSync(join(EXAMPLES, "digits_cnn.onnx"), join(folder, "digits_cnn.onnx"));
    const words = command!.split(" ").slice(2);
    words.splice(words.indexOf("--target"), 2);
    python(
        `import os, sys
sys.path.insert(0, os.path.abspath("python"))
from oxide_xla.stablehlo.cli import main
os.chdir(sys.argv.pop(1))
sys.exit(main())`,
        folder,
        ...words,
    );
    const lowered = readFileSync(join(folder, "digits_cnn.mlir"), "utf8");
    expect(lowered).toContain("stablehlo.convolution");
    await page.getByRole("radio", { name: "JAX" }).click();
    await page.getByRole("radiogroup", { name: "Params" }).waitFor();
    expect(await page.locator(".command code").textContent()).toBe(
        "oxide_xla compile digits_cnn.onnx --layers unrolled",
    );
    expectQuiet(visit);
    await visit.close();
});

it("opens without a network after one visit", async () => {
    const visit = await site.visit({ serviceWorkers: "allow" });
    const { page } = visit;
    await page.evaluate(async () => void (await navigator.serviceWorker.ready));
    await page.context().setOffline(true);
    await page.reload();
    await openExample(page, "Digits CNN");
    await page.getByRole("tab", { name: "3D" }).click();
    await page.locator(".three canvas[data-ready]").waitFor();
    await visit.close();
});
