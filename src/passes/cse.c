/* Common subexpression elimination: pure nodes with the same operator, inputs and
 * attributes are merged within their graph.  One hash table a graph; linear. */
#include "passes/passes.h"

typedef struct Cse {
    Arena *scratch;
} Cse;

static uint64_t mix(uint64_t h, uint64_t x) {
    h ^= x + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
    return h * 0xff51afd7ed558ccdu;
}

static uint64_t hash_node(const Node *n) {
    uint64_t h = mix(str_hash(n->op_type), n->n_in);
    for (uint32_t i = 0; i < n->n_in; i++) {
        const Value *v = value_final(n->in[i]);
        h = mix(h, v ? v->id + 1 : 0);
    }
    for (uint32_t i = 0; i < n->n_attrs; i++)
        h = mix(h, (uint64_t)n->attrs[i].pb->i ^ str_hash(n->attrs[i].pb->s));
    return h;
}

static bool same_bytes(const void *a, const void *b, size_t n) {
    return n == 0 || memcmp(a, b, n) == 0;
}

static bool same_tensor(const Tensor *a, const Tensor *b) {
    return a == b || (a && b && a->dtype == b->dtype && a->rank == b->rank &&
                      a->dtype != DT_STRING && str_eq(a->data, b->data) &&
                      same_bytes(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims));
}

bool attr_same(const PbAttr *a, const PbAttr *b) {
    if (!str_eq(a->name, b->name) || a->type != b->type)
        return false;
    switch (a->type) {
    case ATTR_FLOAT:
        return same_bytes(&a->f, &b->f, sizeof a->f);
    case ATTR_INT:
        return a->i == b->i;
    case ATTR_STRING:
        return str_eq(a->s, b->s);
    case ATTR_TENSOR:
        return same_tensor(a->t, b->t);
    case ATTR_FLOATS:
        return a->floats.count == b->floats.count &&
               same_bytes(a->floats.items, b->floats.items,
                          a->floats.count * sizeof(float));
    case ATTR_INTS:
        return a->ints.count == b->ints.count &&
               same_bytes(a->ints.items, b->ints.items,
                          a->ints.count * sizeof(int64_t));
    default:
        return false;
    }
}

static bool same_node(const Node *a, const Node *b) {
    if (a->op != b->op || a->n_in != b->n_in || a->n_attrs != b->n_attrs ||
        a->n_out != b->n_out)
        return false;
    for (uint32_t i = 0; i < a->n_in; i++)
        if (value_final(a->in[i]) != value_final(b->in[i]))
            return false;
    for (uint32_t i = 0; i < a->n_attrs; i++)
        if (!attr_same(a->attrs[i].pb, b->attrs[i].pb))
            return false;
    for (uint32_t i = 0; i < a->n_out; i++)
        if (!a->out[i] != !b->out[i])
            return false;
    return true;
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
        for (uint32_t k = 0; k < n->n_out; k++) {
            if (!n->out[k])
                continue;
            n->out[k]->alias = first->out[k];
            first->out[k]->is_origin |= n->out[k]->is_origin;
        }
    }
    g->n_nodes = kept;
}

void pass_cse(Model *m) {
    Arena scratch;
    arena_scratch_begin(&scratch, m->arena);
    Cse c = {&scratch};
    graph_each(m->graph, cse_graph, &c);
    replace_values(m);
    arena_scratch_end(&scratch, m->arena);
}
