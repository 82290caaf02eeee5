/* The compile command: decides where the files go; the rest is the library's. */
#include "cli/cli.h"

#include <stdlib.h>

#include "support/file.h"

typedef enum WeightsChoice {
    WEIGHTS_SAFETENSORS,
    WEIGHTS_NPZ,
    WEIGHTS_REFERENCE,
    WEIGHTS_NONE,
    WEIGHTS_INLINE /* of StableHLO */
} WeightsChoice;

typedef struct Compile {
    const Args *args;
    OxCompiler *compiler;
    OxOptions options;
    const char **shapes, **outputs, **bounds, **values; /* what options points to */
    char *outputs_text;                                 /* what outputs points to */
    char *output, *weights;                             /* paths; weights NULL: none */
} Compile;

static bool is_stdio(const char *path) {
    return strcmp(path, "-") == 0;
}

/* ---- options ----------------------------------------------------------------------- */

static char *copy(const char *text, size_t n, const char *suffix) {
    char *p = malloc(n + strlen(suffix) + 1);
    if (!p)
        return NULL;
    memcpy(p, text, n);
    memcpy(p + n, suffix, strlen(suffix) + 1);
    return p;
}

/* Length of a file name without its last extension; dots that begin it are none. */
static size_t without_extension(const char *name) {
    const char *dot = strrchr(name + strspn(name, "."), '.');
    return dot ? (size_t)(dot - name) : strlen(name);
}

static char *default_output(const char *model) {
    if (is_stdio(model))
        return copy("-", 1, "");
    const char *name = file_name(str_from(model)).p;
    return copy(name, without_extension(name), "_jax.py");
}

/* The module's name decides that of the weights, and a file of another kind is not to
 * be replaced by Python; devices and pipes may be called anything. */
static int check_output(const char *output) {
    if (!*output)
        return usage_error("", "--output needs a file name");
    if (is_stdio(output) || str_ends(str_from(output), STR(".py")))
        return EXIT_OK;
    if (file_is_special(output))
        return EXIT_OK;
    return usage_error("give the Python module a name that ends in .py",
                       "--output \"%s\" is no name of a Python module", output);
}

static int set_paths(Compile *job) {
    const char *output = args_value(job->args, "output");
    WeightsChoice choice = args_choice(job->args, "weights");
    int code = output ? check_output(output) : EXIT_OK;
    if (code != EXIT_OK)
        return code;
    job->output = output ? copy(output, strlen(output), "")
                         : default_output(job->args->operands[0]);
    if (!job->output)
        return out_of_memory();
    static const OxWeightFormat formats[] = {
        [WEIGHTS_SAFETENSORS] = OX_SAFETENSORS,
        [WEIGHTS_NPZ] = OX_NPZ,
        [WEIGHTS_REFERENCE] = OX_REFERENCE,
        [WEIGHTS_NONE] = OX_SAFETENSORS,
    };
    job->options.weights = formats[choice];
    job->options.no_load_params = choice == WEIGHTS_NONE;
    if (choice == WEIGHTS_NONE || is_stdio(job->output))
        return EXIT_OK;
    /* Where load_params looks: m.py -> m.safetensors. */
    size_t n = strlen(job->output);
    if (str_ends(str_from(job->output), STR(".py")))
        n -= 3;
    job->weights =
        copy(job->output, n, choice == WEIGHTS_NPZ ? ".npz" : ".safetensors");
    return job->weights ? EXIT_OK : out_of_memory();
}

static size_t count_given(const Args *args, const char *name) {
    size_t n = 0;
    for (size_t at = 0; args_next(args, name, &at);)
        n++;
    return n;
}

/* All values of a repeated option; NULL when memory ran out. */
static const char **all_given(const Args *args, const char *name, size_t *n) {
    size_t at = 0;
    *n = count_given(args, name);
    const char **values = calloc(*n + 1, sizeof *values);
    for (size_t i = 0; values && i < *n; i++)
        values[i] = args_next(args, name, &at);
    return values;
}

static int set_shapes(Compile *job) {
    OxOptions *o = &job->options;
    o->shapes = job->shapes = all_given(job->args, "shape", &o->shape_count);
    o->bounds = job->bounds = all_given(job->args, "bound", &o->bound_count);
    o->input_values = job->values =
        all_given(job->args, "input-value", &o->input_value_count);
    return job->shapes && job->bounds && job->values ? EXIT_OK : out_of_memory();
}

