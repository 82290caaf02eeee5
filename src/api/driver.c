/* The driver: each stage in order, with its time; the first that reports an error is
 * the last to run. */
#include "api/api.h"

#include "inspect/inspect.h"
#include "onnx/fingerprint.h"
#include "onnx/import.h"
#include "passes/pipeline.h"
#include "passes/sizes/sizes.h"
#include "support/nearest.h"

/* No struct of options is larger, whatever a later header adds. */
#define OPTIONS_LIMIT 4096

typedef struct Job {
    OxCompiler *c;
    OxOptions options; /* as this library knows them: see take_options */
    Model *model;
    double pass_start;
} Job;

/* ---- options -----------------------------------------------------------------------
 */

static bool refuse_size(OxCompiler *c, const char *why, const char *type, size_t size) {
    diag_add(&c->diags, OX0003, STR(""),
             arena_printf(&c->arena,
                          "set it to sizeof(%s) and the rest to zero; a field that a "
                          "newer header has needs a library as new",
                          type),
             "%s.size is %zu: %s", type, size, why);
    return false;
}

/* The caller's options in the struct of this library, which is zero but for its size:
 * `size`, the first field of both, says how many bytes of it the caller knows.  NULL is
 * the defaults; false after a message. */
static bool take_options(OxCompiler *c, void *options, const void *given,
                         const char *type) {
    size_t size, known;
    if (!given)
        return true;
    memcpy(&size, given, sizeof size);
    memcpy(&known, options, sizeof known);
    if (size < sizeof size || size > OPTIONS_LIMIT)
        return refuse_size(c, "the struct was not initialised", type, size);
    const char *bytes = given;
    for (size_t i = known; i < size; i++)
        if (bytes[i])
            return refuse_size(c, "it has a field that is not known here", type, size);
    memcpy(options, bytes, size < known ? size : known);
    return true;
}

static Str did_you_mean(Arena *a, const Nearest *nearest) {
    if (nearest->best.n == 0)
        return STR("");
    return arena_printf(a, "did you mean \"%.*s\"?", (int)nearest->best.n,
                        nearest->best.p);
}

static bool check_dump(OxCompiler *c, const char *dump) {
    if (!dump)
        return true;
    Text known = {.arena = &c->arena};
    for (size_t i = 0; pass_name(i); i++) {
        if (strcmp(pass_name(i), dump) == 0)
            return true;
        text_printf(&known, "%s%s", i ? ", " : "the passes are ", pass_name(i));
    }
    diag_add(&c->diags, OX0003, STR(""), text_view(&known), "there is no pass \"%s\"",
             dump);
    return false;
}

/* Calls visit on every value of the graph itself; those of subgraphs are out of reach
 * for a caller of forward. */
static void each_value(const Graph *g, void (*visit)(void *user, Value *v),
                       void *user) {
    for (size_t i = 0; i < g->n_inputs; i++)
        visit(user, g->inputs[i]);
    for (size_t i = 0; i < g->n_params; i++)
        visit(user, g->params[i]);
    for (size_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i]->n_out; k++)
            if (g->nodes[i]->out[k])
                visit(user, g->nodes[i]->out[k]);
}

/* `user` is a map of the wanted names, each to a Value * that is still NULL. */
static void take_value(void *user, Value *v) {
    Value **place = map_get(user, v->name);
    if (place && !*place)
        *place = v;
}

static void offer_name(void *user, Value *v) {
    nearest_offer(user, v->name);
}

static void report_no_value(OxCompiler *c, const Graph *g, Str name) {
    Nearest nearest = {.wanted = name};
    each_value(g, offer_name, &nearest);
    diag_add(&c->diags, OX0003, STR(""), did_you_mean(&c->arena, &nearest),
             "the graph has no value \"%.*s\" to make an output", (int)name.n, name.p);
}

