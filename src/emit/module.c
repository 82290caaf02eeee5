/* Assembles the module: what forward needs is generated first, into statements, since
 * only then it is known which helpers, imports and parameters the file uses. */
#include "emit/cache.h"
#include "ops/core/nested.h"
#include "python/seal.h"

enum { FINGERPRINT_SHOWN = 12 }; /* hex digits: the line stays short */

/* ---- preparation ------------------------------------------------------------------- */

/* What forward takes or gives, as its callers see it. */
typedef struct Interface {
    Str *names;
    Value **values; /* NULL: the cache */
    size_t *places; /* among the inputs or outputs of the graph */
    size_t n;
} Interface;

static bool interface_begin(Gen *g, Interface *face, size_t count) {
    face->names = ARENA_ARRAY(g->arena, count + 1, Str);
    face->values = ARENA_ARRAY(g->arena, count + 1, Value *);
    face->places = ARENA_ARRAY(g->arena, count + 1, size_t);
    return face->names && face->values && face->places;
}

static void interface_add(Interface *face, Str name, Value *v, size_t place) {
    face->names[face->n] = name;
    face->values[face->n] = v;
    face->places[face->n++] = place;
}

static bool has_cache(const Interface *face) {
    for (size_t i = 0; i < face->n; i++)
        if (!face->values[i])
            return true;
    return false;
}

/* The inputs of forward; those of the cache are one. */
static bool name_inputs(Gen *g, const Graph *graph, Interface *face) {
    *face = (Interface){0};
    if (!interface_begin(g, face, graph->n_inputs))
        return false;
    if (graph_is_random(graph)) {
        gen_reserve_name(g, STR("key"));
        gen_reserve_name(g, STR("keys"));
    }
    if (g->cache.count)
        gen_reserve_name(g, STR("cache"));
    for (size_t i = 0; i < graph->n_inputs; i++) {
        Value *v = graph->inputs[i];
        if (!gen_cache_past(g, v)) {
            Str name = gen_unique_name(g, gen_identifier(g->arena, v->name, "x"));
            interface_add(face, name, v, i);
            g->code[v->id].expr = ex_name(g->arena, name);
            g->code[v->id].state = VS_DONE;
        } else if (!has_cache(face)) {
            interface_add(face, STR("cache"), NULL, i);
        }
    }
    gen_bind_cache(g);
    return true;
}

/* Fields of the NamedTuple; they may not begin with an underscore, which
 * gen_identifier never gives. */
static bool name_outputs(Gen *g, const Graph *graph, Interface *face) {
    Gen fields = {.m = g->m, .arena = g->arena, .used_names = {.arena = g->arena}};
    *face = (Interface){0};
    if (!interface_begin(g, face, graph->n_outputs))
        return false;
    if (g->cache.count)
        gen_reserve_name(&fields, STR("cache"));
    for (size_t i = 0; i < graph->n_outputs; i++) {
        Value *v = graph->outputs[i];
        if (!gen_is_cache_output(g, i))
            interface_add(face,
                          gen_unique_name(
                              &fields, gen_identifier(g->arena, graph->output_names[i],
                                                      "output")),
                          v, i);
        else if (!has_cache(face))
            interface_add(face, STR("cache"), NULL, i);
    }
    return true;
}

static bool nests_too_deeply(Gen *g, Str key) {
    int levels = 1;
    for (size_t i = 0; i < key.n; i++)
        levels += key.p[i] == '.';
    if (levels > NESTED_LEVELS_MAX)
        diag_add(g->m->diags, OX0104, (Str){0}, STR("use --params flat"),
                 "parameter \"%.64s...\" would nest in %d levels, more than %d", key.p,
                 levels, NESTED_LEVELS_MAX);
    return levels > NESTED_LEVELS_MAX;
}

