/* Assembles the module: what forward needs is generated first, into statements, since
 * only then it is known which helpers, imports and parameters the file uses. */
#include "codegen/gen.h"
#include "codegen/helpers.h"
#include "codegen/seal.h"
#include "ops/nested.h"

#include <ctype.h>

enum {
    FINGERPRINT_SHOWN = 12, /* hex digits: the line stays short */
    ROUNDS_MAX = 8          /* of choosing functions; what is left then stays */
};

/* ---- preparation ------------------------------------------------------------------- */

/* The parameters of forward; those behind the inputs are there when it is random. */
static Str *name_inputs(Gen *g, const Graph *graph) {
    Str *names = ARENA_ARRAY(g->arena, graph->n_inputs + 3, Str);
    if (!names)
        return NULL;
    if (graph_is_random(graph)) {
        gen_reserve_name(g, STR("key"));
        gen_reserve_name(g, STR("keys"));
    }
    names[0] = STR("params");
    names[graph->n_inputs + 1] = STR("*");
    names[graph->n_inputs + 2] = STR("key");
    for (size_t i = 0; i < graph->n_inputs; i++) {
        Value *v = graph->inputs[i];
        names[i + 1] = gen_unique_name(g, gen_identifier(g->arena, v->name, "x"));
        g->code[v->id].expr = ex_name(g->arena, names[i + 1]);
        g->code[v->id].state = VS_DONE;
    }
    return names;
}

/* Fields of the NamedTuple; they may not begin with an underscore, which
 * gen_identifier never gives. */
