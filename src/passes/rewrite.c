/* Shared by the passes: readers of values are redirected, literals made. */
#include "passes/passes.h"

static void redirect(void *user, Graph *g) {
    (void)user;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++)
            g->nodes[i]->in[k] = value_final(g->nodes[i]->in[k]);
    for (size_t i = 0; i < g->n_outputs; i++)
        g->outputs[i] = value_final(g->outputs[i]);
}

void replace_values(Model *m) {
    if (m->has_aliases)
        graph_each(m->graph, redirect, NULL);
    m->has_aliases = false;
}

bool is_read_for_size(const Value *v) {
    const Type *t = v->type.kind == TYPE_SEQUENCE ? v->type.elem : &v->type;
    bool read = v->is_origin;
    for (int i = 0; t && i < t->rank; i++) {
        const Symbol *s = dim_as_symbol(t->dims[i]);
        read |= s && s->value == v;
    }
    return read;
}

Value *ints_literal(Model *m, Graph *g, const int64_t *v, size_t n) {
    Str name = arena_printf(m->arena, "ints/%u", m->value_count);
    Value *list = value_new(m, g, VALUE_CONST, name);
    Known *k = known_new(m, DT_INT64, n);
    Dim *dims = ARENA_ARRAY(m->arena, 1, Dim);
    if (!list || !k || !dims)
        return NULL;
    dims[0] = dim_int((int64_t)n);
    list->type = (Type){.dtype = DT_INT64, .rank = 1, .dims = dims};
    for (size_t i = 0; i < n; i++)
        known_ints(k)[i] = dim_int(v[i]);
    value_set_known(m, list, k);
    return list;
}
