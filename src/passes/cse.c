/* Common subexpression elimination: pure nodes with the same operator, inputs and
 * attributes are merged within their graph.  Exporters write a literal anew for each use,
 * so literals of the same type and elements are the same input.  One hash table a graph;
 * linear. */
#include "passes/passes.h"

typedef struct Cse {
    Model *m;
    Arena *scratch;
} Cse;

/* ---- literals ---------------------------------------------------------------------- */

static const Known *elements(const Value *v) {
    return v->kind != VALUE_CONST ? NULL : v->known ? v->known : v->splat;
}

enum { HASHED_MAX = 16 }; /* elements; more are compared only */

/* Equal for equal literals; symbols count as nothing. */
static uint64_t hash_literal(const Value *v, const Known *k) {
    uint64_t h = hash_mix(v->type.dtype, k->n);
    for (size_t i = 0; i < k->n && i < HASHED_MAX; i++) {
        uint64_t bits = k->ints ? (uint64_t)k->ints[i].c : 0;
        if (k->floats)
            memcpy(&bits, &k->floats[i], sizeof bits);
        h = hash_mix(h, bits);
    }
    return h;
}

static bool same_elements(const Known *a, const Known *b) {
    bool same = a->n == b->n && !a->floats == !b->floats;
    for (size_t i = 0; same && i < a->n; i++)
        same = a->floats ? memcmp(&a->floats[i], &b->floats[i], sizeof *a->floats) == 0
                         : dim_eq(a->ints[i], b->ints[i]);
    return same;
}

static bool same_literals(const Value *a, const Value *b) {
    const Known *x = elements(a), *y = elements(b);
    return x && y && !a->known == !b->known && type_same_shape(&a->type, &b->type) &&
           a->type.dtype == b->type.dtype && same_elements(x, y);
}

/* ---- nodes ------------------------------------------------------------------------- */

static uint64_t hash_input(Value *in) {
    const Value *v = value_final(in);
    const Known *k = v ? elements(v) : NULL;
    return k ? hash_literal(v, k) : v ? v->id + 1 : 0;
}

static bool same_input(Value *a, Value *b) {
    const Value *x = value_final(a), *y = value_final(b);
    return x == y || (x && y && same_literals(x, y));
}

static uint64_t hash_node(const Node *n) {
    uint64_t h = hash_mix(str_hash(n->op_type), n->n_in);
    for (uint32_t i = 0; i < n->n_in; i++)
        h = hash_mix(h, hash_input(n->in[i]));
    for (uint32_t i = 0; i < n->n_attrs; i++)
        h = hash_mix(h, (uint64_t)n->attrs[i].i ^ str_hash(n->attrs[i].s));
    return h;
}

/* Operators of passes may be what they are by the type of their output alone. */
static bool same_shapes(const Node *a, const Node *b) {
    if (!a->op->domain || !str_is(STR(OP_INTERNAL), a->op->domain))
        return true;
    const Type *x = &a->out[0]->type, *y = &b->out[0]->type;
    return x->rank == y->rank && (x->rank < 0 || type_same_shape(x, y));
}

static bool same_node(const Node *a, const Node *b) {
    if (a->op != b->op || a->n_in != b->n_in || a->n_attrs != b->n_attrs ||
        a->n_out != b->n_out)
        return false;
    for (uint32_t i = 0; i < a->n_in; i++)
        if (!same_input(a->in[i], b->in[i]))
            return false;
    for (uint32_t i = 0; i < a->n_attrs; i++)
        if (!attr_same(&a->attrs[i], &b->attrs[i]))
            return false;
    for (uint32_t i = 0; i < a->n_out; i++)
        if (!a->out[i] != !b->out[i])
            return false;
    return a->n_out == 0 || !a->out[0] || same_shapes(a, b);
}

static bool may_merge(const Node *n) {
    if (!n->op || n->op->facts & OP_IMPURE)
        return false;
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].graph_count)
            return false;
    return true;
}

/* Open addressing; the table has at least twice as many slots as nodes. */
static Node *find_or_add(Node **table, size_t cap, Node *n) {
    for (size_t i = hash_node(n) & (cap - 1);; i = (i + 1) & (cap - 1)) {
        if (!table[i]) {
            table[i] = n;
            return n;
        }
        if (same_node(table[i], n))
            return table[i];
    }
}

static void cse_graph(void *user, Graph *g) {
    Cse *c = user;
    size_t cap = 16;
    while (cap < g->n_nodes * 2)
        cap *= 2;
    Node **table = ARENA_ARRAY(c->scratch, cap, Node *);
    if (!table)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        Node *first = may_merge(n) ? find_or_add(table, cap, n) : n;
        if (first == n) {
            g->nodes[kept++] = n;
            continue;
        }
        node_absorb(c->m, n, first);
        for (uint32_t k = 0; k < n->n_out; k++) {
            if (!n->out[k])
                continue;
            value_replace(c->m, n->out[k], first->out[k]);
            first->out[k]->is_origin |= n->out[k]->is_origin;
        }
    }
    g->n_nodes = kept;
}

void pass_cse(Model *m) {
    Arena scratch;
    arena_scratch_begin(&scratch, m->arena);
    Cse c = {m, &scratch};
    graph_each(m->graph, cse_graph, &c);
    replace_values(m);
    arena_scratch_end(&scratch, m->arena);
}
