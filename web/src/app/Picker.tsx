/** Buttons that open the file picker. */
import { useRef } from "preact/hooks";
import { pickedFiles } from "../model/files";
import { openFiles } from "../session";
import { strings } from "../strings";
import { Icons } from "./icons";

/** A button for files, or for a folder. */
export function Picker(props: { folder?: boolean; class?: string; label?: string }) {
    const { folder = false, label } = props;
    const input = useRef<HTMLInputElement>(null);
    return (
        <>
            <button
                type="button"
                class={`button ${props.class ?? ""}`}
                data-open={folder ? undefined : ""}
                onClick={() => input.current?.click()}
            >
                {folder ? Icons.folder : Icons.file}
                <span>
                    {label ?? (folder ? strings.chooseFolder : strings.chooseFile)}
                </span>
            </button>
            <input
                ref={input}
                type="file"
                hidden
                multiple
                {...(folder ? { webkitdirectory: true } : {})}
                onChange={(event) => {
                    const { files } = event.currentTarget;
                    const picked = files ? pickedFiles(files) : [];
                    event.currentTarget.value = "";
                    void openFiles(picked);
                }}
            />
        </>
    );
}
