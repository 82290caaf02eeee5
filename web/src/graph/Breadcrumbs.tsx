/** The path from the model to what is selected. */
import type { Selection } from "./controller";
import { ancestors, type GraphModel } from "./model";
import { graphStrings } from "../strings";

interface Props {
    model: GraphModel;
    name: string;
    selection: Selection | null;
    /** The group that the selection is or is in. */
    group: number;
    /** 0: the model. */
    onGroup(group: number): void;
}

/** Buttons for the groups around the selection, and its own name. */
export function Breadcrumbs({ model, name, selection, group, onGroup }: Props) {
    const chain = ancestors(model, group).reverse();
    const node =
        selection?.kind === "node" ? model.entities[selection.node] : undefined;
    const last = selection?.kind === "value" ? selection.name : node?.title;
    return (
        <nav
            class="oxg-crumbs"
            aria-label={graphStrings.breadcrumbs}
            data-testid="breadcrumbs"
        >
            <ol>
                {chain.map((g) => {
                    const { label, cls } = model.groups[g]!;
                    const shown = g === 0 ? name || graphStrings.model : label;
                    return (
                        <li key={g}>
                            <button
                                type="button"
                                title={cls}
                                onClick={() => onGroup(g)}
                            >
                                {shown}
                            </button>
                        </li>
                    );
                })}
                {last && (
                    <li>
                        <span aria-current="true">{last}</span>
                    </li>
                )}
            </ol>
        </nav>
    );
}