static Str *name_outputs(Gen *g, const Graph *graph) {
    Str *names = ARENA_ARRAY(g->arena, graph->n_outputs, Str);
    Gen fields = {.m = g->m, .arena = g->arena, .used_names = {.arena = g->arena}};
    for (size_t i = 0; names && i < graph->n_outputs; i++)
        names[i] = gen_unique_name(
            &fields, gen_identifier(g->arena, graph->output_names[i], "output"));
    return names;
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

/* ---- helpers ----------------------------------------------------------------------- */

static void use_helper(Gen *g, Str name);

/* The end of a comment or docstring that begins at i; i when there is none. */
static size_t skip_prose(Str text, size_t i) {
    bool comment = text.p[i] == '#';
    Str quotes = STR("\"\"\""), rest = {text.p + i, text.n - i};
    if (!comment && !str_starts(rest, quotes))
        return i;
    i += comment ? 1 : quotes.n;
    for (; i < text.n; i++) {
        rest = (Str){text.p + i, text.n - i};
        if (comment ? text.p[i] == '\n' : str_starts(rest, quotes))
            return i + (comment ? 1 : quotes.n);
    }
    return i;
}

/* Helpers call each other: every word of the code that names one is taken along. */
static void use_named_in(Gen *g, Str text) {
    size_t i = 0;
    while (i < text.n) {
        size_t start = skip_prose(text, i);
        if (start > i) {
            i = start;
            continue;
        }
        while (i < text.n && (isalnum((unsigned char)text.p[i]) || text.p[i] == '_'))
            i++;
        bool attribute = start > 0 && text.p[start - 1] == '.';
        if (i > start && !attribute)
            use_helper(g, (Str){text.p + start, i - start});
        i += i == start;
    }
}

static void use_helper(Gen *g, Str name) {
    if (map_get(&g->helpers, name))
        return;
    Str text = codegen_helper(name);
    if (!text.n)
        return;
    if (!map_set(&g->helpers, name, (void *)(uintptr_t)text.p))
        return; /* unmarked, a helper that calls itself would not end */
    use_named_in(g, text);
    UsedHelper helper = {name, text};
    (void)ARENA_PUSH(g->arena, &g->helper_order, helper);
}

static void visit_name(void *user, Str name) {
    use_helper(user, name);
}

void gen_use_helpers(Gen *g, const Expr *x) {
    ex_each_name(x, visit_name, g);
}

/* ---- imports ----------------------------------------------------------------------- */

typedef struct Import {
    const char *token; /* text that needs the import */
    const char *line;
    bool third_party;
} Import;

static const Import imports[] = {
    {"functools.", "import functools", false},
    {"json.", "import json", false},
    {"math.", "import math", false},
    {"zipfile.", "import zipfile", false},
    {"zlib.", "import zlib", false},
    {"Path(", "from pathlib import Path", false},
    {"NamedTuple", "from typing import NamedTuple", false},
    {"jax.", "import jax", true},
    {"jnp.", "import jax.numpy as jnp", true},
    {"np.", "import numpy as np", true},
};

static bool mentions(Str text, Str token) {
    for (size_t i = 0; i + token.n <= text.n; i++) {
        const char *hit = memchr(text.p + i, token.p[0], text.n - token.n + 1 - i);
        if (!hit)
            return false;
        i = (size_t)(hit - text.p);
        bool inside = i > 0 && (isalnum((unsigned char)hit[-1]) || hit[-1] == '_' ||
                                hit[-1] == '.');
        if (!inside && memcmp(hit, token.p, token.n) == 0)
            return true;
    }
    return false;
}

static void print_imports(Text *t, Str body) {
    bool standard = false;
    for (size_t i = 0; i < OX_COUNT(imports); i++) {
        if (!mentions(body, str_from(imports[i].token)))
            continue;
        if (imports[i].third_party && standard)
            text_char(t, '\n');
        standard = !imports[i].third_party;
        text_lit(t, imports[i].line);
        text_char(t, '\n');
    }
}

/* ---- the parts of the file --------------------------------------------------------- */

static const char *annotation(const Type *t) {
    bool list = t->kind == TYPE_SEQUENCE ||
                (t->kind == TYPE_OPTIONAL && type_elem(t).kind == TYPE_SEQUENCE);
    if (t->kind == TYPE_OPTIONAL)
        return list ? "list[jax.Array] | None" : "jax.Array | None";
    return list ? "list[jax.Array]" : "jax.Array";
}

static void print_outputs_class(Text *t, const Graph *g, const Str *fields) {
    text_lit(t, "\n\nclass Outputs(NamedTuple):\n");
    for (size_t i = 0; i < g->n_outputs; i++)
        text_printf(t, "    %.*s: %s\n", (int)fields[i].n, fields[i].p,
                    annotation(&g->outputs[i]->type));
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

static const Expr *return_expr(Gen *g, const Graph *graph) {
    if (graph->n_outputs == 1)
        return gen_only_result(g, graph->outputs[0]);
    const Expr **items = ARENA_ARRAY(g->arena, graph->n_outputs, const Expr *);
    if (!items)
        return ex_none();
    for (size_t i = 0; i < graph->n_outputs; i++)
        items[i] = output(g, graph, i);
    return ex_call(g->arena, ex_name(g->arena, STR("Outputs")), items,
                   graph->n_outputs);
}

static void describe(Text *t, const char *title, Value *const *values, const Str *names,
                     size_t n) {
    if (!n)
        return;
    text_printf(t, "\n%s\n", title);
    for (size_t i = 0; i < n; i++) {
        text_printf(t, "    %.*s: ", (int)names[i].n, names[i].p);
        type_print(t, &values[i]->type);
        if (values[i]->remark.n)
            text_printf(t, "\n        %.*s", (int)values[i]->remark.n,
                        values[i]->remark.p);
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

static void print_module_docstring(Gen *g, Text *t, const Str *inputs,
                                   const Str *outputs) {
    const Graph *graph = g->m->graph;
    Text doc = {.arena = g->arena};
    text_printf(&doc, "%.*s in JAX: forward(params", (int)g->m->name.n, g->m->name.p);
    for (size_t i = 0; i < graph->n_inputs; i++)
        text_printf(&doc, ", %.*s", (int)inputs[i].n, inputs[i].p);
    text_lit(&doc, g->keys.count ? ", *, key)\n" : ")\n");
    if (g->keys.count)
        text_lit(&doc, "\nRandom numbers come from key, which jax.random.key makes.\n");
    describe(&doc, "Inputs:", graph->inputs, inputs, graph->n_inputs);
    describe_given(g->m, &doc);
    describe(&doc, "Outputs:", graph->outputs, outputs, graph->n_outputs);
    describe_bounds(g, &doc);
    if (g->m->graph->doc.n)
        text_printf(&doc, "\n%.*s\n", (int)graph->doc.n, graph->doc.p);
    print_docstring(t, 0, text_view(&doc));
}

/* Without jit, what callers give may be numpy arrays, which lack methods of JAX's. */
static void print_conversion(Gen *g, Text *t, const Str *inputs, size_t n) {
    const Expr **items = ARENA_ARRAY(g->arena, n, const Expr *);
    for (size_t i = 0; items && i < n; i++)
        items[i] = ex_name(g->arena, inputs[i]);
    const Expr *all = n == 1 ? ex_name(g->arena, inputs[0])
                             : ex_seq(g->arena, EX_TUPLE, items, items ? n : 0);
    print_assign(t, 1, inputs, n, EX(g->arena, "jax.tree.map(jnp.asarray, $0)", all));
}

static void print_forward(Gen *g, Text *t, const Str *inputs) {
    const Graph *graph = g->m->graph;
    const Expr *result = return_expr(g, graph);
    gen_use_helpers(g, result);
    gen_move_defaults(g, result);
    text_lit(t, "\n\n");
    if (g->run_time.count)
        print_comment(t, 0,
                      STR("What is known while a caller's jit traces may decide "
                          "shapes: it is computed then."));
    text_lit(t, g->run_time.count ? "@jax.ensure_compile_time_eval()\n" : "@jax.jit\n");
    print_def(t, 0, STR("forward"), inputs, graph->n_inputs + (g->keys.count ? 3 : 1));
    for (size_t i = 0; i < g->run_time.count; i++) {
        Text why = {.arena = g->arena};
        text_lit(&why, "Not jitted: ");
        text_str(&why, g->run_time.items[i].why);
        print_comment(t, 1, text_view(&why));
    }
    if (g->run_time.count)
        print_conversion(g, t, inputs, graph->n_inputs + 1);
    gen_print_statements(t, 1, &g->prelude, true);
    gen_print_statements(t, 1, &g->scope->body,
                         !g->prelude.count && !g->run_time.count);
    print_return(t, 1, result);
}

static void print_helpers(Gen *g, Text *t) {
    for (size_t i = 0; i < g->helper_order.count; i++) {
        text_lit(t, "\n\n");
        text_str(t, g->helper_order.items[i].text);
        text_char(t, '\n');
    }
}

static int64_t main_opset(const Model *m) {
    for (size_t i = 0; i < m->pb->opsets.count; i++) {
        Str d = m->pb->opsets.items[i].domain;
        if (!d.n || str_is(d, "ai.onnx"))
            return m->pb->opsets.items[i].version;
    }
    return 1;
}

static void print_header(Gen *g, Text *t) {
    Text line = {.arena = g->arena};
    Str file = g->options->file.n ? g->options->file : g->m->name;
    text_printf(&line, "Generated by OxideXLA %s from %.*s (opset %lld", ox_version(),
                (int)file.n, file.p, (long long)main_opset(g->m));
    if (g->options->fingerprint.n >= FINGERPRINT_SHOWN)
        text_printf(&line, ", sha256 %.*s", FINGERPRINT_SHOWN,
                    g->options->fingerprint.p);
    text_char(&line, ')');
    print_comment(t, 0, text_view(&line));
}

static void print_module(Gen *g, Text *t, const Str *inputs, const Str *outputs) {
    Text body = {.arena = g->arena}, forward = {.arena = g->arena};
    print_forward(g, &forward, inputs);
    if (g->m->graph->n_outputs != 1)
        print_outputs_class(&body, g->m->graph, outputs);
    print_helpers(g, &body);
    gen_print_functions(g, &body);
    text_str(&body, text_view(&forward));
    gen_print_parameters(g, &body);
    Text top = {.arena = g->arena};
    print_module_docstring(g, &top, inputs + 1, outputs);
    text_char(&top, '\n');
    print_imports(&top, text_view(&body));
    Text header = {.arena = g->arena};
    print_header(g, &header);
    Str sealed[] = {text_view(&header), text_view(&top), text_view(&body)};
    text_str(t, sealed[0]);
    text_str(t, seal_make(g->arena, sealed, OX_COUNT(sealed)));
    text_str(t, sealed[1]);
    text_str(t, sealed[2]);
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

/* Generates all code; false when functions were found not to pay. */
static bool generate(Gen *g, Scope *top, Str **inputs) {
    Model *m = g->m;
    memset(g->code, 0, g->n_code * sizeof *g->code);
    gen_functions(g);
    *inputs = NULL;
    if (g->arena->failed)
        return true;
    memset(g->code, 0, g->n_code * sizeof *g->code);
    gen_count_reads(g, NULL);
    *inputs = name_inputs(g, m->graph);
    if (!*inputs)
        return true;
    g->scope = top;
    gen_region(g, NULL);
    gen_keys(g);
    return diag_status(m->diags) != OX_OK || g->arena->failed ||
           !gen_inline_functions(g);
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
    Str *inputs;
    Gen g = new_gen(m, options, code, n_code);
    for (int round = 0; !generate(&g, &top, &inputs) && round < ROUNDS_MAX; round++) {
        g = new_gen(m, options, code, n_code);
        top = (Scope){.graph = m->graph};
    }
    Str *outputs = name_outputs(&g, m->graph);
    if (!inputs || (!outputs && m->graph->n_outputs))
        return;
    if (g.options->params == OX_PARAMS_NESTED)
        check_nested_keys(&g);
    Text t = {.arena = m->arena};
    print_module(&g, &t, inputs, outputs);
    for (size_t i = 0; i < g.run_time.count; i++)
        diag_add(m->diags, OX0502, g.run_time.items[i].why, g.run_time.items[i].hint,
                 "forward is not jitted");
    *module = (Module){text_view(&t), g.params.items, g.params.count,
                       .exported = m->left_out.count > 0};
    for (size_t i = 0; i < g.params.count; i++)
        module->exported |= g.params.items[i].note && g.params.items[i].note->change;
}
