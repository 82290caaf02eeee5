/** What goes wrong, in the grammar of the command line. */

/**
 * Why a call failed. `model`: the file is malformed, or cannot be compiled; `unsupported`:
 * operators without an exact translation, all of which are listed; `usage`: an option that
 * does not fit the model; `io`: a file could not be read; `memory`: the limit was reached;
 * `internal`: a defect of the compiler, which has started anew since.
 */
export type Status = "model" | "unsupported" | "usage" | "io" | "memory" | "internal";

/** One message. */
export interface Diagnostic {
    severity: "error" | "warning" | "note";
    /** `OX0301`: see docs/errors.md. Empty for notes and internal errors. */
    code: string;
    /** What happened, one sentence without a full stop. */
    what: string;
    /** The file, and the node or tensor with its types; may be empty. */
    where: string;
    /** What can be done; may be empty. */
    hint: string;
    /** All of it, as the command line prints it, without a line break at its end. */
    text: string;
}

/** A model that cannot be read, described or compiled. `message` is its first error. */
export class CompileError extends Error {
    override readonly name = "CompileError";

    constructor(
        readonly status: Status,
        /** All messages, warnings among them, as the command line prints them. */
        readonly messages: string,
        options?: ErrorOptions,
    ) {
        super(firstError(messages), options);
    }

    /** The messages one by one. */
    get diagnostics(): Diagnostic[] {
        return parseMessages(this.messages);
    }
}

function firstError(text: string): string {
    const all = parseMessages(text);
    const first = all.find((d) => d.severity === "error") ?? all[0];
    return [first?.code, first?.what].filter(Boolean).join(": ");
}

const HEAD = /^(error|warning|note)(?:\[(OX\d{4})\])?: (.*)$/;

/**
 * The messages of a text. The core escapes line breaks in what comes from models, so that
 * each line begins as one of the grammar.
 */
export function parseMessages(text: string): Diagnostic[] {
    const found: Diagnostic[] = [];
    for (const line of text.split("\n")) {
        const head = HEAD.exec(line);
        const last = found.at(-1);
        if (head) {
            const [, severity, code = "", what = ""] = head;
            found.push({
                severity: severity as Diagnostic["severity"],
                code,
                what,
                where: "",
                hint: "",
                text: line,
            });
        } else if (last && line) {
            if (line.startsWith("  --> ")) last.where = line.slice(6);
            if (line.startsWith("  help: ")) last.hint = line.slice(8);
            last.text += `\n${line}`;
        }
    }
    return found;
}
