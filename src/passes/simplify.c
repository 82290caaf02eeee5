/* Rewrites nodes as simpler ones and bypasses those that return an input: identities,
 * x + 0, x * 1, as the registry's facts say.  The sign of a zero may differ: -0.0 + 0.0
 * is 0.0.  A graph output keeps its name, since that is stored beside it. */
#include "ops/core/layout.h"
#include "passes/passes.h"

static bool is_number(const Known *k, int number) {
    if (!k)
        return false;
    return k->floats ? k->floats[0] >= number && k->floats[0] <= number
                     : dim_is(k->ints[0], number);
}

static bool same_type(const Value *x, const Value *y) {
    return !y->is_assumed && x->type.dtype == y->type.dtype &&
           x->type.dtype != DT_UNDEFINED && type_same_shape(&x->type, &y->type);
}

/* y is x, which is broadcast to its shape.  Only of masks, which are read by what
 * broadcasts: x + zeros says what it does. */
static bool widens(const Value *x, const Value *y) {
    return y->type.dtype == DT_BOOL && x->type.dtype == DT_BOOL && !y->is_assumed &&
           x->type.rank >= 0 && y->type.rank >= x->type.rank;
}

/* The input that a binary node returns, because the other is its unit; NULL otherwise. */
static Value *unit_partner(const Node *n, bool (*is)(const Value *x, const Value *y)) {
    bool zero = n->op->facts & OP_UNIT0, one = n->op->facts & OP_UNIT1;
    if ((!zero && !one) || n->n_in != 2 || !n->in[0] || !n->in[1])
        return NULL;
    int last = n->op->facts & OP_COMMUTATIVE ? 0 : 1;
    for (int other = 1; other >= last; other--)
        if (is_number(n->in[other]->splat, one) && is(n->in[!other], n->out[0]))
            return n->in[!other];
    return NULL;
}

/* The input that a node selects everywhere; NULL when that depends. */
static Value *selected(const Node *n) {
    const Known *condition = n->op->facts & OP_SELECTS ? n->in[0]->splat : NULL;
    if (!condition || !condition->ints || !dim_is_int(condition->ints[0]))
        return NULL;
    Value *x = n->in[dim_is(condition->ints[0], 0) ? 2 : 1];
    return same_type(x, n->out[0]) ? x : NULL;
}

/* The input that node n returns unchanged; NULL when it does something. */
static Value *bypassed(const Node *n) {
    if (!n->op || !node_in(n, 0) || !node_out(n, 0))
        return NULL;
    for (uint32_t i = 1; i < n->n_out; i++)
        if (n->out[i] && n->out[i]->uses)
            return NULL;
    Value *same = n->op->same ? n->op->same(n) : NULL;
    if (same)
        return same;
    if (n->op->facts & OP_KEEPS && same_type(n->in[0], n->out[0]))
        return n->in[0];
    if (n->op->facts & OP_IDENTITY)
        return n->in[0];
    Value *x = selected(n);
    return x ? x : unit_partner(n, same_type);
}

/* ---- operands that are broadcast in vain ------------------------------------------- */

/* Another operand has the shape of the result. */
static bool is_covered(const Node *n, uint32_t i) {
    for (uint32_t k = 0; k < n->n_in; k++) {
        const Value *v = k == i || !n->in[k] ? NULL : value_final(n->in[k]);
        if (v && !v->is_assumed && type_same_shape(&v->type, &n->out[0]->type))
            return true;
    }
    return false;
}

/* x + Expand(y): the operator broadcasts itself. */
static void spare_broadcasts(Model *m, Node *n) {
    if (!n->op || !(n->op->facts & OP_BROADCAST) || !node_out(n, 0) ||
        n->out[0]->is_assumed)
        return;
    for (uint32_t i = 0; i < n->n_in; i++) {
        Value *v = n->in[i] ? value_final(n->in[i]) : NULL;
        Node *def = v ? v->def : NULL;
        if (!def || !def->op || !def->op->narrow || v->is_assumed || !is_covered(n, i))
            continue;
        /* What is bypassed may have readers that v does not count. */
        bool only = n->in[i] == v && v->uses == 1;
        Value *narrow = def->op->narrow(m, def, only);
        n->in[i] = narrow ? narrow : n->in[i];
        m->has_aliases |= narrow != NULL; /* what a dropped node read, perhaps */
    }
}

/* ---- masks that are broadcast later ------------------------------------------------ */

typedef struct NodeList {
    Node **items;
    size_t count, cap;
} NodeList;