/* All lists in one string, names apart by NUL. */
static int join_outputs(Compile *job, size_t *names) {
    size_t size = 1;
    const char *list;
    for (size_t at = 0; (list = args_next(job->args, "outputs", &at));)
        size += strlen(list) + 1;
    char *p = job->outputs_text = calloc(size, 1);
    if (!p)
        return out_of_memory();
    for (size_t at = 0; (list = args_next(job->args, "outputs", &at));) {
        for (const char *end = NULL; !end || *end == ','; list = end + 1) {
            end = list + strcspn(list, ",");
            if (end == list)
                return usage_error("", "--outputs holds an empty name");
            memcpy(p, list, (size_t)(end - list));
            p += end - list + 1;
            ++*names;
        }
    }
    return EXIT_OK;
}

static int set_outputs(Compile *job) {
    size_t n = 0;
    int code = join_outputs(job, &n);
    if (code != EXIT_OK)
        return code;
    job->outputs = calloc(n + 1, sizeof *job->outputs);
    if (!job->outputs)
        return out_of_memory();
    const char *p = job->outputs_text;
    for (size_t i = 0; i < n; i++, p += strlen(p) + 1)
        job->outputs[i] = p;
    job->options.outputs = job->outputs;
    job->options.output_count = n;
    return EXIT_OK;
}

/* Writing over what is being read is never meant. */
static int check_overwrite(const char *model, const char *path) {
    if (!path || is_stdio(path) || is_stdio(model) || !file_is_same(model, path))
        return EXIT_OK;
    return usage_error("choose another --output", "\"%s\" is the model itself", path);
}

/* The map is no module: it goes to a file of its own. */
static int check_map(const Compile *job) {
    const char *map = args_value(job->args, "map");
    if (!map)
        return EXIT_OK;
    if (!*map)
        return usage_error("", "--map needs a file name");
    if (is_stdio(map) && is_stdio(job->output))
        return usage_error("give one of them a file",
                           "--map and --output are both standard output");
    if (strcmp(map, job->output) == 0 ||
        (job->weights && strcmp(map, job->weights) == 0))
        return usage_error("choose another --map", "\"%s\" is written already", map);
    return check_overwrite(job->args->operands[0], map);
}

static int set_options(Compile *job) {
    const Args *args = job->args;
    job->options.size = sizeof job->options;
    job->options.params =
        args_choice(args, "params") ? OX_PARAMS_NESTED : OX_PARAMS_FLAT;
    job->options.layers = (OxLayers)args_choice(args, "layers");
    job->options.rank_promotion = (OxRankPromotion)args_choice(args, "rank-promotion");
    job->options.sharding = (OxSharding)args_choice(args, "sharding");
    job->options.loader = (OxLoader)args_choice(args, "loader");
    job->options.dump = args_value(args, "dump");
    job->options.cache = args_value(args, "cache");
    int code = set_paths(job);
    if (code == EXIT_OK)
        code = set_shapes(job);
    if (code == EXIT_OK)
        code = set_outputs(job);
    if (code == EXIT_OK)
        code = check_overwrite(args->operands[0], job->output);
    if (code == EXIT_OK)
        code = check_overwrite(args->operands[0], job->weights);
    if (code == EXIT_OK)
        code = check_map(job);
    return code;
}

/* ---- results ----------------------------------------------------------------------- */

static OxStatus write_files(Compile *job) {
    OxCompiler *c = job->compiler;
    bool has_params = ox_param_count(c) > 0;
    if (!job->weights && has_params && !job->options.no_load_params)
        fputs("note: the weights were not written: give --output FILE to get both\n",
              stderr);
    if (is_stdio(job->output) && ox_loader_source(c).size)
        fputs("note: the module imports " OX_LOADER_FILE
              ", which was not written: give "
              "--output FILE to get both\n",
              stderr);
    signals_begin(c);
    OxStatus status =
        ox_write_module(c, job->output, has_params ? job->weights : NULL,
                        job->options.weights, args_flag(job->args, "force"));
    const char *map = args_value(job->args, "map");
    if (status == OX_OK && map)
        status = ox_write_line_map(c, map);
    signals_end();
    return status;
}

