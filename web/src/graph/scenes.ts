/** Scenes of a model, from a worker, or from here where there can be none. */
import { startWorker } from "../start_worker";
import workerUrl from "./layout.worker?worker&url";
import type { LayoutReply, LayoutRequest } from "./layout.worker";
import type { GraphModel } from "./model";
import { buildScene, type Scene } from "./scene";

function layoutWorker(): Worker | null {
    try {
        // A page opened from a file may not start workers; one of a single file has none.
        if (!workerUrl || location.protocol === "file:") return null;
        return startWorker(workerUrl);
    } catch {
        return null;
    }
}

/** Makes the scenes of one model; only the newest request is answered. */
export class SceneMaker {
    #worker = layoutWorker();
    #id = 0;
    #open: ReadonlySet<number> = new Set();
    #answer: ((scene: Scene) => void) | null = null;

    constructor(private readonly model: GraphModel) {
        if (!this.#worker) return;
        this.#worker.onmessage = (event: MessageEvent<LayoutReply>): void => {
            if (event.data.id === this.#id) this.#answer?.(event.data.scene);
        };
        this.#worker.onerror = (): void => this.#fallBack();
        this.#post({ type: "model", model });
    }

    #post(request: LayoutRequest): void {
        this.#worker?.postMessage(request);
    }

    #fallBack(): void {
        this.close();
        this.#answer?.(buildScene(this.model, this.#open));
    }

    /** Asks for a scene; requests that were not answered yet are forgotten. */
    request(open: ReadonlySet<number>, answer: (scene: Scene) => void): void {
        this.#id++;
        this.#open = open;
        this.#answer = answer;
        if (this.#worker) this.#post({ type: "scene", id: this.#id, open: [...open] });
        else answer(buildScene(this.model, open));
    }

    close(): void {
        this.#worker?.terminate();
        this.#worker = null;
    }
}
