/* Views of views become one, where that is plain: a transpose that moves axes of size 1
 * alone joins the reshapes beside it, and slices of other axes are one slice:
 *
 *     y = x.reshape(batch, 1, 4, 1, 4, 32)         y = x.reshape(batch, 16, 32)
 *     y = y.transpose(0, 1, 3, 2, 4, 5)
 *     y = y.reshape(batch, 16, 32)
 *     even = x[:, ::2]                             a = x[:, ::2, ::2]
 *     a, b = even[:, :, ::2], even[:, :, 1::2]     b = x[:, ::2, 1::2]
 *
 * It runs when fusions have seen what exporters write. */
#include "ops/core/layout.h"
#include "passes/passes.h"

/* The order of the axes that are longer than 1 stays. */
static bool keeps_order(const Node *n) {
    int perm[OX_MAX_RANK], last = -1;
    const Type *x = &n->in[0]->type;
    if (x->rank < 0 || !n->op->permutes(n, perm))
        return false;
    for (int i = 0; i < x->rank; i++) {
        if (dim_is(x->dims[perm[i]], 1))
            continue;
        if (perm[i] < last)
            return false;
        last = perm[i];
    }
    return true;
}

/* Alone, it says more as a transpose. */
static void become_reshape(Node *n) {
    const Value *x = node_in(n, 0);
    const Node *before = x && n->op && n->op->permutes ? x->def : NULL;
    if (!before || !before->op || !(before->op->facts & OP_RESHAPES) || x->is_assumed ||
        !shape_is_given(n, 0) || !keeps_order(n))
        return;
    node_set_op(n, op_find(STR(OP_INTERNAL), STR("Reshaped"), OP_NEWEST_OPSET));
    n->n_attrs = 0;
}

static void visit(void *user, Graph *g) {
    Model *m = user;
    for (size_t i = 0; i < g->n_nodes; i++) {
        become_reshape(g->nodes[i]);
        merge_slices(m, g->nodes[i]);
    }
}

void pass_views(Model *m) {
    graph_each(m->graph, visit, m);
    m->has_aliases = true; /* they may read what a dropped node read */
}
