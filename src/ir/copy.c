/* A second model of the same file, for passes that try what another shape would give.
 * Before inference types hold numbers and single symbols, so that a symbol of the copy is
 * one of the same name and id that is read from the copy's value. */
#include "ir/ir.h"

typedef struct Copy {
    const Model *from;
    Model *to;
    Value **values; /* by id; NULL: not met yet */
    bool *filled;   /* by id */
    Dim *symbols;   /* by id; a number: not copied yet */
    struct {
        const Value **items;
        size_t count, cap;
    } met;
} Copy;

/* The copy of v, which may be empty still: symbols name values whose types have symbols
 * that name values, and so on, which is no reason to recurse.  NULL when refused. */
static Value *place_of(Copy *c, const Value *v) {
    Value **copy = &c->values[v->id];
    if (!*copy && ARENA_PUSH(c->to->arena, &c->met, v))
        *copy = ARENA_NEW(c->to->arena, Value);
    return *copy;
}

/* ---- types ------------------------------------------------------------------------- */

static Dim copy_dim(Copy *c, Dim d) {
    const Symbol *s = dim_as_symbol(d);
    Dim *known = s ? &c->symbols[s->id] : NULL;
    if (!s || !dim_is_int(*known))
        return s ? *known : d;
    Dims *ds = &c->to->dims;
    Value *v = s->value ? place_of(c, s->value) : NULL;
    ds->symbols = s->id;
    *known = dim_symbol(ds, s->name, v, s->axis);
    ds->symbols = c->from->dims.symbols;
    if (s->name.n)
        (void)map_set(&c->to->dim_names, s->name, known);
    return *known;
}

static Type copy_type(Copy *c, const Type *t) {
    Type copy = *t;
    Dim *dims = t->rank > 0 ? ARENA_ARRAY(c->to->arena, (size_t)t->rank, Dim) : NULL;
    for (int i = 0; dims && i < t->rank; i++)
        dims[i] = copy_dim(c, t->dims[i]);
    copy.dims = dims;
    Type *elem = t->elem ? ARENA_NEW(c->to->arena, Type) : NULL;
    if (elem)
        *elem = copy_type(c, t->elem);
    copy.elem = elem;
    return copy;
}

/* ---- values and nodes -------------------------------------------------------------- */

/* Its node and graph are set when they are copied. */
static void fill(Copy *c, const Value *v) {
    Value *copy = c->values[v->id];
    if (!copy || c->filled[v->id])
        return;
    c->filled[v->id] = true;
    *copy = *v;
    copy->type = copy_type(c, &v->type);
    Type *declared = v->declared ? ARENA_NEW(c->to->arena, Type) : NULL;
    if (declared)
        *declared = copy_type(c, v->declared);
    copy->declared = declared;
}

static Value *copy_value(Copy *c, const Value *v) {
    Value *copy = place_of(c, v);
    fill(c, v);
    return copy;
}

/* Entries may be NULL. */
static Value **copy_values(Copy *c, Value *const *values, size_t n) {
    Value **copy = ARENA_ARRAY(c->to->arena, n, Value *);
    for (size_t i = 0; copy && i < n; i++)
        copy[i] = values[i] ? copy_value(c, values[i]) : NULL;
    return copy;
}

static Graph *copy_graph(Copy *c, const Graph *g, Node *owner);

static Attr copy_attr(Copy *c, const Attr *attr, Node *owner) {
    Attr copy = *attr;
    copy.graphs = ARENA_ARRAY(c->to->arena, attr->graph_count, Graph *);
    for (size_t i = 0; copy.graphs && i < attr->graph_count; i++)
        copy.graphs[i] = copy_graph(c, attr->graphs[i], owner);
    return copy;
}

static Node *copy_node(Copy *c, const Node *n, Graph *g) {
    Arena *a = c->to->arena;
    Node *copy = ARENA_NEW(a, Node);
    if (!copy)
        return NULL;
    *copy = *n;
    copy->graph = g;
    copy->in = copy_values(c, n->in, n->n_in);
    copy->out = copy_values(c, n->out, n->n_out);
    copy->attrs = ARENA_ARRAY(a, n->n_attrs, Attr);
    if (a->failed)
        return NULL;
    for (uint32_t i = 0; i < n->n_attrs; i++)
        copy->attrs[i] = copy_attr(c, &n->attrs[i], copy);
    for (uint32_t i = 0; i < n->n_out; i++)
        if (copy->out[i])
            copy->out[i]->def = copy;
    return copy;
}

/* ---- graphs ------------------------------------------------------------------------ */

static void take(Graph *g, Value *const *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (values[i])
            values[i]->graph = g;
}

/* NULL when memory is refused. */
static Graph *copy_graph(Copy *c, const Graph *g, Node *owner) {
    Arena *a = c->to->arena;
    Graph *copy = ARENA_NEW(a, Graph);
    Node **nodes = ARENA_ARRAY(a, g->n_nodes, Node *);
    if (!copy)
        return NULL;
    *copy = *g;
    copy->model = c->to;
    copy->owner = owner;
    copy->parent = owner ? owner->graph : NULL;
    copy->inputs = copy_values(c, g->inputs, g->n_inputs);
    copy->params = copy_values(c, g->params, g->n_params);
    copy->cap_params = g->n_params;
    copy->nodes = nodes;
    for (size_t i = 0; i < g->n_nodes && !a->failed; i++) {
        nodes[i] = copy_node(c, g->nodes[i], copy);
        if (nodes[i])
            take(copy, nodes[i]->out, nodes[i]->n_out);
    }
    copy->outputs = copy_values(c, g->outputs, g->n_outputs);
    if (a->failed)
        return NULL;
    take(copy, copy->inputs, g->n_inputs);
    take(copy, copy->params, g->n_params);
    return copy;
}

Model *model_copy(const Model *m, Diags *diags) {
    Arena *a = m->arena;
    Model *copy = ARENA_NEW(a, Model);
    Copy c = {.from = m,
              .to = copy,
              .values = ARENA_ARRAY(a, m->value_count, Value *),
              .filled = ARENA_ARRAY(a, m->value_count, bool),
              .symbols = ARENA_ARRAY(a, m->dims.symbols, Dim)};
    if (!copy || a->failed)
        return NULL;
    *copy = *m;
    copy->diags = diags;
    copy->dim_names = (Map){.arena = a};
    copy->graph = copy_graph(&c, m->graph, NULL);
    for (size_t i = 0; i < c.met.count; i++)
        fill(&c, c.met.items[i]);
    return a->failed ? NULL : copy;
}