static void override_outputs(Job *job) {
    OxCompiler *c = job->c;
    Graph *g = job->model->graph;
    size_t n = job->options.output_count;
    Map wanted = {.arena = &c->arena};
    Value **outputs = ARENA_ARRAY(&c->arena, n, Value *);
    Str *names = ARENA_ARRAY(&c->arena, n, Str);
    if (!outputs || !names)
        return;
    for (size_t i = 0; i < n; i++) {
        names[i] = arena_str(&c->arena, str_from(job->options.outputs[i]));
        if (!map_get(&wanted, names[i]))
            (void)map_set(&wanted, names[i], &outputs[i]);
    }
    each_value(g, take_value, &wanted);
    for (size_t i = 0; i < n; i++) {
        Value **value = map_get(&wanted, names[i]);
        if (value && *value)
            outputs[i] = *value;
        else
            report_no_value(c, g, names[i]);
    }
    if (diag_status(&c->diags) != OX_OK)
        return;
    g->outputs = outputs;
    g->output_names = names;
    g->n_outputs = n;
    graph_count_uses(job->model);
}

/* ---- stages ------------------------------------------------------------------------
 */

static void run_import(Job *job) {
    OxCompiler *c = job->c;
    job->model = graph_import(&c->arena, &c->diags, c->pb, c->file);
}

/* Both say what padding means, of one model. */
static bool check_cache(OxCompiler *c, const OxOptions *o) {
    if (!o->cache || !o->bound_count)
        return true;
    diag_add(&c->diags, OX0003, STR(""), STR("leave one of them out"),
             "--cache does not go with --bound");
    return false;
}

/* There would be nothing to put into the other file. */
static bool check_loader(OxCompiler *c, const OxOptions *o) {
    if (o->loader != OX_LOADER_MODULE || !o->no_load_params)
        return true;
    diag_add(&c->diags, OX0003, STR(""), STR("leave one of them out"),
             "a module without load_params (--weights none) has no --loader module");
    return false;
}

static void run_options(Job *job) {
    const OxOptions *o = &job->options;
    if (!check_dump(job->c, o->dump) || !check_loader(job->c, o) ||
        !check_cache(job->c, o))
        return;
    if (o->weights == OX_REFERENCE && !o->no_load_params && !api_can_refer(job->c))
        return;
    job->model->unrolled = o->layers == OX_LAYERS_UNROLLED;
    if (o->output_count)
        override_outputs(job);
    bool compares = o->shape_count || o->bound_count;
    Overrides overrides = {o->shapes, o->shape_count, o->input_values,
                           o->input_value_count,
                           compares ? model_copy(job->model, &job->c->diags) : NULL};
    if (compares && !overrides.untouched)
        return;
    if (o->shape_count)
        infer_check_overrides(job->model, &overrides);
    for (size_t i = 0; i < o->shape_count && diag_status(&job->c->diags) == OX_OK; i++)
        infer_override_input(job->model, str_from(o->shapes[i]));
    for (size_t i = 0; i < o->input_value_count && diag_status(&job->c->diags) == OX_OK;
         i++)
        infer_give_input(job->model, str_from(o->input_values[i]));
    for (size_t i = 0; i < o->bound_count; i++)
        infer_bound_value(job->model, str_from(o->bounds[i]));
    if (o->bound_count && diag_status(&job->c->diags) == OX_OK)
        infer_hide_padding(job->model, &overrides);
    if (o->cache && diag_status(&job->c->diags) == OX_OK)
        infer_step(job->model, str_from(o->cache));
}

static void run_infer(Job *job) {
    infer_model(job->model);
}

static void time_pass(void *user, const char *pass, bool start) {
    Job *job = user;
    if (start)
        job->pass_start = api_clock();
    else if (strcmp(pass, "import") != 0) /* there for --dump, timed by us */
        api_timing(job->c, pass, job->pass_start);
}

static void run_passes(Job *job) {
    Text dump = {.arena = &job->c->arena};
    PassOptions options = {
        .dump = job->options.dump,
        .dump_text = &dump,
#ifdef OX_DEBUG
        .verify = true,
#endif
        .timing = time_pass,
        .user = job,
    };
    passes_run(job->model, &options);
    job->c->dump = text_view(&dump);
}

static void run_fingerprint(Job *job) {
    OxCompiler *c = job->c;
    if (c->fingerprint.n)
        return;
    c->fingerprint = model_fingerprint(&c->arena, c->pb);
}

