/* Bypasses nodes whose output 0 is their input 0, by the registry's OP_IDENTITY.  A
 * graph output keeps its name, since that is stored beside it. */
#include "passes/passes.h"

static bool is_bypassed(const Node *n) {
    if (!n->op || !(n->op->facts & OP_IDENTITY) || !node_in(n, 0) || !node_out(n, 0))
        return false;
    for (uint32_t i = 1; i < n->n_out; i++)
        if (n->out[i] && n->out[i]->uses)
            return false;
    return true;
}

static void simplify_graph(void *user, Graph *g) {
    (void)user;
    size_t kept = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        if (is_bypassed(n))
            n->out[0]->alias = n->in[0];
        else
            g->nodes[kept++] = n;
    }
    g->n_nodes = kept;
}

void pass_simplify(Model *m) {
    graph_count_uses(m);
    graph_each(m->graph, simplify_graph, NULL);
    replace_values(m);
}