/* Nested params cannot hold both "a" and "a.b". */
static void check_nested_keys(Gen *g) {
    for (size_t i = 0; i < g->params.count; i++) {
        Str key = g->params.items[i].key;
        if (nests_too_deeply(g, key))
            continue;
        for (size_t k = 0; k < key.n; k++) {
            Str prefix = {key.p, k};
            if (key.p[k] == '.' && map_get(&g->param_keys, prefix))
                diag_add(g->m->diags, OX0501, (Str){0}, STR("use --params flat"),
                         "parameter \"%.*s\" lies inside parameter \"%.*s\"",
                         (int)key.n, key.p, (int)k, key.p);
        }
    }
}

/* ---- the parts of the file --------------------------------------------------------- */

static const Expr *annotation(Arena *a, const Type *t) {
    bool list = t->kind == TYPE_SEQUENCE ||
                (t->kind == TYPE_OPTIONAL && type_elem(t).kind == TYPE_SEQUENCE);
    const Expr *array = ex_name(a, STR("jax.Array"));
    const Expr *x = list ? EX(a, "list[$0]", array) : array;
    return t->kind == TYPE_OPTIONAL ? EX(a, "$0 | None", x) : x;
}

/* An input of forward, or the field of its result. */
static const Expr *annotation_of(Gen *g, const Value *v) {
    return v ? annotation(g->arena, &v->type) : gen_cache_annotation(g);
}

/* @serializable class Outputs(NamedTuple): */
static void add_outputs_class(Gen *g, const Interface *fields) {
    Arena *a = g->arena;
    Stmt s = {.kind = ST_CLASS,
              .apart = true,
              .decorator = ex_name(a, STR("serializable")),
              .target = ex_name(a, STR("Outputs")),
              .expr = ex_name(a, STR("NamedTuple")),
              .body = ARENA_NEW(a, Stmts)};
    for (size_t i = 0; s.body && i < fields->n; i++) {
        const Value *v = fields->values[i];
        Stmt field = {.kind = ST_FIELD,
                      .target = ex_name(a, fields->names[i]),
                      .expr = annotation_of(g, v)};
        (void)code_add(a, s.body, field);
    }
    (void)code_add(a, &g->program.code, s);
}

/* Output i; floats of one type in the file have one when the code runs, too. */
static const Expr *output(Gen *g, const Graph *graph, size_t i) {
    Value *v = value_final(graph->outputs[i]);
    const Type *t = &v->type;
    Value *other = NULL;
    for (size_t k = 0; k < graph->n_outputs && !other; k++) {
        Value *w = value_final(graph->outputs[k]);
        if (w->follows && w->type.kind == t->kind && w->type.dtype == t->dtype)
            other = w;
    }
    if (v->follows || !other || t->kind != TYPE_TENSOR)
        return gen_value(g, v, false);
    const Expr *dtype = EX(g->arena, "$0.dtype", gen_value(g, other, false));
    return v->kind == VALUE_CONST ? gen_literal_as(g, v, dtype)
                                  : ex_astype(g->arena, gen_value(g, v, false), dtype);
}

static const Expr *return_expr(Gen *g, const Graph *graph, const Interface *fields) {
    if (fields->n == 1)
        return fields->values[0] ? gen_only_result(g, graph->outputs[0])
                                 : gen_cache_result(g);
    const Expr **items = ARENA_ARRAY(g->arena, fields->n, const Expr *);
    if (!items)
        return ex_none();
    for (size_t i = 0; i < fields->n; i++)
        items[i] = fields->values[i] ? output(g, graph, fields->places[i])
                                     : gen_cache_result(g);
    return ex_call(g->arena, ex_name(g->arena, STR("Outputs")), items, fields->n);
}

/* An input that nobody need give: the last, so that it may have a default. */
static bool is_optional(const Gen *g, const Interface *inputs, size_t i) {
    return i + 1 == inputs->n && inputs->values[i] &&
           inputs->values[i] == g->cache.optional;
}

