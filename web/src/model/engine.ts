/** The page's end of the compiler's worker. */
import wholeUrl from "@oxide-xla/compiler/oxide_xla.wasm?url";
import coreUrl from "@oxide-xla/compiler/oxide_xla_core.wasm?url";
import workerUrl from "./worker?worker&url";
import { startWorker } from "../start_worker";
import { strings } from "../strings";
import { Failure } from "./failure";
import type { Answer, Envelope, RequestName, Requests } from "./protocol";

const kept = new Map<string, Promise<WebAssembly.Module>>();

/**
 * A module of the compiler, fetched from beside the page, once: the core, which is enough
 * for most models, or the whole.
 */
export function compilerCode(whole = false): Promise<WebAssembly.Module> {
    const url = whole ? wholeUrl : coreUrl;
    let code = kept.get(url);
    if (!code) kept.set(url, (code = fetchCode(url)));
    return code;
}

async function fetchCode(url: string): Promise<WebAssembly.Module> {
    try {
        const response = await fetch(url);
        if (!response.ok) throw new Error(`${response.status} ${url}`);
        return await WebAssembly.compile(await response.arrayBuffer());
    } catch (error) {
        kept.delete(url);
        throw new Failure(strings.notLoaded(String(error)));
    }
}

interface Waiting {
    resolve(give: unknown): void;
    reject(failure: Failure): void;
}

/** One worker and the requests on their way to it. */
export class Engine {
    private readonly worker = startWorker(workerUrl);
    private readonly waiting = new Map<number, Waiting>();
    private next = 0;

    constructor() {
        this.worker.onmessage = (event: MessageEvent<Answer>) => {
            const answer = event.data;
            const waiting = this.waiting.get(answer.id);
            this.waiting.delete(answer.id);
            if (answer.ok) waiting?.resolve(answer.give);
            else waiting?.reject(new Failure(answer.messages));
        };
        this.worker.onerror = (event) => {
            const failure = new Failure(
                strings.stopped(event.message ?? strings.noWorker),
            );
            for (const waiting of this.waiting.values()) waiting.reject(failure);
            this.waiting.clear();
        };
    }

    /** Asks the worker; requests are answered in order. Rejects with a Failure. */
    ask<K extends RequestName>(
        name: K,
        take: Requests[K]["take"],
    ): Promise<Requests[K]["give"]> {
        const id = this.next++;
        return new Promise((resolve, reject) => {
            this.waiting.set(id, { resolve: resolve as Waiting["resolve"], reject });
            this.worker.postMessage({ id, name, take } satisfies Envelope<K>);
        });
    }

    /** Ends the worker. Requests on their way are never answered. */
    close(): void {
        this.worker.terminate();
        this.waiting.clear();
    }
}
