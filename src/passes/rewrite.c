/* Shared by the passes: redirecting readers of values. */
#include "passes/passes.h"

static void redirect(void *user, Graph *g) {
    (void)user;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++)
            g->nodes[i]->in[k] = value_final(g->nodes[i]->in[k]);
    for (size_t i = 0; i < g->n_outputs; i++)
        g->outputs[i] = value_final(g->outputs[i]);
}

void replace_values(Model *m) {
    if (m->has_aliases)
        graph_each(m->graph, redirect, NULL);
    m->has_aliases = false;
}
