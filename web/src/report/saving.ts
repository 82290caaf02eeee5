/** Saving files: to a place that the user picks, or else as a download. */
import { dataFile } from "../model/files";
import type { Part } from "../model/protocol";
import { madeUpBytes } from "../model/made_up";
import type { Opened } from "../state";
import { strings } from "../strings";

interface Picker {
    showSaveFilePicker?(options: {
        suggestedName: string;
    }): Promise<FileSystemFileHandle>;
}

const CHUNK = 4 << 20; // bytes of random weights made at once

/** Saves the parts, one after the other, as a file; false when the user thinks better. */
export async function saveParts(
    name: string,
    parts: Iterable<Blob | Uint8Array>,
): Promise<boolean> {
    const { showSaveFilePicker } = window as Picker;
    if (showSaveFilePicker) {
        try {
            const handle = await showSaveFilePicker.call(window, {
                suggestedName: name,
            });
            const stream = await handle.createWritable();
            for (const part of parts)
                await stream.write(part as FileSystemWriteChunkType);
            await stream.close();
            return true;
        } catch (error) {
            if ((error as Error).name === "AbortError") return false;
            if ((error as Error).name !== "SecurityError") throw error;
        }
    }
    const blob = new Blob([...parts] as BlobPart[], {
        type: "application/octet-stream",
    });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    return true;
}

/** Saves a text. */
export const saveText = (name: string, text: string, type: string) =>
    saveParts(name, [new Blob([text], { type })]);

/** The bytes of a weights file: slices of the model's files, which nobody reads yet. */
export function* weightBytes(
    parts: readonly Part[],
    opened: Opened,
): Generator<Blob | Uint8Array> {
    for (const part of parts) {
        if (part instanceof Uint8Array) {
            yield part;
            continue;
        }
        const { location, offset, size } = part;
        if (location !== null && location === opened.madeUp?.location) {
            for (let at = 0; at < size; at += CHUNK) {
                yield madeUpBytes(offset + at, Math.min(CHUNK, size - at));
            }
            continue;
        }
        const file =
            location === null ? opened.file : dataFile(opened.beside, location);
        if (!file) throw new Error(strings.notAmongFiles(location));
        yield file.slice(offset, offset + size);
    }
}
