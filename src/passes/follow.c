/* Which values have the type of the parameters when the code runs.
 *
 * load_params(dtype=jnp.bfloat16) gives the weights another type than the file has, and
 * what is computed from them follows.  Constants, tables and casts do not: a file of
 * float32 names float32 in them only because the model was exported in it, and JAX would
 * promote all that they meet.  PyTorch's modules say `.to(x.dtype)` there, which leaves
 * no trace in a graph of one type.  So where both kinds meet, code generation casts what
 * does not follow to the type of what does.
 *
 * The lowest number of float32, of which masks are made, is an infinity in smaller
 * types, and a row of infinities has no softmax.  Where it may be cast it stays the
 * lowest number.
 *
 * Probabilities that a TopK chooses from stay in float32, unless a result would be.
 * Rounded ones tie, and routers of mixtures of experts, which say
 * softmax(dtype=torch.float32), would choose others. */
#include "passes/passes.h"

/* The element type, also of sequences and optionals; DT_UNDEFINED when it is no float. */
static DType float_of(const Value *v) {
    const Type *t = v ? &v->type : NULL;
    while (t && t->kind != TYPE_TENSOR)
        t = t->elem;
    return t && dtype_is_float(t->dtype) ? t->dtype : DT_UNDEFINED;
}

static bool mark(Value *v) {
    bool new = v && !v->follows &&float_of(v);
    if (new)
        v->follows = true;
    return new;
}

static bool is_limit(const Value *v) {
    const Known *k = v->splat ? v->splat : v->known;
    for (size_t i = 0; k && k->floats && i < k->n; i++)
        if (float_is_limit(k->floats[i], v->type.dtype))
            return true;
    return false;
}

/* Marks what is computed of masks. */
static void find_limits(void *user, Graph *g) {
    (void)user;
    for (size_t i = 0; i < g->n_params; i++)
        g->params[i]->holds_limit =
            g->params[i]->kind == VALUE_CONST && is_limit(g->params[i]);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        bool limit = false;
        for (uint32_t k = 0; k < n->n_in && !limit; k++)
            limit = n->in[k] && value_final(n->in[k])->holds_limit;
        for (uint32_t k = 0; k < n->n_out; k++)
            if (n->out[k] && float_of(n->out[k]) && !n->out[k]->follows)
                n->out[k]->holds_limit = limit;
    }
}

/* Some input of this type follows. */
static bool reads_followers(const Node *n, DType dtype) {
    for (uint32_t i = 0; i < n->n_in; i++) {
        const Value *v = value_final(n->in[i]);
        if (v && v->follows && float_of(v) == dtype && node_shares_type(n, i))
            return true;
    }
    return false;
}

/* A tensor that an exporter computed: folded weights, or a table such as frequencies of
 * positions.  What it meets says which. */
static bool is_unclear(const Value *v) {
    return v->kind == VALUE_PARAM && v->generated_name && !(v->note && v->note->key.n);
}

/* The makers of what nodes choose from. */
static void keep_exact(void *user, Graph *g) {
    (void)user;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        Value *x = n->op && n->op->facts & OP_RANKS ? value_final(node_in(n, 0)) : NULL;
        if (x && x->def && x->def->op && x->type.dtype == DT_FLOAT)
            x->def->is_exact = x->def->op->facts & OP_PROBABILITIES;
    }
}

static void forget_exact(void *user, Graph *g) {
    (void)user;
    for (size_t i = 0; i < g->n_nodes; i++)
        g->nodes[i]->is_exact = false;
}

/* v stays in float32 because something that it is computed from does. */
static bool is_exact(const Model *m, const unsigned char *exact, const Value *v) {
    return v->id < m->value_count && exact[v->id] && !v->follows && float_of(v);
}

/* Some result of forward would be in float32, whatever the type of the parameters. */
static bool gives_exact(Model *m) {
    unsigned char *exact = arena_alloc(m->arena, m->value_count + 1);
    for (size_t i = 0; exact && i < m->graph->n_nodes; i++) {
        const Node *n = m->graph->nodes[i];
        bool from = n->is_exact;
        for (uint32_t k = 0; k < n->n_in && !from; k++)
            from = n->in[k] && is_exact(m, exact, value_final(n->in[k]));
        for (uint32_t k = 0; from && k < n->n_out; k++)
            if (n->out[k])
                exact[n->out[k]->id] = 1;
    }
    for (size_t i = 0; exact && i < m->graph->n_outputs; i++)
        if (is_exact(m, exact, value_final(m->graph->outputs[i])))
            return true;
    return false;
}

static bool visit_graph(Graph *g);

/* A subgraph's inputs are what the node reads, its outputs what the node makes. */
static bool visit_subgraph(const Node *n, Graph *g) {
    bool changed = false;
    for (size_t i = 0; i < g->n_inputs; i++)
        if (reads_followers(n, float_of(g->inputs[i])))
            changed |= mark(g->inputs[i]);
    changed |= visit_graph(g);
    for (size_t i = 0; i < g->n_outputs; i++) {
        const Value *v = value_final(g->outputs[i]);
        for (uint32_t k = 0; v->follows && k < n->n_out; k++)
            if (float_of(n->out[k]) == float_of(v))
                changed |= mark(n->out[k]);
    }
    return changed;
}

static bool visit_node(const Node *n) {
    bool changed = false;
    for (uint32_t i = 0; i < node_graph_attrs(n); i++)
        for (size_t k = 0; k < n->attrs[i].graph_count; k++)
            changed |= visit_subgraph(n, n->attrs[i].graphs[k]);
    if (!n->op || n->is_exact || n->op->facts & OP_OWN_TYPE)
        return changed;
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] && is_unclear(n->in[i]) && node_shares_type(n, i) &&
            reads_followers(n, float_of(n->in[i])))
            changed |= mark(n->in[i]);
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k] && reads_followers(n, float_of(n->out[k])))
            changed |= mark(n->out[k]);
    return changed;
}

static bool visit_graph(Graph *g) {
    bool changed = false;
    for (size_t i = 0; i < g->n_params; i++)
        if (g->params[i]->kind == VALUE_PARAM && !g->params[i]->is_buffer &&
            !is_unclear(g->params[i]))
            changed |= mark(g->params[i]);
    for (size_t i = 0; i < g->n_nodes; i++)
        changed |= visit_node(g->nodes[i]);
    return changed;
}

/* Tables keep the type that they have in the file. */
static void keep_tables(void *user, Graph *g) {
    (void)user;
    for (size_t i = 0; i < g->n_params; i++)
        if (is_unclear(g->params[i]) && float_of(g->params[i]))
            g->params[i]->is_buffer |= !g->params[i]->follows;
}

/* Loops hand values back to their start: until nothing changes, which each round of
 * them brings nearer. */
void pass_follow(Model *m) {
    for (size_t i = 0; i < m->graph->n_inputs; i++)
        (void)mark(m->graph->inputs[i]);
    graph_each(m->graph, keep_exact, NULL);
    while (visit_graph(m->graph) && !m->arena->failed) {
    }
    if (gives_exact(m)) { /* they follow then, as all else does */
        graph_each(m->graph, forget_exact, NULL);
        while (visit_graph(m->graph) && !m->arena->failed) {
        }
    }
    graph_each(m->graph, keep_tables, NULL);
    graph_each(m->graph, find_limits, NULL);
}
