/**
 * The compiler, in a thread of its own: files are read there as slices, synchronously.
 * One worker holds one model; the page ends it to open another.
 */
import { blobBytes, CompileError, Compiler, coreIsEnough } from "@oxide-xla/compiler";
import type { Bytes, Model } from "@oxide-xla/compiler";
import { dataFile } from "./files";
import { madeUpBytes } from "./made_up";
import type { Answer, Compiled, Envelope, RequestName, Requests } from "./protocol";
import { statisticsOf } from "./statistics";

let model: Model | null = null;
let compiled: Compiled | null = null;

function opened(): Model {
    if (!model) throw new Error("no model is open");
    return model;
}

type Handlers = {
    [K in RequestName]: (
        take: Requests[K]["take"],
    ) => Requests[K]["give"] | Promise<Requests[K]["give"]>;
};

const handlers: Handlers = {
    async open({ wasm, whole, file, name, beside, madeUp }) {
        const compiler = await Compiler.load(wasm);
        const files = new Map(beside);
        const find = (location: string): Bytes | null => {
            if (location === madeUp?.location)
                return { size: madeUp.size, read: madeUpBytes };
            const found = dataFile(files, location);
            return found ? blobBytes(found) : null;
        };
        try {
            model = compiler.open(blobBytes(file), name, find);
            const report = model.inspect();
            if (whole || coreIsEnough(report)) return { report };
        } catch (error) {
            // What is wrong with a model the whole compiler says, which knows more names.
            if (whole) throw error;
        }
        model?.free();
        model = null;
        return null;
    },
    inspect: ({ shapes }) => opened().inspect({ shapes }),
    compile(options) {
        const { source, summary, messages, params, lineMap } =
            opened().compile(options);
        compiled = { source, summary, messages, params, lineMap };
        return compiled;
    },
    statistics({ key }) {
        const index = compiled?.params.findIndex((param) => param.key === key) ?? -1;
        const param = compiled?.params[index];
        if (!param) throw new Error(`no parameter ${key} in the module`);
        const count = param.shape.reduce((product, size) => product * size, 1);
        const read = (offset: number, length: number) =>
            opened().readParam(index, offset, length);
        return statisticsOf(param.dtype, count, read);
    },
    weights: ({ format }) => opened().weights(format),
};

/** What the command line would print of an error. */
function messagesOf(error: unknown): string {
    if (error instanceof CompileError) return error.messages;
    return `error: ${error instanceof Error ? error.message : String(error)}\n`;
}

async function answer({ id, name, take }: Envelope): Promise<Answer> {
    try {
        const handle = handlers[name] as (take: unknown) => unknown;
        return { id, ok: true, give: await handle(take) };
    } catch (error) {
        return { id, ok: false, messages: messagesOf(error) };
    }
}

let queue = Promise.resolve();
addEventListener("message", (event: MessageEvent<Envelope>) => {
    queue = queue.then(async () => postMessage(await answer(event.data)));
});
