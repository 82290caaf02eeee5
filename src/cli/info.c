/* The commands that only print: inspect, diff, ops, errors, version. */
#include "cli/cli.h"

#include <stdlib.h>

/* ---- inspect ----------------------------------------------------------------------- */

static int inspect_run(const Args *args) {
    static const OxFormat formats[] = {OX_ASCII, OX_JSON, OX_DOT, OX_MERMAID, OX_HTML};
    if (args_flag(args, "lines") && formats[args_choice(args, "format")] != OX_JSON)
        return usage_error("", "--lines is for --format json");
    OxCompiler *c = ox_new(NULL);
    const char **shapes = calloc(args->n_given + 1, sizeof *shapes);
    if (!c || !shapes)
        return out_of_memory();
    OxInspectOptions options = {
        .size = sizeof options,
        .format = formats[args_choice(args, "format")],
        .layers = args_flag(args, "layers"),
        .color = use_color(stdout),
        .width = terminal_width(stdout),
        .shapes = shapes,
        .lines = args_flag(args, "lines"),
    };
    size_t at = 0;
    for (const char *shape; (shape = args_next(args, "shape", &at));)
        shapes[options.shape_count++] = shape;
    OxText text = {"", 0};
    OxStatus status = ox_load_file(c, args->operands[0]);
    if (status == OX_OK)
        status = ox_inspect(c, &options, &text);
    free(shapes);
    bool printed = print_product(text);
    int code = report(c, status);
    ox_free(c);
    return printed ? code : EXIT_IO;
}

static const Option inspect_options[] = {
    {"format", 'f', "ascii|json|dot|mermaid|html",
     "one screen for people, JSON for programs, a drawing of the modules, or a page to "
     "look around in, with the code",
     false},
    {"layers", 0, NULL, "every parameter and node, not one screen", false},
    {"lines", 0, NULL, "json: which lines of the module each node becomes, too", false},
    {"shape", 's', "NAME=DIMS", "describe it with another input shape: x=1,3,h,w",
     true},
};

const Command inspect_command = {
    .name = "inspect",
    .operands = "MODEL",
    .summary = "Describe an ONNX model: its inputs, parameters, modules and work.",
    .details =
        "MODEL is a file, or - for standard input.  Work is counted in\n"
        "multiply-accumulates (MACs) of convolutions, matrix products, attention\n"
        "and recurrent layers.  Operators that cannot be compiled are listed; they\n"
        "are no error here.\n",
    .options = inspect_options,
    .n_options = OX_COUNT(inspect_options),
    .min_operands = 1,
    .max_operands = 1,
    .run = inspect_run,
};

/* ---- diff -------------------------------------------------------------------------- */

enum { EXIT_DIFFERENT = 1 };

/* Models that cannot be read are no answer, and so no 1. */
static int failed(OxCompiler *a, OxCompiler *b, OxStatus status) {
    int code = report(a, status);
    (void)report(b, status);
    return code == EXIT_MODEL ? EXIT_IO : code;
}

static int compare(const Args *args, OxCompiler *a, OxCompiler *b) {
    static const OxFormat formats[] = {OX_ASCII, OX_JSON};
    OxDiffOptions options = {
        .size = sizeof options,
        .format = formats[args_choice(args, "format")],
        .color = use_color(stdout),
        .width = terminal_width(stdout),
    };
    OxText text = {"", 0};
    bool equal = false;
    if (strcmp(args->operands[0], "-") == 0 && strcmp(args->operands[1], "-") == 0)
        return usage_error("", "both models cannot come from standard input");
    OxStatus status = ox_load_file(a, args->operands[0]);
    if (status == OX_OK)
        status = ox_load_file(b, args->operands[1]);
    if (status == OX_OK)
        status = ox_diff(a, b, &options, &equal, &text);
    if (status != OX_OK)
        return failed(a, b, status);
    if (!print_product(text))
        return EXIT_IO;
    (void)report(a, OX_OK);
    (void)report(b, OX_OK);
    return equal ? EXIT_OK : EXIT_DIFFERENT;
}

static int diff_run(const Args *args) {
    OxCompiler *a = ox_new(NULL), *b = ox_new(NULL);
    int code = a && b ? compare(args, a, b) : out_of_memory();
    ox_free(a);
    ox_free(b);
    return code;
}

static const Option diff_options[] = {
    {"format", 'f', "ascii|json", "for people or for programs", false},
};

const Command diff_command = {
    .name = "diff",
    .operands = "MODEL OTHER",
    .summary = "Show how two ONNX models differ, and whether their weights are equal.",
    .details =
        "Compares opsets, inputs, outputs, modules, nodes and parameters.  Nodes are\n"
        "matched by their module and what they do, whatever they are called.\n"
        "\n"
        "exit codes: 0 no difference, 1 there are some, 2 wrong use, 3 a model cannot "
        "be\n"
        "read\n",
    .options = diff_options,
    .n_options = OX_COUNT(diff_options),
    .min_operands = 2,
    .max_operands = 2,
    .run = diff_run,
};

/* ---- ops --------------------------------------------------------------------------- */

static int ops_run(const Args *args) {
    static const OxFormat formats[] = {OX_ASCII, OX_JSON, OX_MARKDOWN};
    OxCompiler *c = ox_new(NULL);
    if (!c)
        return out_of_memory();
    OxText text;
    const char *name = args->n_operands ? args->operands[0] : NULL;
    OxStatus status = ox_ops(c, name, formats[args_choice(args, "format")], &text);
    bool printed = print_product(text);
    int code = report(c, status);
    ox_free(c);
    return printed ? code : EXIT_IO;
}

static const Option ops_options[] = {
    {"format", 'f', "ascii|json|md", "how to print them", false},
};

const Command ops_command = {
    .name = "ops",
    .operands = "[NAME]",
    .summary = "List the operators that compile, or show one of them.",
    .options = ops_options,
    .n_options = OX_COUNT(ops_options),
    .max_operands = 1,
    .run = ops_run,
};

/* ---- errors, version --------------------------------------------------------------- */

static int errors_run(const Args *args) {
    (void)args;
    OxCompiler *c = ox_new(NULL);
    if (!c)
        return out_of_memory();
    bool printed = print_product(ox_errors_doc(c));
    ox_free(c);
    return printed ? EXIT_OK : EXIT_IO;
}

const Command errors_command = {
    .name = "errors",
    .operands = "",
    .summary = "Explain the codes of all messages (Markdown).",
    .run = errors_run,
};

static int version_run(const Args *args) {
    (void)args;
    char text[64];
    int n = snprintf(text, sizeof text, "oxide_xla %s\n", ox_version());
    return print_product((OxText){text, (size_t)n}) ? EXIT_OK : EXIT_IO;
}

const Command version_command = {
    .name = "version",
    .operands = "",
    .summary = "Print the version.",
    .run = version_run,
};