/* Types by name; a single output that an exporter has named after an operator needs none. */
static void describe(const Gen *g, Text *t, const char *title, const Interface *face,
                     bool after) {
    if (!face->n)
        return;
    text_printf(t, "\n%s\n", title);
    for (size_t i = 0; i < face->n; i++) {
        const Value *v = face->values[i];
        if (!v) {
            gen_describe_cache(g, t, after);
            continue;
        }
        text_lit(t, "    ");
        if (!after || face->n > 1 || !gen_is_of_operator(v))
            text_printf(t, "%.*s: ", (int)face->names[i].n, face->names[i].p);
        type_print(t, &v->type);
        if (v == g->cache.optional)
            text_lit(t, ", zeros where it is not given");
        if (v->remark.n)
            text_printf(t, "\n        %.*s", (int)v->remark.n, v->remark.p);
        text_char(t, '\n');
    }
}

/* What forward does not take. */
static void describe_given(const Model *m, Text *t) {
    if (m->given.count)
        text_lit(t, "\nFixed when this was compiled:\n");
    for (size_t i = 0; i < m->given.count; i++) {
        const Value *v = m->given.items[i];
        text_printf(t, "    %.*s: ", (int)v->name.n, v->name.p);
        type_print(t, &v->type);
        text_printf(t, " = %.*s\n", (int)v->remark.n, v->remark.p);
    }
}

/* What the padding is, since callers must tell it from results. */
static void describe_bounds(const Gen *g, Text *t) {
    if (g->bounded.count)
        text_lit(t, "\nBounded sizes, padded after what there is:\n");
    for (size_t i = 0; i < g->bounded.count; i++) {
        const Node *n = g->bounded.items[i];
        const char *before = "    ";
        for (uint32_t k = 0; k < n->n_out; k++) {
            if (!n->out[k])
                continue;
            text_printf(t, "%s%.*s", before, (int)n->out[k]->name.n, n->out[k]->name.p);
            before = ", ";
        }
        text_printf(t, ": %lld with %s\n", (long long)n->bound, n->op->padding);
    }
}

static Str module_docstring(Gen *g, const Interface *inputs) {
    const Graph *graph = g->m->graph;
    Text doc = {.arena = g->arena};
    text_printf(&doc, "%.*s in JAX: forward(params", (int)g->m->name.n, g->m->name.p);
    for (size_t i = 0; i < inputs->n; i++)
        text_printf(&doc, ", %.*s%s", (int)inputs->names[i].n, inputs->names[i].p,
                    is_optional(g, inputs, i) ? "=None" : "");
    text_lit(&doc, g->keys.count ? ", *, key)\n" : ")\n");
    if (graph->doc.n)
        text_printf(&doc, "\n%.*s\n", (int)graph->doc.n, graph->doc.p);
    return text_view(&doc);
}

/* What the inputs and outputs are. */
static Stmt forward_docstring(Gen *g, const Interface *inputs,
                              const Interface *outputs) {
    Text doc = {.arena = g->arena};
    text_printf(&doc, "Compute the outputs of %.*s.\n", (int)g->m->name.n,
                g->m->name.p);
    if (g->keys.count)
        text_lit(&doc, "\nRandom numbers come from key, which jax.random.key makes.\n");
    describe(g, &doc, "Inputs:", inputs, false);
    describe_given(g->m, &doc);
    describe(g, &doc, "Outputs:", outputs, true);
    describe_bounds(g, &doc);
    return (Stmt){.kind = ST_PROSE, .text = text_view(&doc)};
}

/* Why forward is not jitted. */
static const char *run_time_reasons(Gen *g) {
    Text t = {.arena = g->arena};
    for (size_t i = 0; i < g->run_time.count; i++) {
        Str why = g->run_time.items[i].why;
        text_printf(&t, "%sNot jitted: %.*s", i ? "\n" : "", (int)why.n, why.p);
    }
    return text_view(&t).p;
}

