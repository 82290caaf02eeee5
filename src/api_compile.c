/* The driver: each stage in order, with its time; the first that reports an error is
 * the last to run. */
#include "api.h"

#include "inspect/inspect.h"
#include "parser/fingerprint.h"
#include "passes/pipeline.h"
#include "shape/infer.h"
#include "support/nearest.h"

typedef struct Job {
    OxCompiler *c;
    const OxOptions *options;
    Model *model;
    double pass_start;
} Job;

/* ---- options -----------------------------------------------------------------------
 */

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
    size_t n = job->options->output_count;
    Map wanted = {.arena = &c->arena};
    Value **outputs = ARENA_ARRAY(&c->arena, n, Value *);
    Str *names = ARENA_ARRAY(&c->arena, n, Str);
    if (!outputs || !names)
        return;
    for (size_t i = 0; i < n; i++) {
        names[i] = arena_str(&c->arena, str_from(job->options->outputs[i]));
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

static void run_options(Job *job) {
    const OxOptions *o = job->options;
    if (!check_dump(job->c, o->dump))
        return;
    if (o->weights == OX_REFERENCE && !o->no_load_params && !api_can_refer(job->c))
        return;
    job->model->unrolled = o->layers == OX_LAYERS_UNROLLED;
    if (o->output_count)
        override_outputs(job);
    Overrides overrides = {o->shapes, o->shape_count, o->input_values,
                           o->input_value_count};
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
        .dump = job->options->dump,
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
    c->fingerprint = model_fingerprint(&c->arena, c->pb, c->bytes);
}

static void run_codegen(Job *job) {
    const OxOptions *o = job->options;
    CodegenOptions options = {
        .params = o->params,
        .weights = o->weights,
        .layers = o->layers,
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
        if (diag_status(&job->c->diags) != OX_OK || !job->model)
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
        .data = t->data.p,
        .nbytes = t->data.n,
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
    static const OxOptions defaults = {0};
    static const Stage stages[] = {
        {"import", run_import},    {"options", run_options}, {NULL, run_passes},
        {"hash", run_fingerprint}, {"codegen", run_codegen},
    };
    c->compiled = false;
    c->dump = STR("");
    OxStatus status = api_begin(c);
    if (status != OX_OK)
        return status;
    Job job = {.c = c, .options = options ? options : &defaults};
    bool ok = run_stages(&job, stages, OX_COUNT(stages));
    c->compiled = ok && describe_params(c);
    if (c->compiled)
        c->summary = api_summary(&c->arena, job.model, &c->module);
    return diag_status(&c->diags);
}

OxStatus ox_inspect(OxCompiler *c, OxFormat format, OxText *text) {
    static const Stage import[] = {{"import", run_import}};
    static const Stage infer[] = {{"infer", run_infer}};
    *text = (OxText){"", 0};
    OxStatus status = api_begin(c);
    if (status != OX_OK)
        return status;
    Job job = {.c = c};
    if (!run_stages(&job, import, 1))
        return diag_status(&c->diags);
    /* Errors of inference are no reason to hide what was understood. */
    run_stages(&job, infer, 1);
    Text out = {.arena = &c->arena};
    inspect_print(job.model, format, &out);
    Str printed = text_view(&out);
    *text = (OxText){printed.p, printed.n};
    return diag_status(&c->diags);
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
