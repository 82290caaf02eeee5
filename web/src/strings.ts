/** All that the page says, in English. The graph has its own strings beside it. */
import { bytesText } from "./text";

const plural = (n: number, one: string, many = `${one}s`) =>
    `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** Keys of every page. */
const EVERYWHERE = [
    ["/", "find in the code"],
    ["T", "light or dark"],
    ["Esc", "clear the selection, close"],
    ["?", "this list"],
    ["Tab", "from one part to the next; arrow keys move within it"],
] as const;

/** Every text by its use. */
export const strings = {
    title: "OxideXLA",
    playground: "playground",
    skip: "Skip to the content",
    // Welcome
    headline: "From ONNX to JAX you would have written",
    lead:
        "Open a model to see its structure, and the Python that computes the same: one " +
        "readable file that needs only JAX.",
    drop: "Drop an .onnx file here",
    dropMore: "with its data files, or the whole folder",
    dropNow: "Drop to open",
    chooseFile: "Choose files",
    chooseFolder: "Choose a folder",
    privacy: "Nothing is uploaded.",
    privacyMore:
        "The compiler runs in this page, and the page's security policy lets it connect to " +
        "nothing but its own files. It works without a network, too.",
    examples: "Or try an example",
    exampleSize: (bytes: number) => bytesText(bytes),
    exampleRandom: "random weights",
    noExamples: "The examples are missing from this build.",
    noModelIn: (n: number) => `There is no .onnx file among the ${plural(n, "file")}.`,
    // Header
    openAnother: "Open",
    closeModel: "Close the model",
    toLight: "Light colours",
    toDark: "Dark colours",
    help: "Keyboard",
    otherModels: "Model in this folder",
    madeUp: "Random weights",
    madeUpWhy: "This example comes without its weights; the page makes random ones.",
    // Views
    views: "Views",
    graph: "Graph",
    three: "3D",
    code: "Code",
    report: "Report",
    resize: "Width of the code",
    opening: (name: string) => `Reading ${name}`,
    compiling: "Compiling",
    notOpened: (name: string) => `${name} cannot be opened`,
    notCompiled: "This model does not compile",
    notCompiledOptions: "These options do not fit; below is the code from before.",
    noCode: "There is no code, because:",
    missingData: "Drop or choose the missing file, and the model opens with it.",
    addFiles: "Add files",
    tryAgain: "Open another model",
    // Options
    options: "Options of the compiler",
    target: "Target",
    targetOf: { jax: "JAX", stablehlo: "StableHLO" },
    targetWhy: {
        jax: "A Python module",
        stablehlo: "A module for XLA without Python, IREE and other compilers",
    },
    stablehloWhy:
        "JAX itself lowers the module to StableHLO, and JAX needs Python, which this page " +
        "has not. These lines write the .mlir, a .json that names its arguments, and the weights:",
    stablehloBelow: "Below is the module that JAX lowers.",
    layers: "Layers",
    layersOf: { functions: "Functions", scan: "Scan", unrolled: "Unrolled" },
    layersWhy: {
        functions: "Repeated modules become one function that a loop calls",
        scan: "Repeated modules become lax.scan over stacked parameters",
        unrolled: "Straight code, one line after the other",
    },
    params: "Params",
    paramsOf: { flat: "Flat", nested: "Nested" },
    paramsWhy: { flat: 'params["a.b"]', nested: 'params["a"]["b"]' },
    weights: "Weights",
    weightsOf: {
        safetensors: "safetensors",
        npz: "npz",
        inline: "Inline",
        none: "None",
    },
    weightsWhy: {
        safetensors: "load_params reads a .safetensors file",
        npz: "load_params reads an .npz file",
        inline: "Constants of the StableHLO module",
        none: "No weights are written",
    },
    shapes: "Shapes",
    shapeOf: (name: string) => `Shape of ${name}`,
    shapeHint: "Sizes with commas; a name leaves a size open.",
    commandLine: "The same on the command line",
    reset: "Reset",
    // Code
    codeLines: (n: number) => plural(n, "line"),
    codeLabel: "Generated JAX code",
    codeHelp:
        "Arrows move by lines, left and right fold a function, Enter selects the node of a line.",
    blank: "blank",
    copy: "Copy",
    copied: "Copied",
    find: "Find in the code",
    found: (i: number, n: number) => (n === 0 ? "no match" : `${i} of ${n}`),
    previous: "Previous match",
    next: "Next match",
    foldAll: "Fold all",
    unfoldAll: "Unfold all",
    folded: (n: number) => `${plural(n, "line")} folded`,
    changed: (n: number) => `${plural(n, "line")} changed`,
    download: "Download",
    // Details
    details: "Selection",
    clear: "Clear the selection",
    nothing: "Select a node in the graph or a line of the code to see its details.",
    operator: "Operator",
    module: "Module",
    inputs: "Inputs",
    outputs: "Outputs",
    attributes: "Attributes",
    parameters: "Parameters",
    parameter: "parameter",
    constant: "constant",
    input: "model input",
    type: "Type",
    name: "Name",
    value: "Value",
    producer: "Made by",
    consumers: "Read by",
    alike: (n: number, name: string) => `${n} × ${name}`,
    lines: (spans: readonly (readonly [number, number])[]) =>
        spans.length === 0
            ? "no line of its own"
            : `line ${spans.map(([a, b]) => (a === b ? `${a}` : `${a}–${b}`)).join(", ")}`,
    statistics: "Statistics",
    readStatistics: (bytes: number) => `Read ${bytesText(bytes)}`,
    reading: "Reading",
    notAParam: "folded into the code",
    min: "min",
    max: "max",
    mean: "mean",
    deviation: "deviation",
    nans: "NaN",
    infinities: "infinite",
    zeros: "zeros",
    histogram: (name: string) => `Histogram of ${name}`,
    // Report
    overview: "Overview",
    bytes: "Weights",
    flops: "FLOPs",
    flopsWhy: "two for each multiply-accumulate",
    activations: "Activations",
    nodes: "Nodes",
    opset: "Opset",
    assumed: (sizes: string) => `at ${sizes}`,
    byModule: "By module",
    metric: "Area shows",
    form: "Shown as",
    asTable: "Table",
    asMap: "Map",
    whole: "Whole model",
    rest: "(its own)",
    up: "One module up",
    treemapHelp: "Arrows move between modules, Enter opens one, Backspace goes up.",
    share: "Share",
    className: "Class",
    macs: "MACs",
    operators: "Operators",
    unsupported: "Unsupported operators",
    notes: "Notes",
    messages: "Messages",
    noMessages: "The compiler has nothing to say: no warnings.",
    downloads: "Downloads",
    downloadCode: "Python module",
    downloadWeights: "Weights",
    downloadReport: "This report",
    downloadsWhy:
        "The weights are put together from slices of your file; they are never in memory as a whole.",
    noWeights: "Parameters are left out of the module, as the options say.",
    saving: "Saving",
    use: "Use it",
    dtype: "dtype",
    shape: "Shape",
    size: "Size",
    madeBy: (version: string) => `Written by the playground of OxideXLA ${version}`,
    // 3D
    threeLabel: "Layers as slabs",
    threeHelp:
        "Drag or use the arrow keys to turn, + and − to zoom, Page Up and Page Down to walk through the layers.",
    threeLoading: "Loading the 3D view",
    noWebGl: "This browser draws no WebGL, which the 3D view needs.",
    threeLegend: "Kinds of operators",
    threeSlabs: (n: number, all: number) =>
        n === all
            ? plural(n, "slab")
            : `${plural(n, "slab")} for ${plural(all, "node")}`,
    resetView: "Reset the view",
    // Help
    keyboard: "Keyboard",
    close: "Close",
    keys: [
        ["O", "open files"],
        ["1 2 3 4", "graph, 3D, code, report"],
        ...EVERYWHERE,
    ] as const,
    // The page of one model
    inspector: "inspect",
    viewerKeys: [["1 3 4", "graph, code, report"], ...EVERYWHERE] as const,
};
