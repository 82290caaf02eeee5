// Files that a user brings: data beside the model, folders, and what is wrong with them.
import {
    copyFileSync,
    mkdirSync,
    readFileSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
    compiled,
    draft,
    EXAMPLES,
    expectQuiet,
    native,
    pick,
    python,
    saved,
    Site,
} from "./page";

let site: Site;
let folder: string;
beforeAll(async () => {
    site = await Site.start();
    folder = draft();
    python(MAKE, folder);
});
afterAll(() => site.stop());

// Models for these tests: weights beside the model, what does not compile, many nodes.
const MAKE = `
import sys, numpy as np, onnx
from pathlib import Path
from onnx import TensorProto, helper, numpy_helper
folder = Path(sys.argv[1])

def save(name, nodes, params=(), domains=()):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], list(params))
    opsets = [helper.make_opsetid("", 20), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    return model

w = np.arange(4096, dtype=np.float32).reshape(4, 1024) / 1000
w[0, 0] = np.nan
h = numpy_helper.from_array(np.float16([[1, -2]] * 4), "half")
nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")]
model = save("inside", nodes, [numpy_helper.from_array(w, "w")])
(folder / "beside" / "data").mkdir(parents=True)
onnx.save_model(model, folder / "beside" / "net.onnx", save_as_external_data=True,
                location="data/w.bin", size_threshold=0)
save("unsupported", [helper.make_node("Strange", ["x"], ["h"], name="s1", domain="acme"),
                     helper.make_node("Odd", ["h"], ["y"], name="o1", domain="acme")],
     domains=["acme"])
save("half", [helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT16),
              helper.make_node("MatMul", ["c", "half"], ["y"])], [h])
save("fused", [helper.make_node("FastGelu", ["x"], ["y"], domain="com.microsoft")],
     domains=["com.microsoft"])
names = ["x", *(f"v{i}" for i in range(4999)), "y"]
ops = ["Relu", "Sigmoid", "Tanh", "Neg", "Abs"]
save("many", [helper.make_node(ops[i % 5], [names[i]], [names[i + 1]]) for i in range(5000)])
`;

/** Drops files on the page as a user does, but for folders, which only a hand can drop. */
async function drop(page: Page, paths: string[]): Promise<void> {
    const files = paths.map((path) => ({
        name: path.split("/").at(-1)!,
        text: readFileSync(path).toString("base64"),
    }));
    await page.evaluate((list) => {
        const data = new DataTransfer();
        for (const { name, text } of list) {
            const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            data.items.add(new File([bytes], name));
        }
        const options = { dataTransfer: data, bubbles: true, cancelable: true };
        document.body.dispatchEvent(new DragEvent("dragenter", options));
        document.body.dispatchEvent(new DragEvent("drop", options));
    }, files);
}

describe("a model of one's own", () => {
    it("is dropped anywhere", async () => {
        const visit = await site.visit();
        await drop(visit.page, [join(folder, "inside.onnx")]);
        await compiled(visit.page);
        expect(await visit.page.locator(".model-name").textContent()).toBe(
            "inside.onnx",
        );
        expectQuiet(visit);
        await visit.close();
    });

    it("gets the whole compiler where the core of it is not enough", async () => {
        const visit = await site.visit();
        const whole = () =>
            visit.requests.filter((r) => /oxide_xla-[^/]*\.wasm/.test(r));
        for (const [name, count] of [
            ["inside", 0],
            ["fused", 1],
            ["inside", 1],
        ] as const) {
            const model = join(folder, `${name}.onnx`);
            await pick(visit.page, model);
            await visit.page.locator(".model-name", { hasText: name }).waitFor();
            await compiled(visit.page);
            expect(readFileSync(await saved(visit.page, /\.py/), "utf8")).toBe(
                native(["compile", model, "--output", "-"]).out,
            );
            expect(whole().length).toBe(count);
        }
        expectQuiet(visit);
        await visit.close();
    });

    it("comes in a folder, with its data in another inside", async () => {
        const visit = await site.visit();
        await visit.page
            .locator("input[webkitdirectory]")
            .first()
            .setInputFiles(join(folder, "beside"));
        await compiled(visit.page);
        const source = readFileSync(await saved(visit.page, /\.py/), "utf8");
        const model = join(folder, "beside/net.onnx");
        expect(source).toBe(
            native(["compile", model, "--output", "-", "--weights", "safetensors"]).out,
        );
        await visit.page.getByRole("tab", { name: "Report" }).click();
        const weights = readFileSync(await saved(visit.page, /Weights \.safetensors/));
        const out = join(draft(), "m.py");
        native(["compile", model, "--output", out]);
        expect(weights.equals(readFileSync(out.replace(".py", ".safetensors")))).toBe(
            true,
        );
        expectQuiet(visit);
        await visit.close();
    });

    it("without its data says what the command line says, and opens when they come", async () => {
        const alone = join(draft(), "net.onnx");
        copyFileSync(join(folder, "beside/net.onnx"), alone);
        const visit = await site.visit();
        await pick(visit.page, alone);
        const alert = visit.page.getByRole("alert");
        await alert.waitFor();
        expect(await alert.textContent()).toContain("OX0005");
        expect(await alert.textContent()).toContain("data/w.bin");
        await drop(visit.page, [join(folder, "beside/data/w.bin")]);
        await compiled(visit.page);
        await visit.close();
    });
});