/* What was written, and what to do with it; nothing when the module itself was printed. */
static void say_done(const Compile *job) {
    const char *model = job->args->operands[0];
    if (is_stdio(job->output) || args_flag(job->args, "quiet"))
        return;
    fputs("wrote ", stderr);
    print_name(stderr, job->output);
    if (ox_loader_source(job->compiler).size)
        fputs(", " OX_LOADER_FILE " beside it", stderr);
    if (job->weights && ox_param_count(job->compiler) > 0) {
        fputs(" and ", stderr);
        print_name(stderr, job->weights);
    }
    fprintf(stderr, ": %s\n", ox_summary(job->compiler).data);
    /* verify would compile the model as it is. */
    bool as_is = !is_stdio(model) && !job->options.cache;
    fputs(as_is ? "next: oxide_xla verify " : "next: python -i ", stderr);
    print_name(stderr, as_is ? model : job->output);
    fputs(as_is ? " compares it with onnxruntime\n"
                : " shows how to call it: help(forward)\n",
          stderr);
}

static void print_timings(const OxCompiler *c) {
    double total = 0, peak = host_peak_memory();
    OxTiming t;
    for (size_t i = 0; (t = ox_timing(c, i)).stage; i++) {
        fprintf(stderr, "%-10s %10.3f ms\n", t.stage, t.seconds * 1e3);
        total += t.seconds;
    }
    fprintf(stderr, "%-10s %10.3f ms\n", "total", total * 1e3);
    if (peak > 0)
        fprintf(stderr, "%-10s %10.3f MB\n", "memory", peak / 1e6);
}

static OxStatus compile(Compile *job) {
    OxCompiler *c = job->compiler;
    OxStatus status = ox_load_file(c, job->args->operands[0]);
    if (status == OX_OK)
        status = ox_compile(c, &job->options);
    OxText dump = ox_dump(c);
    fwrite(dump.data, 1, dump.size, stderr);
    return status == OX_OK ? write_files(job) : status;
}

static int compile_with_options(Compile *job) {
    job->compiler = ox_new(NULL);
    if (!job->compiler)
        return out_of_memory();
    OxStatus status = compile(job);
    int code = report(job->compiler, status);
    if (status == OX_OK)
        say_done(job);
    if (args_flag(job->args, "timings"))
        print_timings(job->compiler);
    ox_free(job->compiler);
    return code;
}

/* Options of the other target would be ignored. */
static int check_target(const Args *args) {
    static const char *const names[] = {"format", "platforms", "constraint",
                                        "artifact-version", "x64"};
    for (size_t i = 0; i < OX_COUNT(names); i++)
        if (args_flag(args, names[i]))
            return usage_error("", "--%s is for --target stablehlo", names[i]);
    if (args_choice(args, "loader") && args_choice(args, "weights") == WEIGHTS_NONE)
        return usage_error("",
                           "--loader module with --weights none has nothing to load");
    if (args_choice(args, "weights") == WEIGHTS_INLINE)
        return usage_error("", "--weights inline is for --target stablehlo");
    return EXIT_OK;
}

static int compile_run(const Args *args) {
    if (args_choice(args, "target") != 0)
        return compile_to_stablehlo(args);
    int code = check_target(args);
    if (code != EXIT_OK)
        return code;
    Compile job = {.args = args};
    code = set_options(&job);
    if (code == EXIT_OK)
        code = compile_with_options(&job);
    free(job.shapes);
    free(job.bounds);
    free(job.values);
    free(job.outputs);
    free(job.outputs_text);
    free(job.output);
    free(job.weights);
    return code;
}

