/** Lays out scenes off the main thread: a model once, then sets of open groups. */
import type { GraphModel } from "./model";
import { buildScene, type Scene } from "./scene";

/** To the worker. */
export type LayoutRequest =
    | { type: "model"; model: GraphModel }
    | { type: "scene"; id: number; open: number[] };

/** From the worker. */
export interface LayoutReply {
    id: number;
    scene: Scene;
}

let model: GraphModel | null = null;

self.onmessage = (event: MessageEvent<LayoutRequest>): void => {
    const request = event.data;
    if (request.type === "model") {
        model = request.model;
        return;
    }
    if (!model) return;
    const scene = buildScene(model, new Set(request.open));
    const reply: LayoutReply = { id: request.id, scene };
    self.postMessage(reply);
};
