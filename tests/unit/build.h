/* For the tests past the parser: builds small models from short text.
 *
 *     Text g = graph_text(f);
 *     add_input(&g, "x", "batch,4");
 *     add_node(&g, "Relu", "x", "y", NULL);
 *     add_output(&g, "y");
 *     Model *m = import(f, &g, 20); */
#ifndef OX_TESTS_BUILD_H
#define OX_TESTS_BUILD_H

#include "onnx/import.h"
#include "ops/core/engine.h"

#include "pb.h"

static inline Text graph_text(Fixture *f) {
    return (Text){.arena = &f->arena};
}

/* Calls put_str for each comma-separated part; an empty part is an absent input. */
static inline void put_list(Text *t, uint32_t field, const char *list) {
    while (*list) {
        size_t n = strcspn(list, ",");
        put_bytes(t, field, (Str){list, n});
        list += n + (list[n] == ',');
    }
}

/* A float32 tensor type; dims are integers or names, "?" is unknown. */
static inline Str value_info(Arena *a, const char *name, const char *dims, int dtype) {
    Text shape = {.arena = a}, tensor = {.arena = a}, type = {.arena = a},
         info = {.arena = a};
    while (*dims) {
        size_t n = strcspn(dims, ",");
        Text dim = {.arena = a};
        if (*dims >= '0' && *dims <= '9')
            put_int(&dim, 1, atoi(dims));
        else if (*dims != '?')
            put_bytes(&dim, 2, (Str){dims, n});
        put_bytes(&shape, 1, text_view(&dim));
        dims += n + (dims[n] == ',');
    }
    put_int(&tensor, 1, dtype);
    put_bytes(&tensor, 2, text_view(&shape));
    put_bytes(&type, 1, text_view(&tensor));
    put_str(&info, 1, name);
    put_bytes(&info, 2, text_view(&type));
    return text_view(&info);
}

static inline void add_input(Text *g, const char *name, const char *dims) {
    put_bytes(g, 11, value_info(g->arena, name, dims, DT_FLOAT));
}

static inline void add_output(Text *g, const char *name) {
    Text info = {.arena = g->arena};
    put_str(&info, 1, name);
    put_bytes(g, 12, text_view(&info));
}

static inline Str int_attr(Arena *a, const char *name, int64_t value) {
    Text t = {.arena = a};
    put_str(&t, 1, name);
    put_int(&t, 3, value);
    put_int(&t, 20, ATTR_INT);
    return text_view(&t);
}

static inline Str graph_attr(Arena *a, const char *name, Str graph) {
    Text t = {.arena = a};
    put_str(&t, 1, name);
    put_bytes(&t, 6, graph);
    put_int(&t, 20, ATTR_GRAPH);
    return text_view(&t);
}

static inline Str node_of(Arena *a, const char *op, const char *in, const char *out,
                          const Str *attr) {
    Text t = {.arena = a};
    put_list(&t, 1, in);
    put_list(&t, 2, out);
    put_str(&t, 3, op);
    put_str(&t, 4, op);
    if (attr)
        put_bytes(&t, 5, *attr);
    return text_view(&t);
}

static inline void add_node(Text *g, const char *op, const char *in, const char *out,
                            const Str *attr) {
    put_bytes(g, 1, node_of(g->arena, op, in, out, attr));
}

/* A node whose name says where it is from, such as "/layer.0/up/MatMul". */
static inline void add_at(Text *g, const char *name, const char *op, const char *in,
                          const char *out) {
    Text t = {.arena = g->arena};
    put_list(&t, 1, in);
    put_list(&t, 2, out);
    put_str(&t, 3, name);
    put_str(&t, 4, op);
    put_bytes(g, 1, text_view(&t));
}

/* A Constant node: a boolean without axes. */
static inline void add_flag(Text *g, const char *name, bool value) {
    Text tensor = {.arena = g->arena}, t = {.arena = g->arena};
    put_int(&tensor, 2, DT_BOOL);
    put_bytes(&tensor, 9, (Str){value ? "\1" : "\0", 1});
    put_str(&t, 1, "value");
    put_bytes(&t, 5, text_view(&tensor));
    put_int(&t, 20, ATTR_TENSOR);
    Str attr = text_view(&t);
    add_node(g, "Constant", "", name, &attr);
}

/* The graph of one node, for a branch. */
static inline Str graph_of(Arena *a, const char *op, const char *in, const char *out) {
    Text g = {.arena = a};
    add_node(&g, op, in, out, NULL);
    add_output(&g, out);
    return text_view(&g);
}

