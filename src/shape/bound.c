/* --bound: the user knows how large an output gets whose size depends on data.  The
 * rules of such operators ask for it through data_dim. */
#include "shape/infer.h"
#include "support/nearest.h"

typedef struct Search {
    Str name;
    int64_t bound;
    bool found;
    Nearest nearest;
} Search;

static void visit_values(Search *s, Value *const *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!values[i])
            continue;
        nearest_offer(&s->nearest, values[i]->name);
        if (!str_eq(values[i]->name, s->name))
            continue;
        values[i]->bound = s->bound;
        s->found = true;
    }
}

static void visit_graph(void *user, Graph *g) {
    visit_values(user, g->inputs, g->n_inputs);
    visit_values(user, g->params, g->n_params);
    for (size_t i = 0; i < g->n_nodes; i++)
        visit_values(user, g->nodes[i]->out, g->nodes[i]->n_out);
}

/* 0 unless s is a number from 1 to INT32_MAX. */
static int64_t parse_bound(Str s) {
    int64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return 0;
        value = value * 10 + (s.p[i] - '0');
        if (value > INT32_MAX)
            return 0;
    }
    return value;
}

static void spec_error(Model *m, Str spec, Str hint, const char *why) {
    diag_add(m->diags, OX0003, (Str){0}, hint, "--bound %.*s: %s", (int)spec.n, spec.p,
             why);
}

void infer_bound_value(Model *m, Str spec) {
    size_t eq = spec.n; /* names may hold a = */
    while (eq > 0 && spec.p[eq - 1] != '=')
        eq--;
    Search s = {.name = {spec.p, eq ? eq - 1 : 0}};
    s.bound = eq ? parse_bound((Str){spec.p + eq, spec.n - eq}) : 0;
    s.nearest.wanted = s.name;
    if (!s.bound) {
        spec_error(m, spec, STR("write --bound value=100"), "the bound is no number");
        return;
    }
    graph_each(m->graph, visit_graph, &s);
    if (s.found)
        return;
    Str hint = {0}, best = s.nearest.best;
    if (best.n)
        hint = arena_printf(m->arena, "did you mean \"%.*s\"?", (int)best.n, best.p);
    spec_error(m, spec, hint, "the model has no such value");
}

typedef struct Origin {
    const Value *of; /* whose size is asked about */
    const Value *found;
} Origin;

static void find_origin(void *user, const Symbol *s) {
    Origin *o = user;
    if (s->value && s->value->def && s->value != o->of)
        o->found = s->value;
}

/* The value whose size, which data decide, the size of v follows from; NULL: none. */
static const Value *origin_of(const Value *v) {
    Origin o = {.of = v};
    for (int axis = 0; axis < v->type.rank; axis++)
        dim_each_symbol(v->type.dims[axis], find_origin, &o);
    return o.found;
}

/* More than one size of v is its own, or its rank is not known. */
static bool is_open(const Value *v) {
    int own = 0;
    for (int axis = 0; axis < v->type.rank; axis++) {
        const Symbol *s = dim_as_symbol(v->type.dims[axis]);
        own += s && s->value == v && v->def;
    }
    return own > 0 || (v->def && v->type.rank < 0);
}

void infer_bound_error(Model *m, Str where, const Value *v) {
    const Value *origin = origin_of(v);
    if (origin)
        diag_add(m->diags, OX0003, where,
                 arena_printf(m->arena, "write --bound \"%.*s=N\"", (int)origin->name.n,
                              origin->name.p),
                 "the size of \"%.*s\" follows from that of \"%.*s\"", (int)v->name.n,
                 v->name.p, (int)origin->name.n, origin->name.p);
    else if (is_open(v))
        diag_add(m->diags, OX0003, where,
                 STR("bound an earlier value that it follows from"),
                 "the shape of \"%.*s\" is not that of one size that data decide",
                 (int)v->name.n, v->name.p);
    else
        diag_add(m->diags, OX0003, where,
                 STR("bound an output of an operator such as NonZero or Unique"),
                 "the size of \"%.*s\" does not depend on data, so it has no bound",
                 (int)v->name.n, v->name.p);
}

static void check_values(Model *m, Value *const *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (values[i]->bound)
            infer_bound_error(m, (Str){0}, values[i]);
}

static void check_graph(void *user, Graph *g) {
    check_values(user, g->inputs, g->n_inputs);
    check_values(user, g->params, g->n_params);
}

void infer_check_bounds(Model *m) {
    graph_each(m->graph, check_graph, m);
}
