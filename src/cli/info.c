/* The commands that only print: inspect, ops, errors, version. */
#include "cli/cli.h"

/* ---- inspect ----------------------------------------------------------------------- */

static int inspect_run(const Args *args) {
    static const OxFormat formats[] = {OX_ASCII, OX_JSON};
    OxCompiler *c = ox_new(NULL);
    if (!c)
        return out_of_memory();
    OxText text = {"", 0};
    OxStatus status = ox_load_file(c, args->operands[0]);
    if (status == OX_OK)
        status = ox_inspect(c, formats[args_choice(args, "format")], &text);
    bool printed = print_product(text);
    int code = report(c, status);
    ox_free(c);
    return printed ? code : EXIT_IO;
}

static const Option inspect_options[] = {
    {"format", 'f', "ascii|json", "tables for people, or JSON for programs", false},
};

const Command inspect_command = {
    .name = "inspect",
    .operands = "MODEL",
    .summary = "Describe an ONNX model: its inputs, parameters, nodes and their types.",
    .details = "MODEL is a file, or - for standard input.  Operators that cannot be\n"
               "compiled are listed; they are no error here.\n",
    .options = inspect_options,
    .n_options = OX_COUNT(inspect_options),
    .min_operands = 1,
    .max_operands = 1,
    .run = inspect_run,
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
