/** The graph view and what other parts of the page use of it. */
export type { Selection } from "./controller";
export { countText, dtypeText, shapeText, typeText } from "./format";
export { type Category, classCategory, operatorCategory } from "./categories";
export { GraphView, type GraphViewProps } from "./GraphView";
export type { GraphHook, HookBox } from "./hook";
