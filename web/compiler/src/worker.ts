/** The worker in which `compile` runs when a page calls it. */
import { compile } from "./browser.js";
import type { ModelFile } from "./browser.js";
import { CompileError } from "./errors.js";
import type { Status } from "./errors.js";
import type { Compiled, QuickOptions } from "./quick.js";

/** What the page asks for. */
export interface Request {
    id: number;
    file: ModelFile;
    options: QuickOptions<ModelFile>;
}

/** What it gets: a result, a CompileError in parts, or another error's message. */
export type Answer =
    | { id: number; result: Compiled }
    | { id: number; status: Status; messages: string }
    | { id: number; failure: string };

async function answer({ id, file, options }: Request): Promise<Answer> {
    try {
        return { id, result: await compile(file, options) };
    } catch (error) {
        if (error instanceof CompileError)
            return { id, status: error.status, messages: error.messages };
        return { id, failure: String(error) };
    }
}

onmessage = async ({ data }: MessageEvent<Request>) => postMessage(await answer(data));
