// The page of `inspect --format html`, opened from a file.
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GraphHook } from "../../src/graph";
import { violations } from "./axe";
import {
    draft,
    EXAMPLES,
    expectQuiet,
    native,
    python,
    ROOT,
    saved,
    Site,
    type Visit,
} from "./page";

let site: Site;
beforeAll(async () => void (site = await Site.start()));
afterAll(() => site.stop());

const folder = draft();
const DIGITS = join(ROOT, "examples/digits_cnn.onnx");

/** Opens the page of a model, from the file alone. */
async function opened(
    model: string,
    options: BrowserContextOptions = {},
): Promise<Visit> {
    const path = join(folder, "page.html");
    writeFileSync(path, native(["inspect", model, "--format", "html"]).out);
    const address = pathToFileURL(path).href;
    const visit = await site.visit({ offline: true, ...options }, address);
    await visit.page.getByRole("tab", { name: "Graph" }).waitFor();
    return visit;
}

/** A BERT whose weights are zeros: the file has a size, and takes no room. */
function bert(): string {
    const model = join(folder, "bert_tiny.onnx");
    copyFileSync(join(EXAMPLES, "bert_tiny.onnx"), model);
    const list = JSON.parse(readFileSync(join(EXAMPLES, "examples.json"), "utf8")) as {
        name: string;
        data: { location: string; size: number };
    }[];
    const { data } = list.find(({ name }) => name === "bert_tiny")!;
    writeFileSync(join(folder, data.location), "");
    truncateSync(join(folder, data.location), data.size);
    return model;
}

type Hooked = HTMLElement & { graphHook: GraphHook };

/** Clicks the first operator of that name in the graph, whose groups are all opened. */
async function clickNode({ page }: Visit, title: string): Promise<void> {
    const at = await page.getByTestId("graph").evaluate(async (element, wanted) => {
        const hook = (element as Hooked).graphHook;
        hook.openAll();
        await hook.settled();
        hook.showAll(true);
        await hook.settled();
        const box = hook.boxes().find((b) => b.type === "op" && b.title === wanted)!;
        return { x: box.x + box.w / 2, y: box.y + box.h / 2 };
    }, title);
    await page.getByTestId("graph-canvas").click({ position: at });
}

it("asks for nothing but itself, and may not", async () => {
    const visit = await opened(DIGITS);
    const { page } = visit;
    await page.getByRole("tab", { name: "Report" }).click();
    await page.locator(".report-pane").waitFor();
    expect(visit.requests).toEqual([`GET ${page.url()}`]);
    expectQuiet(visit);
    const refused = await page.evaluate(async () => {
        const said = new Promise<string>((resolve) =>
            addEventListener("securitypolicyviolation", (event) =>
                resolve((event as SecurityPolicyViolationEvent).effectiveDirective),
            ),
        );
        await fetch("http://127.0.0.1:9/x").catch(() => undefined);
        return said;
    });
    expect(refused).toBe("connect-src");
    await visit.close();
});

it("has the code of the command line, and saves it", async () => {
    const visit = await opened(DIGITS);
    const source = native(["compile", DIGITS, "--output", "-"]).out;
    expect(readFileSync(await saved(visit.page, /\.py/), "utf8")).toBe(source);
    await visit.close();
});

it("a node and its lines show each other", async () => {
    const visit = await opened(bert());
    const { page } = visit;
    await clickNode(visit, "Softmax");
    await page.locator(".details h3", { hasText: "Operator" }).waitFor();
    expect(await page.locator(".details .detail b").first().textContent()).toBe(
        "Softmax",
    );
    const chosen = page.locator(".line.selected");
    expect(await chosen.first().textContent()).toContain("dot_product_attention");
    await page.getByRole("button", { name: "Clear the selection" }).click();
    await page.getByPlaceholder("Find in the code").fill("gelu(");
    await page.locator(".line.linked", { hasText: "gelu(" }).last().click();
    await page.locator(".details h3", { hasText: "Operator" }).waitFor();
    await page.getByTestId("module-tree").getByText("BertPooler").click();
    await page.locator(".details h3", { hasText: "Module" }).waitFor();
    // What needs the model's file or the compiler is not there.
    expect(await page.getByRole("tab").allTextContents()).toEqual([
        "Graph",
        "Code",
        "Report",
    ]);
    expect(await page.locator(".statistics, .options, [data-open]").count()).toBe(0);
    expectQuiet(visit);
    await visit.close();
});

it("a model that does not compile shows why, and its graph", async () => {
    const model = join(folder, "strange.onnx");
    python(
        `import sys, onnx, onnx.parser
onnx.save(onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 20, "some": 1]>
g (float[3] x) => (float[3] y) { z = Neg(x) y = some.Unheard(z) }"""), sys.argv[1])`,
        model,
    );
    const visit = await opened(model);
    await visit.page.locator(".failure", { hasText: "OX0301" }).waitFor();
    const titles = await visit.page.getByTestId("graph").evaluate(async (element) => {
        const hook = (element as Hooked).graphHook;
        await hook.settled();
        return hook.boxes().map((box) => box.title);
    });
    expect(titles).toContain("Unheard");
    await visit.page.getByRole("tab", { name: "Report" }).click();
    await visit.page.getByText("Unsupported operators").waitFor();
    expect(await violations(visit.page)).toEqual([]);
    await visit.close();
});

describe.each(["light", "dark"] as const)("axe-core finds nothing, %s", (scheme) => {
    it.each(["Code", "Report"])("%s", async (view) => {
        const visit = await opened(bert(), { colorScheme: scheme });
        await clickNode(visit, "Softmax");
        await visit.page.getByRole("tab", { name: view }).click();
        expect(await violations(visit.page)).toEqual([]);
        await visit.close();
    });
});

it.each(["Graph", "Code", "Report"])("%s fits 390 pixels", async (view) => {
    const visit = await opened(DIGITS, { viewport: { width: 390, height: 844 } });
    await visit.page.getByRole("tab", { name: view }).click();
    await visit.page.waitForTimeout(150);
    expect(
        await visit.page.evaluate(
            () => document.documentElement.scrollWidth <= innerWidth,
        ),
    ).toBe(true);
    expect(await violations(visit.page)).toEqual([]);
    await visit.close();
});

it("the keyboard goes through the views, the code and the keys", async () => {
    const visit = await opened(DIGITS);
    const { page } = visit;
    await page.keyboard.press("2"); // the 3D view, which this page lacks
    await page.keyboard.press("/");
    await page.keyboard.type("forward");
    await page.getByText(/^1 of \d+/).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("tab", { name: "Code" }).focus();
    await page.keyboard.press("4");
    await page.locator(".report-pane").waitFor();
    await page.keyboard.press("?");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    expect(await dialog.textContent()).not.toContain("3D");
    await page.keyboard.press("Escape");
    await page.keyboard.press("t");
    expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe(
        "dark",
    );
    expectQuiet(visit);
    await visit.close();
});