static void run_codegen(Job *job) {
    const OxOptions *o = &job->options;
    CodegenOptions options = {
        .params = o->params,
        .weights = o->weights,
        .layers = o->layers,
        .rank_promotion = o->rank_promotion,
        .sharding = o->sharding,
        .loader = o->loader,
        .no_load_params = o->no_load_params,
        .file = job->c->file,
        .fingerprint = job->c->fingerprint,
    };
    codegen_module(job->model, &options, &job->c->module);
}

typedef struct Stage {
    const char *name; /* NULL: times itself */
    void (*run)(Job *job);
} Stage;

/* false when a stage has reported an error. */
static bool run_stages(Job *job, const Stage *stages, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double start = api_clock();
        stages[i].run(job);
        if (stages[i].name)
            api_timing(job->c, stages[i].name, start);
        if (job->c->arena.defect && diag_status(&job->c->diags) == OX_OK)
            diag_add(&job->c->diags, OX0302, STR(""),
                     STR("this is a defect of the compiler: please report it"), "%s",
                     job->c->arena.defect);
        bool read = api_check_reads(job->c);
        if (!read || diag_status(&job->c->diags) != OX_OK || !job->model)
            return false;
    }
    return true;
}

/* ---- the calls ---------------------------------------------------------------------
 */

static OxParam describe(Arena *a, const ModuleParam *p) {
    const Tensor *t = p->tensor;
    Str key = arena_str(a, p->key);
    return (OxParam){
        .key = {key.p, key.n},
        .dtype = dtype_info(t->dtype)->name,
        .shape = t->dims,
        .rank = t->rank,
        .data = t->memory,
        .nbytes = tensor_is_absent(t) ? 0 : t->size,
    };
}

static bool describe_params(OxCompiler *c) {
    size_t n = c->module.n_params;
    c->params = ARENA_ARRAY(&c->arena, n, OxParam);
    for (size_t i = 0; c->params && i < n; i++)
        c->params[i] = describe(&c->arena, &c->module.params[i]);
    return !c->arena.failed;
}

OxStatus ox_compile(OxCompiler *c, const OxOptions *options) {
    static const Stage stages[] = {
        {"import", run_import},    {"options", run_options}, {NULL, run_passes},
        {"hash", run_fingerprint}, {"codegen", run_codegen},
    };
    c->compiled = false;
    c->dump = c->line_map = STR("");
    OxStatus status = api_begin(c);
    if (status != OX_OK)
        return status;
    Job job = {.c = c, .options.size = sizeof job.options};
    bool ok = take_options(c, &job.options, options, "OxOptions") &&
              run_stages(&job, stages, OX_COUNT(stages));
    c->compiled = ok && describe_params(c);
    if (c->compiled)
        c->summary = api_summary(&c->arena, job.model, &c->module);
    return diag_status(&c->diags);
}

/* Compiles for an inspection; the results of ox_compile are put back. */
static InspectCode compile_inspected(OxCompiler *c, const OxInspectOptions *o) {
    OxCompiler before = *c;
    c->diags = (Diags){.arena = &c->arena};
    c->timings = (Timings){0};
    c->load_timings = 0;
    OxOptions options = {
        .size = sizeof options, .shapes = o->shapes, .shape_count = o->shape_count};
    InspectCode code = {.messages = STR("")};
    if (ox_compile(c, &options) == OX_OK) {
        OxText map = ox_line_map(c);
        code.source = c->module.source;
        code.line_map = (Str){map.data, map.size};
    }
    Text messages = {.arena = &c->arena};
    diag_print(&c->diags, false, &messages);
    code.messages = text_view(&messages);
    c->diags = before.diags;
    c->timings = before.timings;
    c->load_timings = before.load_timings;
    c->module = before.module;
    c->params = before.params;
    c->compiled = before.compiled;
    c->dump = before.dump;
    c->summary = before.summary;
    c->line_map = before.line_map;
    return code;
}

