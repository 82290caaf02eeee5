/* What a step reads through index grids, before it is padded. */
#include "ops/core/apart.h"
#include "passes/passes.h"
#include "passes/sizes/step.h"

/* n becomes Unsqueeze where axes of size 1 are all that is new; else it stays. */
static void find_view(Model *m, Node *n) {
    Node before = *n;
    Value *first = n->n_in ? n->in[0] : NULL;
    int64_t axes[OX_MAX_RANK];
    size_t count = 0;
    uint64_t mask = 0;
    n->op->rewrite(m, n);
    if (!n->op->inserts || !str_is(n->domain, OP_INTERNAL))
        return;
    bool inserts = n->op->inserts(n, &mask);
    for (int i = 0; i < OX_MAX_RANK; i++)
        if (mask >> i & 1)
            axes[count++] = i;
    Value *list = ints_literal(m, m->graph, axes, count);
    Value **in = ARENA_ARRAY(m->arena, 2, Value *);
    if (inserts && list && in) {
        in[0] = n->in[0], in[1] = list;
        n->in = in;
        n->n_in = 2;
        n->n_attrs = 0;
        node_set_op(n, op_find((Str){0}, STR("Unsqueeze"), OP_NEWEST_OPSET));
        return;
    }
    *n = before;
    n->in[0] = first;
}

/* Index grids become views before anything is padded: exporters write them over all of the
 * elements of a mask, whose places depend on its length. */
void step_find_views(Model *m) {
    Diags *diags = m->diags, silent = {.arena = m->arena, .file = diags->file};
    m->diags = &silent;
    graph_count_uses(m);
    infer_model(m);
    for (size_t i = 0; i < m->graph->n_nodes; i++) {
        Node *n = m->graph->nodes[i];
        if (n->op && n->op->facts & (OP_TABLE | OP_RESHAPES) && n->op->rewrite)
            find_view(m, n);
    }
    graph_count_uses(m);
    m->diags = diags;
}

/* What is read for nothing any more is not looked at. */
void step_forget_unread(Model *m) {
    for (size_t i = m->graph->n_nodes; i-- > 0;) {
        const Node *n = m->graph->nodes[i];
        bool read = node_graph_attrs(n) > 0;
        for (uint32_t k = 0; k < n->n_out; k++)
            read = read || (n->out[k] && n->out[k]->uses);
        for (uint32_t k = 0; !read && k < n->n_in; k++)
            if (n->in[k])
                n->in[k]->uses--;
    }
}