/* Without jit, what callers give may be numpy arrays, which lack methods of JAX's. */
static void add_conversion(Gen *g, Stmts *list, const Str *names, size_t n) {
    const Expr **items = ARENA_ARRAY(g->arena, n, const Expr *);
    for (size_t i = 0; items && i < n; i++)
        items[i] = ex_name(g->arena, names[i]);
    const Expr *all = n == 1 ? ex_name(g->arena, names[0])
                             : ex_seq(g->arena, EX_TUPLE, items, items ? n : 0);
    gen_statement(g, list, names, n,
                  EX(g->arena, "jax.tree.map(jnp.asarray, $0)", all));
    if (list->count)
        list->items[0].comment = run_time_reasons(g);
}

/* params, the inputs, and a key where forward is random. */
static Str *parameter_names(Gen *g, const Interface *inputs) {
    Str *names = ARENA_ARRAY(g->arena, inputs->n + 3, Str);
    if (!names)
        return NULL;
    names[0] = STR("params");
    for (size_t i = 0; i < inputs->n; i++)
        names[i + 1] = inputs->names[i];
    names[inputs->n + 1] = STR("*");
    names[inputs->n + 2] = STR("key");
    return names;
}

/* start = jnp.zeros(batch, int) if start is None else start */
static void fill_optional(Gen *g, Stmts *list, const Interface *inputs) {
    for (size_t i = 0; i < inputs->n; i++) {
        const Value *v = inputs->values[i];
        if (!is_optional(g, inputs, i))
            continue;
        const Expr *zeros = EX(g->arena, "jnp.zeros($0, $1)",
                               gen_dims(g, v->type.dims, (size_t)v->type.rank),
                               gen_dtype(g, v->type.dtype));
        gen_statement(g, list, &inputs->names[i], 1,
                      EX(g->arena, "$0 if $1 is None else $1", zeros,
                         ex_name(g->arena, inputs->names[i])));
    }
}

/* forward(params: dict[str, jax.Array], x: jax.Array) -> jax.Array */
static void annotate_forward(Gen *g, Def *def, const Interface *inputs,
                             const Interface *outputs) {
    Arena *a = g->arena;
    const Expr *array = ex_name(a, STR("jax.Array"));
    for (size_t i = 0; i < inputs->n && i + 1 < def->n_params; i++) {
        Param *p = &def->params[i + 1];
        const Value *v = inputs->values[i];
        p->type = annotation_of(g, v);
        p->rank = v && v->type.rank > 0 ? v->type.rank : 0;
        if (!is_optional(g, inputs, i))
            continue;
        p->value = ex_none();
        p->type = EX(a, "$0 | None", p->type);
    }
    if (def->n_params)
        def->params[0].type = gen_params_type(g);
    if (g->keys.count && def->n_params)
        def->params[def->n_params - 1].type = array;
    def->result = outputs->n != 1 ? ex_name(a, STR("Outputs"))
                                  : annotation_of(g, outputs->values[0]);
}

static void add_forward(Gen *g, const Interface *inputs, const Interface *outputs) {
    const Graph *graph = g->m->graph;
    Stmts doc = {0}, top = {0}, optional = {0};
    Str *names = parameter_names(g, inputs);
    if (!names)
        return;
    g->scope->result = return_expr(g, graph, outputs); /* may name sizes of inputs */
    fill_optional(g, &optional, inputs);
    if (g->run_time.count)
        add_conversion(g, &top, names, inputs->n + 1);
    gen_unpack_cache(g, &top);
    for (size_t i = 0; i < g->prelude.count; i++)
        (void)code_add(g->arena, &top, g->prelude.items[i]);
    for (size_t i = 0; i < optional.count; i++)
        (void)code_add(g->arena, &top, optional.items[i]);
    g->scope->name = STR("forward");
    g->scope->params = names;
    g->scope->n_params = inputs->n + (g->keys.count ? 3 : 1);
    Def *def = gen_def(g, g->scope, &top);
    if (!def)
        return;
    annotate_forward(g, def, inputs, outputs);
    (void)code_add(g->arena, &doc, forward_docstring(g, inputs, outputs));
    code_insert(g->arena, &def->body, 0, &doc);
    Stmt s = {.kind = ST_DEF, .apart = true, .def = def, .body = &def->body};
    s.decorator = gen_is_sharded(g) ? EX(g->arena, "(jax.jit, on_mesh)", NULL)
                                    : ex_name(g->arena, STR("jax.jit"));
    if (g->run_time.count) {
        s.decorator = EX(g->arena, "jax.ensure_compile_time_eval()", NULL);
        s.comment =
            "What is known while a caller's jit traces may decide shapes: it is "
            "computed then.";
    }
    (void)code_add(g->arena, &g->program.code, s);
}

