/* A bound, which the user has given with --bound, that means nothing: what its value does
 * not let it say, and which value to bound instead. */
#include "ops/core/engine.h"

typedef struct SizeOrigin {
    const Value *of; /* whose size is asked about */
    const Value *found;
} SizeOrigin;

static void find_origin(void *user, const Symbol *s) {
    SizeOrigin *o = user;
    if (s->value && s->value->def && s->value != o->of)
        o->found = s->value;
}

/* The value whose size, which data decide, the size of v follows from; NULL: none. */
static const Value *origin_of(const Value *v) {
    SizeOrigin o = {.of = v};
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
