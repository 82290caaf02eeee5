/**
 * What a page has beside the views of a model that are always there.  The playground has
 * all of it; the page of one model (web/src/viewer) has no compiler and no file to read.
 */
import { createContext } from "preact";
import type { ComponentType } from "preact";
import type { GraphViewProps } from "../graph";

/** Components that need the compiler, the model's file, or much code. */
export interface PageParts {
    /** The options above the code. */
    Options?: ComponentType;
    /** Statistics of a parameter. */
    Statistics?: ComponentType<{ name: string; bytes: number }>;
    /** The card of downloads. */
    Downloads?: ComponentType;
    /** The 3D view. */
    Three?: ComponentType<Omit<GraphViewProps, "highlight">>;
}

/** The parts of this page. */
export const Parts = createContext<PageParts>({});
