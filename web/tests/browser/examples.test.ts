// The bundled examples, against the native program.
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { madeUpBytes } from "../../src/model/made_up";
import {
    compiled,
    draft,
    EXAMPLES,
    expectQuiet,
    native,
    openExample,
    python,
    ROOT,
    saved,
    Site,
    type Visit,
} from "./page";

interface Entry {
    name: string;
    title: string;
    data: { location: string; size: number } | null;
}

const entries = JSON.parse(
    readFileSync(join(EXAMPLES, "examples.json"), "utf8"),
) as Entry[];

const CHUNK = 4 << 20;

let site: Site;
beforeAll(async () => void (site = await Site.start()));
afterAll(() => site.stop());

/** The example in a folder where the native program finds all of it. */
function files({ name, data }: Entry): string {
    const folder = draft();
    const model = join(folder, `${name}.onnx`);
    copyFileSync(join(EXAMPLES, `${name}.onnx`), model);
    if (data) {
        const path = join(folder, data.location);
        for (let at = 0; at < data.size; at += CHUNK) {
            appendFileSync(path, madeUpBytes(at, Math.min(CHUNK, data.size - at)));
        }
    }
    return model;
}

const sourceOf = async (visit: Visit) =>
    readFileSync(await saved(visit.page, /\.py/), "utf8");

describe.each(entries)("$title", (entry) => {
    it("compiles to what the native program writes, with each option", async () => {
        const model = files(entry);
        const visit = await site.visit();
        await openExample(visit.page, entry.title);
        const expected = (...options: string[]) =>
            native([
                "compile",
                model,
                "--output",
                "-",
                "--weights",
                "safetensors",
                ...options,
            ]).out;
        expect(await sourceOf(visit)).toBe(expected());
        for (const [choice, option, value] of [
            ["Unrolled", "--layers", "unrolled"],
            ["Nested", "--params", "nested"],
        ] as const) {
            await visit.page.getByRole("radio", { name: choice }).click();
            await compiled(visit.page);
            const options = choice === "Nested" ? ["--layers", "unrolled"] : [];
            expect(await sourceOf(visit)).toBe(expected(...options, option, value));
        }
        expectQuiet(visit);
        await visit.close();
    });
});

it("the module and the weights that the page saves give the right outputs", async () => {
    const visit = await site.visit();
    await openExample(visit.page, "Digits CNN");
    const folder = draft();
    await visit.page.getByRole("tab", { name: "Report" }).click();
    copyFileSync(
        await saved(visit.page, /Python module/),
        join(folder, "digits_cnn_jax.py"),
    );
    copyFileSync(
        await saved(visit.page, /Weights \.safetensors/),
        join(folder, "digits_cnn_jax.safetensors"),
    );
    const script = `
import sys, numpy as np, onnx
from onnx.reference import ReferenceEvaluator
sys.path.insert(0, sys.argv[1])
import digits_cnn_jax as model
x = np.random.default_rng(0).normal(size=(3, 1, 8, 8)).astype(np.float32)
want = ReferenceEvaluator(onnx.load(sys.argv[2])).run(None, {"images": x})[0]
got = model.forward(model.load_params(), x)
np.testing.assert_allclose(np.asarray(got), want, rtol=1e-4, atol=1e-5)
print("equal")`;
    expect(python(script, folder, join(EXAMPLES, "digits_cnn.onnx"))).toContain(
        "equal",
    );
    expectQuiet(visit);
    await visit.close();
});

it("random weights are saved as the native program writes them", async () => {
    const entry = entries.find((e) => e.name === "bert_tiny")!;
    const model = files(entry);
    const folder = draft();
    const out = join(folder, "m.py");
    expect(native(["compile", model, "--output", out]).code).toBe(0);
    const visit = await site.visit();
    await openExample(visit.page, entry.title);
    await visit.page.getByRole("tab", { name: "Report" }).click();
    const path = await saved(visit.page, /Weights \.safetensors/);
    const bytes = readFileSync(path);
    expect(bytes.equals(readFileSync(join(folder, "m.safetensors")))).toBe(true);
    await visit.close();
});

it("the report is one file that says what the page does", async () => {
    const visit = await site.visit();
    await openExample(visit.page, "ResNet-18");
    await visit.page.getByRole("tab", { name: "Report" }).click();
    const path = await saved(visit.page, /This report/);
    const html = readFileSync(path, "utf8");
    expect(html).toContain("11.7");
    expect(html).toContain("layer1.0");
    expect(html).toContain("def forward(params");
    expect(html).not.toContain("<script");
    const file = join(draft(), `${basename(path)}.html`);
    writeFileSync(file, html);
    const reader = await site.browser.newPage();
    await reader.goto(`file://${file}`);
    expect(await reader.locator("svg rect").count()).toBeGreaterThan(5);
    await reader.close();
    await visit.close();
});

it("the welcome page shows code that the program writes", () => {
    const sample = readFileSync(join(ROOT, "web/src/app/welcome_sample.txt"), "utf8");
    const model = files(entries.find(({ name }) => name === "resnet18")!);
    const source = native(["compile", model, "--quiet", "--output", "-"]).out;
    for (const piece of sample.trimEnd().split(/\n\n\n|\n    \.\.\.\n/))
        expect(source).toContain(`${piece}\n`);
});