static int64_t main_opset(const Model *m) {
    for (size_t i = 0; i < m->facts.opsets.count; i++) {
        Str d = m->facts.opsets.items[i].domain;
        if (!d.n || str_is(d, "ai.onnx"))
            return m->facts.opsets.items[i].version;
    }
    return 1;
}

static void print_header(Gen *g, Text *t) {
    Text line = {.arena = g->arena};
    Str file = g->options->file.n ? g->options->file : g->m->name;
    text_printf(&line, "Generated by OxideXLA %s from %.*s (opset %lld", OX_VERSION,
                (int)file.n, file.p, (long long)main_opset(g->m));
    if (g->options->fingerprint.n >= FINGERPRINT_SHOWN)
        text_printf(&line, ", sha256 %.*s", FINGERPRINT_SHOWN,
                    g->options->fingerprint.p);
    text_char(&line, ')');
    print_comment(t, 0, text_view(&line));
}

static void tidy(Gen *g) {
    Arena scratch;
    arena_scratch_begin(&scratch, g->arena);
    for (size_t i = 0; i < g->program.code.count; i++) {
        if (g->program.code.items[i].kind != ST_DEF)
            continue;
        code_drop_unread(&scratch, g->program.code.items[i].def);
        code_join_sizes(g->arena, g->program.code.items[i].def);
    }
    arena_scratch_end(&scratch, g->arena);
}

/* The statements of the module behind its docstring. */
static void make_program(Gen *g, const Interface *inputs, const Interface *outputs) {
    if (outputs->n != 1)
        add_outputs_class(g, outputs);
    gen_add_functions(g);
    add_forward(g, inputs, outputs);
    gen_add_init_cache(g);
    if (!g->arena->failed)
        tidy(g);
    gen_add_heads(g);
    gen_use_only_key(g);
    gen_reuse_names(g);
    gen_add_parameters(g);
    if (g->arena->failed) /* trees may lack parts */
        return;
    gen_find_helpers(g);
    gen_move_defaults(g);
    gen_use_helpers(g);
    gen_note_imports(g);
}

/* Helpers stand in front of what calls them. */
static void print_program(Gen *g, Text *t) {
    const Program *p = &g->program;
    Stmts standard = {0}, others = {0}, local = {0};
    gen_add_imports(g, &standard, &others);
    gen_import_loader(g, &local);
    print_code(t, 0, &standard, true);
    if (standard.count && others.count)
        text_char(t, '\n');
    print_code(t, 0, &others, true);
    if (local.count)
        text_char(t, '\n');
    print_code(t, 0, &local, true);
    if (p->constants.count)
        text_char(t, '\n');
    print_code(t, 0, &p->constants, true);
    for (size_t i = 0; i < p->helpers.count; i++)
        print_code(t, 0, &p->helpers.items[i].code, true);
    print_code(t, 0, &p->code, true);
    print_code(t, 0, &p->params, true);
}

static void print_module(Gen *g, Text *t, const Interface *inputs,
                         const Interface *outputs) {
    Text header = {.arena = g->arena}, body = {.arena = g->arena};
    make_program(g, inputs, outputs);
    if (g->arena->failed)
        return;
    print_header(g, &header);
    print_docstring(&body, 0, module_docstring(g, inputs));
    text_char(&body, '\n');
    print_program(g, &body);
    Str sealed[] = {text_view(&header), text_view(&body)};
    text_str(t, sealed[0]);
    text_str(t, seal_make(g->arena, sealed, OX_COUNT(sealed)));
    text_str(t, sealed[1]);
}

