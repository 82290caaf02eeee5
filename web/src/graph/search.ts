/** Search by name, operator and shape. */
import type { Report } from "../report";
import type { GraphModel } from "./model";

/** A node (entity) or a module (group) that was found. */
export interface Found {
    kind: "entity" | "group";
    id: number;
    title: string;
    detail: string;
    score: number;
}

interface Candidate extends Omit<Found, "score"> {
    /** What is searched, lower case: the title first, then names, then shapes. */
    fields: string[];
}

/** All that can be found in a model. */
export class SearchIndex {
    readonly #candidates: Candidate[] = [];

    constructor(model: GraphModel, report: Report) {
        for (const group of model.groups.slice(1)) {
            if (!group.own) continue;
            const title = group.title;
            const fields = [title, group.path, group.cls].map(plain);
            const { id, path } = group;
            this.#candidates.push({ kind: "group", id, title, detail: path, fields });
        }
        model.entities.forEach((entity, id) => {
            const node = report.nodes[id];
            const detail = node ? node.module || node.name : entity.name;
            const names = node ? [node.name, node.module ?? "", ...node.outputs] : [];
            const weights = node?.param_keys ?? [];
            const fields = [
                entity.title,
                ...names,
                ...weights,
                entity.shape,
                entity.weight,
            ];
            const found = { kind: "entity" as const, id, title: entity.title, detail };
            this.#candidates.push({ ...found, fields: fields.map(plain) });
        });
    }

    /** The best `limit` results; every word of the query must be somewhere. */
    find(query: string, limit = 60): Found[] {
        const words = plain(query).split(/\s+/).filter(Boolean);
        if (words.length === 0) return [];
        const found: Found[] = [];
        for (const candidate of this.#candidates) {
            let score = 0;
            for (const word of words) {
                const s = scoreOf(candidate.fields, word);
                if (s === 0) {
                    score = 0;
                    break;
                }
                score += s;
            }
            const { kind, id, title, detail } = candidate;
            if (score > 0) found.push({ kind, id, title, detail, score });
        }
        found.sort((a, b) => b.score - a.score);
        return found.slice(0, limit);
    }
}

/** "1x3x224" finds "1×3×224"; so do "[1, 3, 224]" and "1,3,224". */
function plain(text: string): string {
    return text
        .toLowerCase()
        .replace(/[[\]()]/g, "")
        .replace(/(\d)\s*[,x×*]\s*(?=\d)/g, "$1×");
}

function scoreOf(fields: string[], word: string): number {
    let best = 0;
    fields.forEach((field, i) => {
        const at = field.indexOf(word);
        if (at < 0) return;
        const whole = field.length === word.length ? 40 : 0;
        const start = at === 0 ? 20 : /[^a-z0-9]/.test(field[at - 1]!) ? 12 : 0;
        best = Math.max(best, 10 + whole + start + Math.max(0, 8 - i));
    });
    return best;
}