describe("what does not compile shows what the command line prints", () => {
    const cases: [name: string, make: () => string][] = [
        [
            "an invalid file",
            () => {
                const path = join(draft(), "text.onnx");
                writeFileSync(path, "this is no model\n".repeat(20));
                return path;
            },
        ],
        [
            "a truncated file",
            () => {
                const path = join(draft(), "short.onnx");
                const bytes = readFileSync(join(EXAMPLES, "digits_cnn.onnx"));
                writeFileSync(path, bytes.subarray(0, 20_000));
                return path;
            },
        ],
        ["operators that are not known", () => join(folder, "unsupported.onnx")],
        [
            "an empty file",
            () => {
                const path = join(draft(), "empty.onnx");
                writeFileSync(path, "");
                return path;
            },
        ],
    ];
    it.each(cases)("%s", async (_, make) => {
        const path = make();
        const { err, code } = native(["compile", path, "--output", "-"]);
        expect(code).not.toBe(0);
        const name = path.split("/").at(-1)!;
        const visit = await site.visit();
        await pick(visit.page, path);
        const alert = visit.page.getByRole("alert").first();
        await alert.waitFor();
        const shown = (await alert.locator(".message").allTextContents()).join("");
        const plain = (text: string) =>
            text
                .replaceAll(path, name)
                .split("\n")
                .map((line) => line.trim())
                .filter((line) => line !== "" && !/^\d+ errors?/.test(line));
        expect(plain(shown)).toEqual(plain(err));
        await visit.close();
    });
});

it("weights go to a file that the user picks where the browser has that", async () => {
    const visit = await site.visit();
    await pick(visit.page, join(folder, "inside.onnx"));
    await compiled(visit.page);
    await visit.page.evaluate(() => {
        const chunks: unknown[] = [];
        const stream = {
            write: async (chunk: unknown) => void chunks.push(chunk),
            close: async () => {
                const bytes = await new Blob(chunks as BlobPart[]).arrayBuffer();
                document.title = `saved ${bytes.byteLength}`;
            },
        };
        Object.assign(window, {
            showSaveFilePicker: async ({
                suggestedName,
            }: {
                suggestedName: string;
            }) => {
                if (suggestedName !== "inside_jax.safetensors") throw new Error("name");
                return { createWritable: async () => stream };
            },
        });
    });
    await visit.page.getByRole("tab", { name: "Report" }).click();
    await visit.page.getByRole("button", { name: /Weights \.safetensors/ }).click();
    const out = join(draft(), "m.py");
    native(["compile", join(folder, "inside.onnx"), "--output", out]);
    const { size } = statSync(out.replace(".py", ".safetensors"));
    await visit.page.waitForFunction((n) => document.title === `saved ${n}`, size);
    await visit.close();
});

it("statistics of a parameter are read from the file, of float16 too", async () => {
    const visit = await site.visit();
    await pick(visit.page, join(folder, "inside.onnx"));
    await compiled(visit.page);
    await visit.page.evaluate(() =>
        window.dispatchEvent(
            new CustomEvent("oxide-xla-select", {
                detail: { kind: "value", name: "w" },
            }),
        ),
    );
    const numbers = visit.page.locator(".details .numbers");
    await numbers.waitFor();
    const text = (await numbers.textContent()) ?? "";
    expect(text).toContain("max4.095");
    expect(text).toContain("NaN1");
    await pick(visit.page, join(folder, "half.onnx"));
    await compiled(visit.page);
    await visit.page.evaluate(() =>
        window.dispatchEvent(
            new CustomEvent("oxide-xla-select", {
                detail: { kind: "value", name: "half" },
            }),
        ),
    );
    await numbers.waitFor();
    expect(await numbers.textContent()).toContain("min-2max1mean-0.5");
    expectQuiet(visit);
    await visit.close();
});

it("shows 5,000 nodes, and scrolls through their code", async () => {
    const visit = await site.visit();
    const start = Date.now();
    await pick(visit.page, join(folder, "many.onnx"));
    await compiled(visit.page);
    console.log(`5,000 nodes: ${Date.now() - start} ms to code`);
    const code = visit.page.locator(".code");
    expect(await code.locator(".line").count()).toBeLessThan(250);
    await code.focus();
    await visit.page.keyboard.press("End");
    await visit.page.waitForTimeout(100);
    expect(await code.locator(".line.cursor").count()).toBe(1);
    expectQuiet(visit);
    await visit.close();
});

it("two models in a row: the second one is shown, whatever the first still does", async () => {
    const visit = await site.visit();
    await pick(visit.page, join(folder, "many.onnx"));
    await pick(visit.page, join(folder, "inside.onnx"));
    await compiled(visit.page);
    await visit.page.waitForTimeout(300);
    expect(await visit.page.locator(".model-name").textContent()).toBe("inside.onnx");
    const source = readFileSync(await saved(visit.page, /\.py/), "utf8");
    expect(source).toContain("inside.onnx");
    await visit.close();
});

it("a drop without a model says so", async () => {
    mkdirSync(join(folder, "none"), { recursive: true });
    for (const name of ["a.bin", "b.bin"])
        writeFileSync(join(folder, "none", name), "x");
    const visit = await site.visit();
    await drop(visit.page, [join(folder, "none/a.bin"), join(folder, "none/b.bin")]);
    await visit.page.getByText("no .onnx file among the 2 files").waitFor();
    await visit.close();
});
