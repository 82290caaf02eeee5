/* Rewrites nodes as simpler ones and bypasses those that return an input: identities,
 * x + 0, x * 1, as the registry's facts say.  The sign of a zero may differ: -0.0 + 0.0
 * is 0.0.  A graph output keeps its name, since that is stored beside it. */
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

/* The input that a binary node returns, because the other is its unit; NULL otherwise. */
static Value *unit_partner(const Node *n) {
    bool zero = n->op->facts & OP_UNIT0, one = n->op->facts & OP_UNIT1;
    if ((!zero && !one) || n->n_in != 2 || !n->in[0] || !n->in[1])
        return NULL;
    int last = n->op->facts & OP_COMMUTATIVE ? 0 : 1;
    for (int other = 1; other >= last; other--)
        if (is_number(n->in[other]->splat, one) && same_type(n->in[!other], n->out[0]))
            return n->in[!other];
    return NULL;
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
    return n->op->facts & OP_IDENTITY ? n->in[0] : unit_partner(n);
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

/* ---- the pass ---------------------------------------------------------------------- */

static void simplify_graph(void *user, Graph *g) {
    Model *m = user;
    size_t kept = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        if (n->op && n->op->rewrite) {
            n->op->rewrite(m, n);
            m->has_aliases = true; /* it may read what a dropped node read */
        }
        spare_broadcasts(m, n);
        Value *same = bypassed(n);
        if (same)
            value_replace(m, n->out[0], same);
        else
            g->nodes[kept++] = n;
    }
    g->n_nodes = kept;
}

void pass_simplify(Model *m) {
    graph_count_uses(m);
    graph_each(m->graph, simplify_graph, m);
    replace_values(m);
}