static const Option options[] = {
    {"output", 'o', "FILE",
     "the Python module (default: MODEL's stem + _jax.py), or the StableHLO module "
     "(stem + .mlir)",
     false},
    {"target", 't', "jax|stablehlo",
     "what to generate: Python, or StableHLO by JAX's lowering (needs JAX)", false},
    {"params", 'p', "flat|nested", "params[\"a.b\"] or params[\"a\"][\"b\"]", false},
    {"layers", 'l', "functions|scan|unrolled",
     "repeated modules: one function each, lax.scan over stacked parameters, or "
     "straight code",
     false},
    {"sharding", 0, "auto|on|off",
     "rules for meshes of devices in the module (auto: for models with repeated blocks "
     "that tensor parallelism can split)",
     false},
    {"weights", 'w', "safetensors|npz|reference|none|inline",
     "format of the weights file; reference: an index into the model's own files; "
     "inline: constants of the StableHLO module",
     false},
    {"loader", 0, "inline|module",
     "what reads and writes weights: code of the module, or safetensors_io.py beside "
     "it, "
     "which models share",
     false},
    {"shape", 's', "NAME=D,D,...", "give an input a shape; a name or ? stays open",
     true},
    {"input-value", 'i', "NAME=VALUE",
     "fix an input: 3, true, 0.5, [1,2]; forward then does not take it", true},
    {"bound", 'b', "NAME=N", "pad a value whose size depends on data to N, for jax.jit",
     true},
    {"cache", 'c', "PAST=PRESENT:N",
     "make a decoder with past and present a step with a cache of length N", false},
    {"rank-promotion", 0, "allow|raise",
     "the jax_numpy_rank_promotion that the module runs under: x + b, or x + b[None]",
     false},
    {"map", 0, "FILE",
     "which lines of the module come from which nodes, as JSON (- for standard output)",
     false},
    {"outputs", 0, "NAME,NAME,...", "return these values instead of the outputs", true},
    {"format", 0, "text|bytecode|portable",
     "StableHLO as text, MLIR bytecode, or an artifact for other versions", false},
    {"platforms", 0, "cpu,cuda,...", "StableHLO for these platforms (default: cpu)",
     false},
    {"constraint", 0, "TEXT",
     "StableHLO: what holds for open sizes, as \"seq >= 8\" or \"mod(seq, 2) == 0\"",
     true},
    {"artifact-version", 0, "X.Y.Z", "StableHLO that is to read --format portable",
     false},
    {"x64", 0, NULL, "StableHLO: keep 64-bit types; else they become 32-bit", false},
    {"force", 'f', NULL, "replace what compile did not write", false},
    {"quiet", 'q', NULL, "do not say what was written", false},
    {"dump", 0, "PASS", "print the graph after a pass to standard error", false},
    {"timings", 0, NULL, "print the time of each stage, and the memory used", false},
};

const Command compile_command = {
    .name = "compile",
    .operands = "MODEL",
    .summary = "Compile an ONNX model to a Python module for JAX and its weights.",
    .details =
        "MODEL is a file, or - for standard input.  The weights go beside the module:\n"
        "m.py and m.safetensors.  With --output -, the default for standard input, "
        "the\n"
        "module goes to standard output and no weights are written.  Files appear "
        "when\n"
        "complete, or not at all.\n"
        "\n"
        "With --weights reference no weights are copied: m.safetensors says where "
        "they\n"
        "lie in the files of the model, and holds only those that lie nowhere as they\n"
        "are.  load_params fails when those files are gone or others.\n"
        "\n"
        "--input-value decides at compile time what an input would decide at run "
        "time:\n"
        "the branch of an If, the shape of a Reshape.  Lists are written as in Python; "
        "a\n"
        "number will do for an input of one element.\n"
        "\n"
        "--bound is for the outputs of NonZero, Unique, Compress and\n"
        "NonMaxSuppression, and for a Range, Expand or ConstantOfShape of a computed\n"
        "length.  What there is comes first; the module's docstring says what fills "
        "the\n"
        "rest, and results past the bound are left out.  What follows ignores the\n"
        "padding; where it cannot, that is an error.\n"
        "\n"
        "--cache \"past_key_values.*=present.*:512\" is for decoders that take keys "
        "and\n"
        "values of the past and give them with new ones appended: forward then writes\n"
        "into arrays of a fixed length, which init_cache makes.  attention_mask and\n"
        "position_ids follow from position and start.  docs/guides/decoding.md has "
        "more.\n"
        "\n"
        "With --target stablehlo, m.mlir is beside m.json, which names arguments and\n"
        "results, and m.safetensors.  docs/stablehlo.md says how to run it.\n",
    .options = options,
    .n_options = OX_COUNT(options),
    .min_operands = 1,
    .max_operands = 1,
    .run = compile_run,
};
