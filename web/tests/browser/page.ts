// A browser with the page, and what tests do with it.
import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
    chromium,
    type Browser,
    type BrowserContextOptions,
    type Page,
} from "playwright-core";
import { expect } from "vitest";
import { serve, type Server } from "./server";

export const ROOT = resolve(import.meta.dirname, "../../..");
export const EXAMPLES = join(ROOT, "build/web-examples");
export const PYTHON = join(ROOT, ".venv/bin/python");
const PROGRAM = process.env.OXIDE_XLA ?? join(ROOT, "build/oxide_xla");

const ARGUMENTS =
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run " +
    "--disable-background-networking --disable-component-update --disable-sync " +
    "--enable-unsafe-swiftshader --force-color-profile=srgb --hide-scrollbars";

/** A page that is open, with all that went wrong in it. */
export interface Visit {
    page: Page;
    problems: string[];
    requests: string[];
    close(): Promise<void>;
}

/** A browser and a server for the tests of a file. */
export class Site {
    private constructor(
        readonly browser: Browser,
        readonly server: Server,
    ) {}

    static async start(): Promise<Site> {
        const browser = await chromium.launch({
            executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
            args: ARGUMENTS.split(" "),
            timeout: 120_000,
        });
        return new Site(browser, await serve());
    }

    async stop(): Promise<void> {
        await this.browser.close();
        await this.server.close();
    }

    /** Opens the playground, or another page, in a window of its own. */
    async visit(
        options: BrowserContextOptions = {},
        address = this.server.address,
    ): Promise<Visit> {
        const context = await this.browser.newContext({
            viewport: { width: 1280, height: 800 },
            serviceWorkers: "block",
            acceptDownloads: true,
            reducedMotion: "reduce",
            ...options,
        });
        context.setDefaultTimeout(30_000);
        const page = await context.newPage();
        const problems: string[] = [];
        const requests: string[] = [];
        page.on("pageerror", (error) => problems.push(String(error)));
        page.on("console", (message) => {
            // What the test's own browser says: no service worker, WebGL in software.
            if (/blocked by Playwright|^\[\.WebGL/.test(message.text())) return;
            if (message.type() === "error" || message.type() === "warning")
                problems.push(message.text());
        });
        context.on("request", (request) =>
            requests.push(`${request.method()} ${request.url()}`),
        );
        // Downloads go the way that works without a dialog.
        await page.addInitScript(() => {
            delete (window as { showSaveFilePicker?: unknown }).showSaveFilePicker;
        });
        await page.goto(address);
        return { page, problems, requests, close: () => context.close() };
    }
}

/** Waits until the code of the open model is there. */
export async function compiled(page: Page): Promise<void> {
    await page.locator(".code-pane[aria-busy=false] .code").waitFor();
}

/** Opens a bundled example by its title. */
export async function openExample(page: Page, title: string): Promise<void> {
    await page.getByRole("button", { name: title }).click();
    await compiled(page);
}

/** Puts files into the file picker. */
export async function pick(page: Page, paths: string | string[]): Promise<void> {
    await page
        .locator("input[type=file]:not([webkitdirectory])")
        .first()
        .setInputFiles(paths);
}

/** The bytes of what a click on the button saves. */
export async function saved(page: Page, button: RegExp): Promise<string> {
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: button }).last().click();
    return (await download).path();
}

/** Runs the native program; what it wrote and how it ended. */
export function native(args: string[]): { out: string; err: string; code: number } {
    try {
        const out = execFileSync(PROGRAM, args, {
            encoding: "utf8",
            stdio: "pipe",
            maxBuffer: 1e9,
        });
        return { out, err: "", code: 0 };
    } catch (error) {
        const { stdout, stderr, status } = error as {
            stdout: string;
            stderr: string;
            status: number;
        };
        return { out: stdout, err: stderr, code: status };
    }
}

/** A folder of the test's own. */
export const draft = () => mkdtempSync(join(tmpdir(), "playground-"));

/** What Python says of a script. */
export function python(script: string, ...args: string[]): string {
    return execFileSync(PYTHON, ["-c", script, ...args], {
        encoding: "utf8",
        cwd: ROOT,
        env: { ...process.env, PYTHONPATH: "tools:tests:bridge", JAX_PLATFORMS: "cpu" },
        maxBuffer: 1e9,
    });
}

/** Nothing was written to the console. */
export function expectQuiet(visit: Visit): void {
    expect(visit.problems).toEqual([]);
}
