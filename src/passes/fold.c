/* Constant folding.  Inference has already computed the elements of small tensors; a
 * node whose outputs are all known becomes literals.  Parameters are never folded into
 * anything: their gradients would be lost.  Larger results (arange(512)) keep their
 * node, which reads better, and never grow the file. */
#include "passes/passes.h"

enum { FOLD_MAX = 64 };

static void find_symbol_of(void *user, const Symbol *s) {
    const Value **v = user;
    if (*v == s->value)
        *v = NULL;
}

/* Dimensions are read from other values, so that v needs no node of its own. */
static bool shape_is_free(const Value *v) {
    const Value *found = v;
    for (int i = 0; i < v->type.rank; i++)
        dim_each_symbol(v->type.dims[i], find_symbol_of, &found);
    return v->type.rank >= 0 && found == v;
}

static bool is_literal(const Value *v) {
    if (v->splat && v->type.kind == TYPE_TENSOR && shape_is_free(v))
        return true;
    return v->known && v->known->n <= FOLD_MAX && type_is_static(&v->type);
}

static bool folds(const Node *n) {
    if (!n->op || n->op->facts & OP_IMPURE)
        return false;
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i] && !is_literal(n->out[i]))
            return false;
    return n->n_out > 0;
}

void make_literal(Model *m, Graph *g, Value *v) {
    Value **room =
        arena_push_room(m->arena, g->params, g->n_params, &g->cap_params, sizeof *room);
    g->params = room;
    if (g->n_params >= g->cap_params)
        return;
    g->params[g->n_params++] = v;
    v->kind = VALUE_CONST;
    v->def = NULL;
    v->generated_name = true;
}

static void fold_graph(void *user, Graph *g) {
    Model *m = user;
    size_t kept = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        if (!folds(n)) {
            g->nodes[kept++] = n;
            continue;
        }
        for (uint32_t k = 0; k < n->n_out; k++)
            if (n->out[k])
                make_literal(m, g, n->out[k]);
    }
    g->n_nodes = kept;
}

void pass_fold(Model *m) {
    graph_each(m->graph, fold_graph, m);
}
