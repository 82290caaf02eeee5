/* Moving types over the borders of subgraphs, sequences and optionals, and questions
 * about subgraphs that control flow asks. */
#include "ops/core/nested.h"

/* ---- dimensions ---------------------------------------------------------------------
 */

typedef struct Reach {
    const Graph *from;
    bool ok;
} Reach;

static void check_symbol(void *user, const Symbol *s) {
    Reach *r = user;
    const Value *origin = value_final(s->value);
    if (!origin || (origin->type.kind != TYPE_TENSOR && s->axis >= 0)) {
        r->ok = false;
        return;
    }
    const Graph *g = r->from;
    while (g && g != origin->graph)
        g = g->parent;
    r->ok = r->ok && g;
}

/* Code in graph `from` can read every symbol of d. */
static bool is_readable(Dim d, const Graph *from) {
    Reach r = {from, true};
    dim_each_symbol(d, check_symbol, &r);
    return r.ok;
}

static bool is_own(Dim d, const Value *v, int axis) {
    const Symbol *s = dim_as_symbol(d);
    return s && s->value == v && s->axis == axis;
}

/* ---- types --------------------------------------------------------------------------
 */

static Type *copy_type(Model *m, Type t) {
    Type *copy = ARENA_NEW(m->arena, Type);
    if (copy)
        *copy = t;
    return copy;
}

Type type_moved(Model *m, const Type *t, Value *v) {
    Type moved = *t;
    if (t->kind == TYPE_SEQUENCE || t->kind == TYPE_OPTIONAL) {
        moved.elem = t->elem ? copy_type(m, type_moved(m, t->elem, v)) : NULL;
        return moved;
    }
    if (t->rank <= 0)
        return moved;
    Dim *dims = ARENA_ARRAY(m->arena, (size_t)t->rank, Dim);
    if (!dims) {
        moved.rank = -1;
        return moved;
    }
    for (int i = 0; i < t->rank; i++)
        dims[i] = is_own(t->dims[i], v, i) || is_readable(t->dims[i], v->graph)
                      ? t->dims[i]
                      : value_symbol(m, v, i);
    moved.dims = dims;
    return moved;
}

static bool widen_dims(Model *m, Type *type, const Type *t, Value *v) {
    Dim *dims = NULL;
    for (int i = 0; i < type->rank; i++) {
        if (dim_eq(type->dims[i], t->dims[i]) || is_own(type->dims[i], v, i))
            continue;
        if (!dims) {
            dims = ARENA_ARRAY(m->arena, (size_t)type->rank, Dim);
            if (!dims)
                return false;
            memcpy(dims, type->dims, (size_t)type->rank * sizeof *dims);
        }
        dims[i] = value_symbol(m, v, i);
    }
    if (dims)
        type->dims = dims;
    return dims != NULL;
}

static bool widen(Model *m, Type *type, const Type *t, Value *v);

/* Widens what a sequence or optional holds. */
static bool widen_held(Model *m, Type *type, const Type *t, Value *v) {
    Type elem = type_elem(type);
    bool changed = widen(m, &elem, t, v);
    if (changed)
        type->elem = copy_type(m, elem);
    return changed;
}

static bool widen(Model *m, Type *type, const Type *t, Value *v) {
    if (type->kind == TYPE_OPTIONAL && t->kind != TYPE_OPTIONAL)
        return widen_held(m, type, t, v);
    if (type->kind != t->kind || t->rank == RANK_EMPTY)
        return false;
    if (type->kind != TYPE_TENSOR) {
        Type other = type_elem(t);
        return widen_held(m, type, &other, v);
    }
    if (type->rank == RANK_EMPTY) {
        *type = type_moved(m, t, v);
        return true;
    }
    bool typed = !type->dtype && t->dtype;
    if (typed)
        type->dtype = t->dtype;
    if (type->rank < 0)
        return typed;
    if (type->rank == t->rank)
        return widen_dims(m, type, t, v) || typed;
    type->rank = -1;
    return true;
}

bool type_widen(Model *m, Value *v, const Type *t) {
    return widen(m, &v->type, t, v);
}

bool type_same(const Type *a, const Type *b) {
    if (a->kind != b->kind || a->dtype != b->dtype || a->rank != b->rank)
        return false;
    if (a->kind != TYPE_TENSOR) {
        bool both = a->elem && b->elem;
        return both && type_same(a->elem, b->elem);
    }
    return type_same_shape(a, b);
}

Type type_elem(const Type *t) {
    return t->elem ? *t->elem : (Type){.rank = -1};
}

void set_moved(Model *m, Node *n, int out, const Type *t) {
    Value *v = node_out(n, out);
    if (v)
        v->type = type_moved(m, t, v);
}

void set_container(Model *m, Node *n, int out, TypeKind kind, const Type *elem) {
    set_moved(m, n, out, &(Type){.kind = kind, .rank = -1, .elem = elem});
}

/* ---- numbers ------------------------------------------------------------------------
 */

enum { NUMBER_DEPTH_MAX = 8 };

static bool is_number(const Value *v, int depth) {
    if (v->known)
        return v->known->n == 1;
    if (v->reals)
        return v->reals->n == 1;
    const Node *n = v->def;
    if (depth == 0 || !n || !n->op || !(n->op->facts & OP_ON_INTS))
        return false;
    if (n->n_in == 1 && n->in[0] && n->in[0]->type.dtype != v->type.dtype)
        return false;
    for (uint32_t i = 0; i < n->n_in; i++)
        if (!n->in[i] || !is_number(n->in[i], depth - 1))
            return false;
    return true;
}

bool value_is_number(const Value *v) {
    return v && is_number(v, NUMBER_DEPTH_MAX);
}

bool symbol_is_computed(const Symbol *s) {
    const Value *v = s->axis == SYMBOL_SELF ? value_final(s->value) : NULL;
    return v && v->reals;
}

/* ---- subgraphs ----------------------------------------------------------------------
 */

Graph *attr_graph(const Node *n, const char *name) {
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (str_is(n->attrs[i].name, name) && n->attrs[i].graph_count == 1)
            return n->attrs[i].graphs[0];
    return NULL;
}

static bool has_graphs(const Node *n) {
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].graph_count)
            return true;
    return false;
}

static bool node_needs_numbers(const Node *n) {
    if (!n->op || n->concrete || n->data_sized)
        return true;
    if (has_graphs(n) || n->bound)
        return false;
    const char *at = n->op->fixed;
    for (OpSlot slot; op_spec_next(&at, &slot);) {
        const Value *v = node_in(n, op_input_index(n->op, slot.name));
        if (v && !v->known && !v->reals)
            return true;
    }
    return false;
}

/* Some node of g or of the graphs inside it is as `test` says. */
static bool any_node(const Graph *g, bool (*test)(const Node *n)) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        if (test(n))
            return true;
        for (uint32_t a = 0; a < n->n_attrs; a++)
            for (size_t k = 0; k < n->attrs[a].graph_count; k++)
                if (any_node(n->attrs[a].graphs[k], test))
                    return true;
    }
    return false;
}

bool graph_needs_numbers(const Graph *g) {
    return any_node(g, node_needs_numbers);
}

static bool node_may_refuse(const Node *n) {
    return n->only != NULL;
}

bool graph_may_refuse(const Graph *g) {
    return any_node(g, node_may_refuse);
}

static bool is_random(const Node *n) {
    return n->op && n->op->facts & OP_IMPURE;
}

bool graph_is_random(const Graph *g) {
    return any_node(g, is_random);
}

int graph_depth(const Graph *g) {
    int depth = 0;
    while ((g = g->parent))
        depth++;
    return depth;
}
