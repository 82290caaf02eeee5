/** The compiler's messages, in the grammar of docs/errors.md, taken apart. */

/** One message; `where` and `help` are its further lines, as printed. */
export interface Message {
    severity: "error" | "warning" | "note";
    code: string;
    text: string;
    where: string[];
    help: string[];
}

const HEAD = /^(error|warning|note)(?:\[(OX\d+)\])?: (.*)$/;

/** Takes the text apart. A line that fits nowhere belongs to the message above it. */
export function readMessages(text: string): Message[] {
    const messages: Message[] = [];
    let list: string[] | null = null;
    for (const line of text.split("\n")) {
        const head = HEAD.exec(line);
        if (head) {
            const message: Message = {
                severity: head[1] as Message["severity"],
                code: head[2] ?? "",
                text: head[3]!,
                where: [],
                help: [],
            };
            messages.push(message);
            list = message.where;
        } else if (list && line.trim() !== "") {
            if (/^\s*help: /.test(line)) list = messages.at(-1)!.help;
            list.push(line);
        }
    }
    return messages;
}