/* What callers give and get has the types of the model. */
static void check_interface(Model *m, Value *const *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (gen_is_unwritable(values[i]))
            diag_add(m->diags, OX0302, (Str){0},
                     STR("cast it to float32 inside the model"),
                     "\"%.*s\": JAX has no %s arrays", (int)values[i]->name.n,
                     values[i]->name.p, dtype_info(values[i]->type.dtype)->name);
}

/* Generates all code. */
static bool generate(Gen *g, Scope *top, Interface *inputs) {
    Model *m = g->m;
    memset(g->code, 0, g->n_code * sizeof *g->code);
    gen_functions(g);
    if (g->arena->failed)
        return false;
    memset(g->code, 0, g->n_code * sizeof *g->code);
    gen_count_reads(g, NULL);
    if (!name_inputs(g, m->graph, inputs))
        return false;
    g->scope = top;
    gen_region(g, NULL);
    gen_keys(g);
    return true;
}

static Gen new_gen(Model *m, const CodegenOptions *options, ValueCode *code,
                   size_t n_code) {
    Gen g = {
        .m = m, .arena = m->arena, .options = options, .code = code, .n_code = n_code};
    g.used_names.arena = g.symbols.arena = g.helpers.arena = m->arena;
    g.param_keys.arena = g.twins.arena = g.global_names.arena = g.tensors.arena =
        m->arena;
    g.roles.arena = m->arena;
    gen_find_roles(&g);
    gen_find_heads(&g);
    gen_find_prepared(&g);
    gen_read_cache(&g);
    gen_order_outputs(&g);
    return g;
}

void codegen_module(Model *m, const CodegenOptions *options, Module *module) {
    if (!m->graph->n_outputs) {
        diag_add(m->diags, OX0201, (Str){0}, STR("name some with --outputs"),
                 "the graph has no outputs");
        return;
    }
    check_interface(m, m->graph->inputs, m->graph->n_inputs);
    check_interface(m, m->graph->outputs, m->graph->n_outputs);
    size_t n_code = m->value_count + 1; /* generating makes more values, without code */
    ValueCode *code = ARENA_ARRAY(m->arena, n_code, ValueCode);
    if (!code)
        return;
    Scope top = {.graph = m->graph};
    Interface inputs, outputs;
    Gen g = new_gen(m, options, code, n_code);
    if (diag_status(m->diags) != OX_OK)
        return;
    bool made = generate(&g, &top, &inputs);
    if (diag_status(m->diags) == OX_OK && gen_inline_functions(&g)) {
        g = new_gen(m, options, code, n_code);
        top = (Scope){.graph = m->graph};
        made = generate(&g, &top, &inputs);
    }
    if (!made || !name_outputs(&g, m->graph, &outputs))
        return;
    if (g.options->params == OX_PARAMS_NESTED)
        check_nested_keys(&g);
    Text t = {.arena = m->arena};
    print_module(&g, &t, &inputs, &outputs);
    for (size_t i = 0; i < g.run_time.count; i++)
        diag_add(m->diags, OX0502, g.run_time.items[i].why, g.run_time.items[i].hint,
                 "forward is not jitted");
    *module =
        (Module){text_view(&t), g.params.items, g.params.count,
                 .gen = ARENA_NEW(m->arena, Gen), .exported = m->left_out.count > 0};
    if (module->gen)
        *module->gen = g;
    if (g.shares_loader)
        module->loader = loader_module(m->arena);
    for (size_t i = 0; i < g.params.count; i++)
        module->exported |= g.params.items[i].note && g.params.items[i].note->change;
}

void module_line_map(const Module *module, Text *out) {
    if (module->gen)
        gen_line_map(module->gen, module->source, out);
}
