/** What was dropped or picked: a model, and the data files beside it. */

/** A file with its path from what was dropped. */
export interface Found {
    path: string;
    file: File;
}

/** A model and its files. */
export interface Choice {
    model: Found;
    /** Other models of the same drop. */
    others: Found[];
    /** Data files by their location, a path from the model's folder. */
    beside: Map<string, File>;
}

const depth = (path: string) => path.split("/").length;
const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/") + 1);

/** Models first that are less deep, then by name. */
function byPlace(a: Found, b: Found): number {
    return depth(a.path) - depth(b.path) || (a.path < b.path ? -1 : 1);
}

/**
 * The model among `found`: `wanted`, or the first .onnx file, or the only file whatever
 * its name is. null where there is none.
 */
export function chooseModel(found: Found[], wanted?: string): Choice | null {
    const models = found.filter((f) => /\.onnx$/i.test(f.path)).sort(byPlace);
    const model =
        found.find((f) => f.path === wanted) ??
        models[0] ??
        (found.length === 1 ? found[0] : undefined);
    if (!model) return null;
    const folder = folderOf(model.path);
    const beside = new Map<string, File>();
    for (const { path, file } of found) {
        if (path !== model.path && path.startsWith(folder)) {
            beside.set(path.slice(folder.length), file);
        }
    }
    return { model, others: models.filter((m) => m !== model), beside };
}

/**
 * The data file at `location`. Files that were dropped without their folders have lost the
 * path: then the one of that name, in no folder, is meant.
 */
export function dataFile(beside: Map<string, Blob>, location: string): Blob | null {
    const exact = beside.get(location);
    if (exact) return exact;
    const name = location.slice(location.lastIndexOf("/") + 1);
    return beside.get(name) ?? null;
}

async function filesOf(entry: FileSystemEntry, found: Found[]): Promise<void> {
    if (entry.isFile) {
        const file = await new Promise<File>((resolve, reject) =>
            (entry as FileSystemFileEntry).file(resolve, reject),
        );
        found.push({ path: entry.fullPath.replace(/^\//, ""), file });
        return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
        const entries = await new Promise<FileSystemEntry[]>((resolve, reject) =>
            reader.readEntries(resolve, reject),
        );
        if (entries.length === 0) return;
        for (const inner of entries) await filesOf(inner, found);
    }
}

/** All files of a drop, those in folders too. */
export async function droppedFiles(data: DataTransfer): Promise<Found[]> {
    // The list is only there until the event is over.
    const entries = [...data.items].map((item) => item.webkitGetAsEntry());
    const plain = [...data.files];
    const found: Found[] = [];
    for (const entry of entries) if (entry) await filesOf(entry, found);
    if (found.length > 0) return found;
    return plain.map((file) => ({ path: file.name, file }));
}

/** The files of a file picker, of a folder or not. */
export function pickedFiles(list: FileList): Found[] {
    return [...list].map((file) => ({
        path: file.webkitRelativePath || file.name,
        file,
    }));
}