/* out = If(condition) of two graphs. */
static inline void add_if(Text *g, const char *condition, Str yes, Str no,
                          const char *out) {
    Text node = {.arena = g->arena};
    Str attr = graph_attr(g->arena, "then_branch", yes);
    text_str(&node, node_of(g->arena, "If", condition, out, &attr));
    put_bytes(&node, 5, graph_attr(g->arena, "else_branch", no));
    put_bytes(g, 1, text_view(&node));
}

/* An int64 initializer of rank 1, or of rank 0 for n = -1. */
static inline void add_ints(Text *g, const char *name, const int64_t *v, int n) {
    Text t = {.arena = g->arena};
    if (n >= 0)
        put_int(&t, 1, n);
    put_int(&t, 2, DT_INT64);
    put_str(&t, 8, name);
    put_bytes(&t, 9, (Str){(const char *)v, sizeof *v * (size_t)(n < 0 ? 1 : n)});
    put_bytes(g, 5, text_view(&t));
}

/* A float32 initializer of rank 1. */
static inline void add_floats(Text *g, const char *name, const float *v, int n) {
    Text t = {.arena = g->arena};
    put_int(&t, 1, n);
    put_int(&t, 2, DT_FLOAT);
    put_str(&t, 8, name);
    put_bytes(&t, 9, (Str){(const char *)v, sizeof *v * (size_t)n});
    put_bytes(g, 5, text_view(&t));
}

/* Imports a model of this graph, with functions (serialized FunctionProtos) if any. */
static inline Model *import_with(Fixture *f, Text *g, const Str *functions, size_t n) {
    Text t = {.arena = &f->arena}, opset = {.arena = &f->arena};
    put_int(&t, 1, 10);
    put_bytes(&t, 7, text_view(g));
    put_int(&opset, 2, 20);
    put_bytes(&t, 8, text_view(&opset));
    for (size_t i = 0; i < n; i++)
        put_bytes(&t, 25, functions[i]);
    PbModel *pb = parse_ok(f, text_view(&t));
    return graph_import(&f->arena, &f->diags, pb, STR("dir/test.onnx"));
}

static inline Model *import(Fixture *f, Text *g) {
    return import_with(f, g, NULL, 0);
}

static inline void assert_no_errors(const Fixture *f) {
    if (diag_status(&f->diags) != OX_OK)
        fail_msg("%.*s", (int)f->diags.items[0].what.n, f->diags.items[0].what.p);
}

/* Imported and inferred, as the passes take it. */
static inline Model *inferred(Fixture *f, Text *g) {
    Model *m = import(f, g);
    infer_model(m);
    assert_no_errors(f);
    graph_count_uses(m);
    return m;
}

static inline void assert_valid(Model *m) {
    const char *why = NULL;
    if (!graph_verify(m, &why))
        fail_msg("%s", why);
}

static inline void assert_error(const Fixture *f, DiagCode code, const char *part) {
    assert_int_not_equal(diag_status(&f->diags), OX_OK);
    for (size_t i = 0; i < f->diags.count; i++)
        if (f->diags.items[i].code == code && strstr(f->diags.items[i].what.p, part))
            return;
    fail_msg("no message with \"%s\"; the first is \"%s\"", part,
             f->diags.items[0].what.p);
}

/* The value of this name among the nodes' outputs, inputs and parameters. */
static inline Value *value_of(const Model *m, const char *name) {
    for (size_t i = 0; i < m->graph->n_nodes; i++)
        for (uint32_t k = 0; k < m->graph->nodes[i]->n_out; k++)
            if (m->graph->nodes[i]->out[k] &&
                str_is(m->graph->nodes[i]->out[k]->name, name))
                return m->graph->nodes[i]->out[k];
    for (size_t i = 0; i < m->graph->n_params; i++)
        if (str_is(m->graph->params[i]->name, name))
            return m->graph->params[i];
    for (size_t i = 0; i < m->graph->n_inputs; i++)
        if (str_is(m->graph->inputs[i]->name, name))
            return m->graph->inputs[i];
    fail_msg("no value %s", name);
    return NULL;
}

static inline void assert_type(Fixture *f, const Value *v, const char *expected) {
    Text t = {.arena = &f->arena};
    type_print(&t, &v->type);
    assert_string_equal(text_view(&t).p, expected);
}

#endif