static void become_broadcast(Node *n, Value *x) {
    node_set_op(n, op_find(STR(OP_INTERNAL), STR("Broadcast"), OP_NEWEST_OPSET));
    x->uses++;
    n->in[0] = x;
    n->n_in = 1;
    n->n_attrs = 0;
}

/* What v is made from by being broadcast, or v; what has a bound is named where forward
 * says how large it is. */
static Value *narrow_of(Value *v) {
    v = value_final(v);
    bool wide = v->def && v->def->op && v->def->op->facts & OP_WIDENS &&
                !v->is_assumed && !v->def->bound && shape_is_given(v->def, 0);
    return wide ? value_final(v->def->in[0]) : v;
}

/* Some operand has the size of this axis of the result by itself. */
static bool keeps_axis(const Node *n, int axis) {
    const Type *y = &n->out[0]->type;
    for (uint32_t i = 0; i < n->n_in; i++) {
        const Type *t = &narrow_of(n->in[i])->type;
        int k = axis - (y->rank - t->rank);
        if (k >= 0 && dim_eq(t->dims[k], y->dims[axis]))
            return true;
    }
    return false;
}

/* The node on operands as they were before they were broadcast.  NULL when they do not fit
 * each other, as a slope must fit its input. */
static Node *narrowed(Model *m, Node *n) {
    Node *inner = node_beside(m, n, n->n_in, 1, n->n_attrs);
    Str name = arena_printf(m->arena, "%.*s/narrow", (int)n->out[0]->name.n,
                            n->out[0]->name.p);
    Value *v = inner ? value_new(m, n->graph, VALUE_NODE, name) : NULL;
    if (!v)
        return NULL;
    for (uint32_t i = 0; i < n->n_in; i++)
        (inner->in[i] = narrow_of(n->in[i]))->uses++;
    for (uint32_t i = 0; i < n->n_attrs; i++)
        inner->attrs[i] = n->attrs[i];
    inner->n_attrs = n->n_attrs;
    node_set_op(inner, n->op);
    node_make(inner, 0, v);
    Diags *was = m->diags, found = {.arena = m->arena, .file = was->file};
    m->diags = &found;
    infer_node(m, inner);
    m->diags = was;
    return v->type.rank >= 0 && !found.count ? inner : NULL;
}

/* f(broadcast x) is broadcast f(x), and the operator that reads it may broadcast it with
 * another operand.  false when memory is refused. */
static bool widen_later(Model *m, Node *n, NodeList *kept) {
    bool any = false, all = true;
    if (!n->op || !(n->op->facts & (OP_BROADCAST | OP_ELEMENTWISE)) || n->n_out != 1 ||
        n->op->facts & OP_IMPURE || !node_out(n, 0) || n->out[0]->type.rank < 0 ||
        n->out[0]->is_assumed)
        return true;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (!n->in[i] || narrow_of(n->in[i])->type.rank < 0)
            return true;
        any |= narrow_of(n->in[i]) != value_final(n->in[i]);
    }
    for (int axis = 0; any && axis < n->out[0]->type.rank; axis++)
        all &= keeps_axis(n, axis);
    m->has_aliases |= any; /* what a dropped node read, perhaps */
    for (uint32_t i = 0; any && all && i < n->n_in; i++)
        (n->in[i] = narrow_of(n->in[i]))->uses++;
    if (!any || all)
        return true;
    Node *inner = narrowed(m, n);
    if (inner && !ARENA_PUSH(m->arena, kept, inner))
        return false;
    if (inner)
        become_broadcast(n, inner->out[0]);
    return true;
}

/* ---- the pass ---------------------------------------------------------------------- */

static void simplify_graph(void *user, Graph *g) {
    Model *m = user;
    NodeList kept = {.items = ARENA_ARRAY(m->arena, g->n_nodes, Node *)};
    kept.cap = kept.items ? g->n_nodes : 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        if (n->op && n->op->rewrite) {
            n->op->rewrite(m, n);
            m->has_aliases = true; /* it may read what a dropped node read */
        }
        spare_broadcasts(m, n);
        if (!widen_later(m, n, &kept))
            return;
        Value *same = bypassed(n);
        if (same) {
            value_replace(m, n->out[0], same);
            continue;
        }
        Value *wide =
            n->op && n->n_out == 1 && n->out[0] ? unit_partner(n, widens) : NULL;
        if (wide)
            become_broadcast(n, wide);
        if (!ARENA_PUSH(m->arena, &kept, n))
            return;
    }
    g->nodes = kept.items;
    g->n_nodes = kept.count;
}

void pass_simplify(Model *m) {
    graph_count_uses(m);
    graph_each(m->graph, simplify_graph, m);
    replace_values(m);
}
