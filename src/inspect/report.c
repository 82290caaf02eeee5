/* Gathers the parameters, constants and counts of a model in one walk. */
#include "inspect/report.h"

#include <stdlib.h>

Str report_domain(Str domain) {
    return domain.n ? domain : STR("ai.onnx");
}

const Value *report_param(const Node *n, uint32_t *i) {
    while (*i < n->n_in) {
        const Value *v = n->in[(*i)++];
        if (v && v->kind == VALUE_PARAM)
            return v;
    }
    return NULL;
}

static void push_value(Arena *a, Value ***items, size_t *count, size_t *cap, Value *v) {
    *items = arena_push_room(a, *items, *count, cap, sizeof **items);
    if (*count < *cap)
        (*items)[(*count)++] = v;
}

static void add_param(Report *r, Value *v) {
    Arena *a = r->m->arena;
    if (v->kind == VALUE_CONST) {
        push_value(a, &r->constants, &r->n_constants, &r->cap_constants, v);
        return;
    }
    push_value(a, &r->params, &r->n_params, &r->cap_params, v);
    if (!v->tensor)
        return;
    r->param_elements += (uint64_t)v->tensor->count;
    r->param_bytes += v->tensor->size;
}

static OpCount *op_count(Report *r, const Node *n) {
    Arena *a = r->m->arena;
    Str domain = report_domain(n->domain);
    OpCount *first = map_get(&r->by_op, n->op_type);
    for (OpCount *c = first; c; c = c->next)
        if (str_eq(c->domain, domain))
            return c;
    OpCount *c = ARENA_NEW(a, OpCount);
    if (!c)
        return NULL;
    *c = (OpCount){domain, n->op_type, 0, first};
    map_set(&r->by_op, n->op_type, c);
    r->ops = arena_push_room(a, r->ops, r->n_ops, &r->cap_ops, sizeof *r->ops);
    if (r->n_ops < r->cap_ops)
        r->ops[r->n_ops++] = c;
    return c;
}

static void add_graph(void *user, Graph *g) {
    Report *r = user;
    r->graphs++;
    r->nodes += g->n_nodes;
    for (size_t i = 0; i < g->n_params; i++)
        add_param(r, g->params[i]);
    for (size_t i = 0; i < g->n_nodes; i++) {
        OpCount *c = op_count(r, g->nodes[i]);
        if (c)
            c->count++;
    }
}

static int by_count(const void *a, const void *b) {
    const OpCount *x = *(OpCount *const *)a, *y = *(OpCount *const *)b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    int order = str_cmp(x->op_type, y->op_type);
    return order ? order : str_cmp(x->domain, y->domain);
}

void report_make(Report *r, Model *m) {
    *r = (Report){.m = m, .by_op = {.arena = m->arena}};
    graph_each(m->graph, add_graph, r);
    if (r->n_ops)
        qsort(r->ops, r->n_ops, sizeof *r->ops, by_count);
    modules_find(&r->modules, m);
}

void inspect_print(Model *m, const InspectOptions *o, Text *out) {
    Report r;
    report_make(&r, m);
    if (o->format == OX_JSON)
        inspect_json(&r, o->lines ? &o->code : NULL, out);
#ifndef OX_ONLY_JSON
    else if (o->format == OX_HTML)
        inspect_html(&r, &o->code, out);
    else if (o->format == OX_DOT || o->format == OX_MERMAID)
        inspect_diagram(&r, o->format == OX_MERMAID, out);
    else if (o->layers)
        inspect_layers(&r, out);
    else
        inspect_overview(&r, o, out);
#endif
}