OxStatus ox_inspect(OxCompiler *c, const OxInspectOptions *options, OxText *text) {
    static const Stage import[] = {{"import", run_import}, {"options", run_options}};
    static const Stage infer[] = {{"infer", run_infer}};
    OxInspectOptions o = {.size = sizeof o};
    *text = (OxText){"", 0};
    OxStatus status = api_begin(c);
    if (status != OX_OK)
        return status;
    if (!take_options(c, &o, options, "OxInspectOptions"))
        return diag_status(&c->diags);
#ifdef OX_ONLY_JSON /* where every byte counts, and the caller is a page */
    if (o.format != OX_JSON) {
        diag_add(&c->diags, OX0003, STR(""), STR(""), "this build prints JSON alone");
        return diag_status(&c->diags);
    }
#endif
    Job job = {
        .c = c, .options.shapes = o.shapes, .options.shape_count = o.shape_count};
    if (!run_stages(&job, import, OX_COUNT(import)))
        return diag_status(&c->diags);
    /* Errors of inference are no reason to hide what was understood. */
    run_stages(&job, infer, 1);
    Text out = {.arena = &c->arena};
    InspectOptions how = {.format = o.format,
                          .layers = o.layers,
                          .color = o.color,
                          .width = o.width,
                          .lines = o.lines};
    if (o.format == OX_HTML || (o.format == OX_JSON && o.lines))
        how.code = compile_inspected(c, &o);
    inspect_print(job.model, &how, &out);
    Str printed = text_view(&out);
    *text = (OxText){printed.p, printed.n};
    return diag_status(&c->diags);
}

/* The loaded model, inferred; NULL after a message. */
static Model *inferred(OxCompiler *c) {
    static const Stage stages[] = {
        {"import", run_import}, {"options", run_options}, {"infer", run_infer}};
    Job job = {.c = c};
    bool known = run_stages(&job, stages, OX_COUNT(stages) - 1);
    /* Errors of inference are no reason not to compare what was understood. */
    if (known)
        run_stages(&job, stages + OX_COUNT(stages) - 1, 1);
    return known && !c->arena.failed ? job.model : NULL;
}

OxStatus ox_diff(OxCompiler *a, OxCompiler *b, const OxDiffOptions *options,
                 bool *equal, OxText *text) {
    OxDiffOptions o = {.size = sizeof o};
    *text = (OxText){"", 0};
    *equal = false;
    OxStatus status = api_begin(a);
    if (status != OX_OK)
        return status;
    if (!take_options(a, &o, options, "OxDiffOptions"))
        return diag_status(&a->diags);
    if (a == b) {
        diag_add(&a->diags, OX0003, STR(""), STR("load the model twice"),
                 "a compiler cannot be compared with itself");
        return diag_status(&a->diags);
    }
    status = api_begin(b);
    if (status != OX_OK)
        return status;
    Model *before = inferred(a), *after = before ? inferred(b) : NULL;
    if (!before || !after)
        return diag_status(before ? &b->diags : &a->diags);
    Text out = {.arena = &a->arena};
    InspectOptions how = {.format = o.format, .color = o.color, .width = o.width};
    bool same = inspect_diff(before, after, &how, &out);
    if (!api_check_reads(a) || !api_check_reads(b))
        return OX_ERR_IO;
    if (a->arena.failed || b->arena.failed)
        return OX_ERR_MEMORY;
    Str printed = text_view(&out);
    *text = (OxText){printed.p, printed.n};
    *equal = same;
    return OX_OK;
}

static bool is_operator(OxCompiler *c, const char *name) {
    Nearest nearest = {.wanted = str_from(name)};
    const OpDef *op;
    for (size_t i = 0; (op = op_at(i)); i++) {
        if (strcmp(op->name, name) == 0)
            return true;
        nearest_offer(&nearest, str_from(op->name));
    }
    diag_add(&c->diags, OX0003, STR(""), did_you_mean(&c->arena, &nearest),
             "no operator \"%s\" is known", name);
    return false;
}

OxStatus ox_ops(OxCompiler *c, const char *name, OxFormat format, OxText *text) {
    *text = (OxText){"", 0};
    if (name && !is_operator(c, name))
        return OX_ERR_USAGE;
    Text out = {.arena = &c->arena};
    op_print(&out, format, str_from(name ? name : ""));
    Str printed = text_view(&out);
    *text = (OxText){printed.p, printed.n};
    return c->arena.failed ? OX_ERR_MEMORY : OX_OK;
}
